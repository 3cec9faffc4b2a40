"""A reviewer's pages: what is assigned, and one review with the application beside its rubric."""

from collections.abc import Mapping
from typing import Any

from flask import Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.core.errors import DomainError, Invalid, NotFound
from portal.incubation.forms import ConflictForm, MarkedForm, review_form
from portal.incubation.operations import assignments, reviews
from portal.incubation.operations.fields import ChangedElsewhere
from portal.incubation.queries import calls
from portal.incubation.queries import reviews as queries
from portal.incubation.queries.reviews import ReviewCard
from portal.incubation.rules.marks import PageMark
from portal.incubation.rules.scores import Rubric, weighted
from portal.incubation.states import ASSIGNMENT_WORDS, AssignmentState
from portal.incubation.views import shown
from portal.incubation.views.blueprint import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.errors import sentence
from portal.web.once import once_view


def _badge(state: AssignmentState, scored: int) -> tuple[str, str]:
    if state is AssignmentState.ASSIGNED and scored:
        return "info", gettext("In progress")
    words = ASSIGNMENT_WORDS[state]
    return shown.badge(words, words.applicant)


@blueprint.get("/reviews")
@access.signed_in
def own_reviews() -> ResponseReturnValue:
    """List the reviews that are assigned to the person."""
    db, actor = session(), current_actor()
    page = queries.page_of_reviews(db, actor=actor, mark=request.args.get("mark"))
    waiting = len(queries.reviews_waiting(db, actor=actor))
    return render_template("incubation/reviews.html", rows=page, badges=[_badge(row.state, row.scored) for row in page.rows], waiting=waiting)


@blueprint.get("/reviews/<int:number>")
@access.signed_in
def review(number: int) -> ResponseReturnValue:
    """Show the application on one side and the rubric on the other."""
    card = queries.review_by_number(session(), number, actor=current_actor())
    values = queries.values_of_review(session(), card.review_id)
    rubric = calls.rubric_by_id(session(), card.rubric_version_id)
    return _page(card, rubric, review_form(rubric, lang=shown.lang(), values=values, mark=str(PageMark.fresh(card.revision, values))), values)


@blueprint.post("/reviews/<int:number>")
@access.signed_in
@once_view
def save_review(number: int) -> ResponseReturnValue:
    """Keep the whole review, and send it if that was the button; works without scripts."""
    db, actor, now = session(), current_actor(), clock.now()
    card = queries.review_by_number(db, number, actor=actor)
    rubric = calls.rubric_by_id(db, card.rubric_version_id)
    sent = {key: request.form[key] for key in (*rubric.keys, *reviews.COMMENTS) if key in request.form and key != request.form.get("take")}
    kept = queries.values_of_review(db, card.review_id)
    try:
        mark = PageMark.parse(request.form.get("revision"))
        with db.begin_nested():
            reviews.save_fields(db, number=number, sent=sent, mark=mark, keep={request.form.get("keep", "")}, by=actor, now=now)
            if request.form.get("action") == "send":
                reviews.submit(db, number=number, by=actor, now=now)
    except ChangedElsewhere as error:
        values = {**kept, **sent, **{key: kept.get(key, "") for key in error.left_alone}}
        form = review_form(rubric, lang=shown.lang(), values=values, mark=str(PageMark.fresh(card.revision, kept)))
        for clash in error.clashes:
            form[clash.key].errors = [sentence(error)]
        return _page(card, rubric, form, values, clashes={clash.key: clash for clash in error.clashes}), 409
    except (Invalid, reviews.ReviewClosed) as error:
        form = review_form(rubric, lang=shown.lang(), values={**kept, **sent}, mark=request.form.get("revision", ""))
        form.refuse(error)
        return _page(card, rubric, form, {**kept, **sent}), 422
    if request.form.get("action") == "send":
        flash(gettext("Your review is sent."), "success")
        return redirect(url_for("incubation.own_reviews"), 303)
    flash(gettext("Everything is saved. You can go on here or on another device."), "success")
    return redirect(url_for("incubation.own_reviews" if request.form.get("action") == "later" else "incubation.review", number=number), 303)


@blueprint.post("/reviews/<int:number>/fields")
@access.signed_in
def save_review_field(number: int) -> ResponseReturnValue:
    """Keep one score or comment, and answer with the sentence for the page."""
    db, now, actor = session(), clock.now(), current_actor()
    card = queries.review_by_number(db, number, actor=actor)
    rubric = calls.rubric_by_id(db, card.rubric_version_id)
    key = request.form.get("field", "")
    if key not in rubric.keys | set(reviews.COMMENTS):
        raise NotFound
    try:
        mark = PageMark.parse(request.form.get("revision"))
        reviews.save_fields(db, number=number, sent={key: request.form.get(key, "")}, mark=mark, by=actor, now=now)
    except ChangedElsewhere as error:
        label = review_form(rubric, lang=shown.lang(), values={}, mark="")[key].label.text
        return _fragment("incubation/_clash.html", 409, clash=error.clashes[0], label=label)
    except DomainError as error:
        return _fragment(
            "incubation/_saved.html", 422 if isinstance(error, Invalid) else 409, field="", refusal=sentence(error), problem="", words=None, at=now
        )
    scores = _scores(rubric, queries.values_of_review(db, card.review_id))
    return _fragment("incubation/_review_state.html", 200, **_state(rubric, scores), saved_at=now, field=key)


def _fragment(template: str, status: int, **context: object) -> Response:
    response = make_response(render_template(template, **context))
    response.status_code = status
    return response


def _scores(rubric: Rubric, values: Mapping[str, str]) -> dict[str, int | None]:
    return {key: int(values[key]) if values.get(key, "").isdecimal() and values[key].isascii() else None for key in rubric.keys}


def _state(rubric: Rubric, scores: Mapping[str, int | None]) -> dict[str, Any]:
    return {"missing": sum(score is None for score in scores.values()), "mean": weighted(scores, rubric)}


def _page(card: ReviewCard, rubric: Rubric, form: MarkedForm, values: dict[str, str], *, clashes: dict[str, object] | None = None) -> str:
    scores = _scores(rubric, values)
    definition = calls.form_by_id(session(), card.form_version_id)
    return render_template(
        "incubation/review.html",
        card=card,
        badge_of=_badge(card.state, sum(score is not None for score in scores.values())),
        rubric=rubric,
        form=form,
        values=values,
        saved_at=card.saved_at,
        field="",
        **_state(rubric, scores),
        sections=shown.sections(definition, card.content["answers"]),
        clashes=clashes or {},
        comment_chars=reviews.COMMENT_CHARS,
    )


@blueprint.route("/reviews/<int:number>/conflict", methods=["GET", "POST"])
@access.signed_in
@once_view
def declare_conflict(number: int) -> ResponseReturnValue:
    """Declare a conflict: the application is hidden from this moment."""
    db, actor = session(), current_actor()
    card = queries.review_by_number(db, number, actor=actor)
    form = ConflictForm()
    if form.validate_on_submit():
        with form.catching():
            assignments.declare_conflict(db, number=number, kind=form.kind.data, reason=form.reason.data or "", by=actor, now=clock.now())
            flash(gettext("Thank you. The application is now hidden from you, and staff will ask somebody else."), "success")
            return redirect(url_for("incubation.own_reviews"), 303)
    return render_template("incubation/conflict.html", card=card, form=form), form.status
