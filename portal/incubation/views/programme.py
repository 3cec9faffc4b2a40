"""The programme staff's pages: calls, applications, reviewers, decisions."""

import uuid
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock, quantities
from portal.core.errors import DomainError
from portal.core.pages import COUNT_CAP
from portal.incubation.forms import AssignForm, DecisionForm
from portal.incubation.operations import assignments, calls, decisions
from portal.incubation.permissions import HOLDERS, Permission
from portal.incubation.queries import applications as application_queries
from portal.incubation.queries import calls as call_queries
from portal.incubation.queries import staff
from portal.incubation.queries.calls import CallCard
from portal.incubation.queries.staff import StaffView
from portal.incubation.rules.answers import NotCredits
from portal.incubation.states import APPLICATION_WORDS, APPLICATIONS, ASSIGNMENT_WORDS, CALLS, OUTCOME_WORDS, ApplicationState, Outcome
from portal.incubation.views import shown
from portal.incubation.views.blueprint import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.errors import sentence
from portal.web.once import once_view


@blueprint.get("/programme/calls")
@access.needs(Permission.MANAGE_CALLS, HOLDERS)
def programme_calls() -> ResponseReturnValue:
    """List all calls with what can be done with each."""
    now = clock.now()
    page = call_queries.page_of_all_calls(session(), mark=request.args.get("mark"))
    badges = [shown.call_badge(call, now=now, for_staff=True) for call in page.rows]
    return render_template("incubation/programme_calls.html", calls=page, badges=badges, buttons=[CALLS.allowed(call.state) for call in page.rows])


@blueprint.post("/programme/calls/<slug>/<name>")
@access.needs(Permission.MANAGE_CALLS, HOLDERS)
@once_view
def move_call(slug: str, name: str) -> ResponseReturnValue:
    """Publish, close or mark a call as decided."""
    call = call_queries.call_by_slug(session(), slug, actor=current_actor())
    calls.move(session(), call_id=call.id, name=name, by=current_actor(), now=clock.now())
    return redirect(url_for("incubation.programme_calls"), 303)


@blueprint.get("/programme/calls/<slug>/applications")
@access.needs(Permission.SEE_APPLICATIONS, HOLDERS)
def call_applications(slug: str) -> ResponseReturnValue:
    """List a call's applications, by state, by key; counts end at a thousand."""
    db, actor = session(), current_actor()
    call = call_queries.call_by_slug(db, slug, actor=actor)
    state = _state(request.args.get("state"))
    counts = staff.counts_by_state(db, actor=actor, call_id=call.id)
    page = staff.page_of_applications(db, actor=actor, call_id=call.id, state=state, mark=request.args.get("mark"))
    badges = {row: shown.application_badge(row, for_staff=True) for row in staff.LISTED}
    total = staff.count_applications(db, actor=actor, call_id=call.id, state=state, by_state=counts)
    return render_template(
        "incubation/call_applications.html",
        call=call,
        rows=page,
        state=state,
        states=staff.LISTED,
        counts=counts,
        badges=badges,
        total=total,
        cap=COUNT_CAP,
        state_cap=staff.STATE_CAP,
    )


def _state(text: str | None) -> ApplicationState | None:
    return ApplicationState(text) if text in {state.value for state in staff.LISTED} else None


@blueprint.get("/programme/applications/<int:number>")
@access.needs(Permission.SEE_APPLICATIONS, HOLDERS)
def staff_application(number: int) -> ResponseReturnValue:
    """Show an application to staff: answers, reviews, what comes next."""
    view, call = _found(number)
    return _staff_page(view, call, AssignForm(formdata=None))


def _found(number: int) -> tuple[StaffView, CallCard]:
    view = staff.application_by_number(session(), number, actor=current_actor())
    return view, call_queries.call_by_id(session(), view.card.call_id)


def _staff_page(view: StaffView, call: CallCard, form: AssignForm, status: int = 200) -> ResponseReturnValue:
    db, card = session(), view.card
    rubric = call_queries.rubric_by_id(db, call.rubric_version_id)
    lines = staff.reviews_of(db, application_id=card.id, criteria=rubric.keys)
    may_assign = card.state in {ApplicationState.SUBMITTED, ApplicationState.IN_REVIEW}
    candidates = staff.candidates(db, application=card) if may_assign else []
    content = application_queries.submitted_content(db, card.id)
    page = render_template(
        "incubation/staff_application.html",
        view=view,
        card=card,
        call=call,
        badge_of=shown.application_badge(card.state, for_staff=True),
        outcome_words={outcome: gettext(words.staff) for outcome, words in OUTCOME_WORDS.items()},
        sections=shown.sections(call_queries.form_by_id(db, card.form_version_id), content["answers"]),
        rubric=rubric,
        lines=lines,
        line_badges=[shown.badge(ASSIGNMENT_WORDS[line.state], ASSIGNMENT_WORDS[line.state].staff) for line in lines],
        sent=[line for line in lines if line.scores],
        means=staff.means(lines, rubric),
        candidates=candidates,
        why_not=assignments.why_not,
        form=form,
        may_assign=may_assign,
        may_decide=any(t.name in set(Outcome) for t in APPLICATIONS.allowed(card.state)),
        prepared=application_queries.decision_of(db, card.id, is_released=False),
        released=application_queries.decision_of(db, card.id, is_released=True),
    )
    return page, status


@blueprint.post("/programme/applications/<int:number>/reviewers")
@access.needs(Permission.ASSIGN_REVIEWERS, HOLDERS)
@once_view
def assign_reviewers(number: int) -> ResponseReturnValue:
    """Give an application to reviewers."""
    view, call = _found(number)
    form = AssignForm()
    with form.catching():
        chosen = [_person_id(text) for text in request.form.getlist("reviewers")]
        assignments.assign(session(), application_id=view.card.id, reviewer_ids=chosen, by=current_actor(), now=clock.now())
        flash(gettext("The reviewers are asked by e-mail."), "success")
        return redirect(url_for("incubation.staff_application", number=number), 303)
    return _staff_page(view, call, form, form.status)


def _person_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise assignments.NotAReviewer from None


@blueprint.route("/programme/applications/<int:number>/decision", methods=["GET", "POST"])
@access.needs(Permission.DECIDE, HOLDERS)
@once_view
def prepare_decision(number: int) -> ResponseReturnValue:
    """Prepare the decision; the applicant sees nothing yet."""
    view, call = _found(number)
    form = DecisionForm(data=_proposal(view, call))
    for name in ("venture_name", "awarded", "expires_on"):
        # Needed if the answer is yes: not to be called optional; the operation decides.
        form[name].flags.required = True
    form.offer([transition.name for transition in APPLICATIONS.allowed(view.card.state)])
    if form.validate_on_submit():
        with form.catching():
            decisions.prepare(
                session(),
                application_id=view.card.id,
                outcome=form.chosen(),
                reason=form.reason.data or "",
                awarded_ucr=_awarded(form),
                why=form.why.data or "",
                venture_name=form.venture_name.data or "",
                credits_expire_at=_end_of_day(form, call),
                by=current_actor(),
                now=clock.now(),
            )
            return redirect(url_for("incubation.staff_application", number=number), 303)
    use = call_queries.use_of_call(session(), call.id)
    page = render_template("incubation/prepare_decision.html", view=view, card=view.card, call=call, form=form, use=use)
    return page, form.status


def _proposal(view: StaffView, call: CallCard) -> dict[str, object]:
    """Return what the form proposes: what was prepared before, else what was asked."""
    prepared = application_queries.decision_of(session(), view.card.id, is_released=False)
    last_day = clock.now().astimezone(ZoneInfo(call.zone)).date() + timedelta(days=call.credits_valid_days)
    asked_ucr = view.card.asked_ucr or 0
    if prepared is None:
        return {"venture_name": view.card.title[:200], "awarded": quantities.short_credits(asked_ucr), "expires_on": last_day}
    expires_at = prepared.credits_expire_at
    return {
        "outcome": prepared.outcome.value,
        "reason": prepared.reason,
        "venture_name": prepared.venture_name or view.card.title[:200],
        "awarded": quantities.short_credits(prepared.awarded_ucr if prepared.outcome is Outcome.ACCEPT else asked_ucr),
        "why": prepared.lines[0].why if prepared.lines else "",
        "expires_on": (expires_at - timedelta(seconds=1)).astimezone(ZoneInfo(call.zone)).date() if expires_at else last_day,
    }


def _awarded(form: DecisionForm) -> int:
    if form.chosen() is not Outcome.ACCEPT:
        return 0
    try:
        return quantities.parse_credits(form.awarded.data or "0")
    except quantities.NotAQuantity:
        raise NotCredits(field="awarded") from None


def _end_of_day(form: DecisionForm, call: CallCard) -> datetime | None:
    """Return the first instant after the last day, in the call's zone."""
    if form.expires_on.data is None:
        return None
    return datetime.combine(form.expires_on.data + timedelta(days=1), time(), tzinfo=ZoneInfo(call.zone))


@blueprint.post("/programme/applications/<int:number>/release")
@access.needs(Permission.DECIDE, HOLDERS)
@once_view
def release_decision(number: int) -> ResponseReturnValue:
    """Release the prepared decision: state, venture, credits and mail in one act."""
    view, _ = _found(number)
    prepared = application_queries.decision_of(session(), view.card.id, is_released=False)
    if prepared is None or str(prepared.id) != request.form.get("decision"):
        flash(gettext("The decision was changed or released meanwhile. Read it again before you do anything."), "warning")
        return redirect(url_for("incubation.staff_application", number=number), 303)
    try:
        with session().begin_nested():
            decisions.release(session(), decision_ids=[prepared.id], by=current_actor(), now=clock.now())
    except DomainError as error:
        flash(sentence(error), "error")
    else:
        flash(gettext("The decision is released: “%(state)s”.", state=gettext(_state_words(number))), "success")
    return redirect(url_for("incubation.staff_application", number=view.card.number), 303)


def _state_words(number: int) -> str:
    return APPLICATION_WORDS[staff.application_by_number(session(), number, actor=current_actor()).card.state].staff
