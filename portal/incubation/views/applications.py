"""An applicant's pages: the list, the form that saves itself, the receipt, the decision."""

from collections.abc import Mapping
from datetime import datetime

from flask import Response, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.core.errors import DomainError, Invalid, NotFound
from portal.incubation.forms import AnswersForm, answers_form
from portal.incubation.operations import applications as operations
from portal.incubation.operations.fields import ChangedElsewhere
from portal.incubation.queries import applications as queries
from portal.incubation.queries import calls
from portal.incubation.queries.applications import ApplicationCard
from portal.incubation.queries.calls import CallCard
from portal.incubation.rules import answers as rules
from portal.incubation.rules.answers import FIELD_PREFIX, Raw
from portal.incubation.rules.marks import PageMark
from portal.incubation.rules.questions import FormDefinition, QuestionKind
from portal.incubation.rules.texts import said
from portal.incubation.states import APPLICATION_WORDS, APPLICATIONS, ApplicationState
from portal.incubation.views import shown
from portal.incubation.views.blueprint import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.errors import sentence
from portal.web.once import once_view


def consent_text() -> str:
    """Return the sentence that an applicant agrees to, in the reader's language."""
    return str(
        gettext(
            "I agree that the hub keeps these answers and shows them to its programme staff and to the reviewers of this call, "
            "and I confirm that they are true to my knowledge."
        )
    )


@blueprint.get("/applications")
@access.signed_in
def own_applications() -> ResponseReturnValue:
    """List one's own applications."""
    page = queries.page_of_own(session(), actor=current_actor(), mark=request.args.get("mark"))
    badges = [shown.application_badge(row.state, for_staff=False) for row in page.rows]
    return render_template("incubation/applications.html", rows=page, badges=badges, now=clock.now())


@blueprint.get("/applications/<int:number>")
@access.signed_in
def application(number: int) -> ResponseReturnValue:
    """Show where one's application stands and what happens next."""
    db, now = session(), clock.now()
    card = queries.own_by_number(db, number, actor=current_actor())
    call = calls.call_by_id(db, card.call_id)
    return render_template(
        "incubation/application.html",
        card=card,
        call=call,
        badge_of=shown.application_badge(card.state, for_staff=False),
        next=gettext(APPLICATION_WORDS[card.state].next),
        steps=_timeline(card, call),
        is_editable=card.state is ApplicationState.DRAFT and call.is_open(now),
        may_withdraw=any(transition.name == "withdraw" for transition in APPLICATIONS.allowed(card.state)),
        is_decided=card.decided_at is not None,
    )


def _timeline(card: ApplicationCard, call: CallCard) -> list[dict[str, object]]:
    """Return what was and what comes, each with its time: when it happened, or by when it should."""
    rows: list[tuple[str, datetime | None, bool]] = [
        (gettext("Started"), card.started_at, True),
        (gettext("Submitted"), card.submitted_at, card.submitted_at is not None),
        (gettext("Review by two people or more"), None if card.decided_at else call.reviews_due_at, card.decided_at is not None),
        (gettext("Decision"), card.decided_at, card.decided_at is not None),
    ]
    if card.withdrawn_at is not None:
        rows = [row for row in rows if row[2]] + [(gettext("Withdrawn"), card.withdrawn_at, True)]
    first_open = next((index for index, row in enumerate(rows) if not row[2]), None)
    return [
        {"title": title, "at": at, "is_reached": is_reached, "state": "done" if is_reached else "on" if index == first_open else ""}
        for index, (title, at, is_reached) in enumerate(rows)
    ]


@blueprint.get("/applications/<int:number>/edit")
@access.signed_in
def edit_application(number: int) -> ResponseReturnValue:
    """Show the form with what is kept; `check` shows what is still in the way of submitting."""
    db = session()
    card = queries.own_by_number(db, number, actor=current_actor())
    call = calls.call_by_id(db, card.call_id)
    if card.state is not ApplicationState.DRAFT or not call.is_open(clock.now()):
        return redirect(url_for("incubation.application", number=number), 303)
    definition = calls.form_by_id(db, card.form_version_id)
    answers = queries.answers_of_draft(db, card.id)
    form = answers_form(definition, lang=shown.lang(), answers=answers, mark=str(PageMark.fresh(card.revision, answers)))
    if request.args.get("check"):
        _show_problems(form, rules.problems_of_form(definition, answers))
        if request.args.get("check") == "consent":
            form.refuse(operations.ConsentMissing())
    return _edit_page(card, call, definition, form, answers)


@blueprint.post("/applications/<int:number>/edit")
@access.signed_in
@once_view
def save_application(number: int) -> ResponseReturnValue:
    """Keep the whole form, and submit it if that was the button; works without scripts."""
    db, actor, now = session(), current_actor(), clock.now()
    card = queries.own_by_number(db, number, actor=actor)
    definition = calls.form_by_id(db, card.form_version_id)
    sent: dict[str, Raw] = {}
    try:
        sent = _sent(definition, without=request.form.get("take", ""))
        mark = PageMark.parse(request.form.get("revision"))
        operations.save_fields(db, number=number, sent=sent, mark=mark, keep={request.form.get("keep", "")}, by=actor, now=now)
    except ChangedElsewhere as error:
        return _show_clashes(card, definition, sent, error)
    except rules.TooLongToKeep as error:
        return _show_refusal(card, definition, error)
    if request.form.get("action") != "submit":
        flash(gettext("Everything is saved. You can go on here or on another device."), "success")
        return redirect(url_for("incubation.edit_application", number=number), 303)
    return _submit(number)


def _submit(number: int) -> ResponseReturnValue:
    consent = operations.Consent(consent_text(), shown.lang()) if request.form.get("consent") else None
    try:
        with session().begin_nested():
            operations.submit(session(), number=number, consent=consent, by=current_actor(), now=clock.now())
    except (operations.ConsentMissing, operations.NotComplete) as error:
        # What was typed is kept by now; the form shows what is in the way.
        check = "consent" if isinstance(error, operations.ConsentMissing) else "submit"
        return redirect(url_for("incubation.edit_application", number=number, check=check), 303)
    return redirect(url_for("incubation.receipt", number=number), 303)


@blueprint.post("/applications/<int:number>/fields")
@access.signed_in
def save_field(number: int) -> ResponseReturnValue:
    """Keep one field while the person types, and answer with the sentence for the page: what the server knows."""
    db, now = session(), clock.now()
    card = queries.own_by_number(db, number, actor=current_actor())
    definition = calls.form_by_id(db, card.form_version_id)
    question = definition.by_key.get(request.form.get("field", "").removeprefix(FIELD_PREFIX))
    if question is None:
        raise NotFound
    try:
        raw = rules.cleaned(question, request.form.getlist(rules.field_name(question.key)))
        mark = PageMark.parse(request.form.get("revision"))
        operations.save_fields(db, number=number, sent={question.key: raw}, mark=mark, by=current_actor(), now=now)
    except ChangedElsewhere as error:
        return _fragment("incubation/_clash.html", 409, clash=error.clashes[0], label=_label(definition, question.key))
    except DomainError as error:
        return _fragment(
            "incubation/_saved.html", 409 if not isinstance(error, Invalid) else 422, field="", refusal=sentence(error), problem="", words="", at=now
        )
    problems = [error for error in rules.problems(question, raw) if raw]
    words = rules.count_words(raw) if isinstance(raw, str) and question.kind is QuestionKind.LONG_TEXT else None
    problem = sentence(problems[0]) if problems else ""
    return _fragment("incubation/_saved.html", 200, field=question.key, refusal="", problem=problem, words=words, limit=question.max_words, at=now)


def _fragment(template: str, status: int, **context: object) -> Response:
    response = make_response(render_template(template, **context))
    response.status_code = status
    return response


def _sent(definition: FormDefinition, *, without: str) -> dict[str, Raw]:
    """Return what the form sent, question by question; an answer that was not sent is left as it is kept."""
    sent: dict[str, Raw] = {}
    for question in definition.questions:
        name = rules.field_name(question.key)
        if question.key != without and name in request.form:
            sent[question.key] = rules.cleaned(question, request.form.getlist(name))
    return sent


def _show_clashes(card: ApplicationCard, definition: FormDefinition, sent: Mapping[str, Raw], error: ChangedElsewhere) -> ResponseReturnValue:
    """Show the form as it was typed, with what another page kept beside it; saving again overwrites knowingly."""
    kept = queries.answers_of_draft(session(), card.id)
    shown_values = {**kept, **sent, **{key: kept[key] for key in error.left_alone}}
    form = answers_form(definition, lang=shown.lang(), answers=shown_values, mark=str(PageMark.fresh(card.revision, kept)))
    for clash in error.clashes:
        form[rules.field_name(clash.key)].errors = [sentence(error)]
    clashes = {clash.key: clash for clash in error.clashes}
    return _edit_page(card, calls.call_by_id(session(), card.call_id), definition, form, shown_values, clashes=clashes, status=409)


def _show_refusal(card: ApplicationCard, definition: FormDefinition, error: Invalid) -> ResponseReturnValue:
    """Show the form exactly as it was typed: a text that cannot be kept is in the page alone."""
    typed: dict[str, Raw] = {}
    for question in definition.questions:
        values = request.form.getlist(rules.field_name(question.key))
        typed[question.key] = values if question.kind is QuestionKind.MULTIPLE else (values or [""])[-1]
    form = answers_form(definition, lang=shown.lang(), answers=typed, mark=request.form.get("revision", ""))
    form.refuse(error)
    return _edit_page(card, calls.call_by_id(session(), card.call_id), definition, form, typed, status=422)


def _show_problems(form: AnswersForm, problems: list[Invalid]) -> None:
    for problem in problems:
        form.refuse(problem)


def _label(definition: FormDefinition, key: str) -> str:
    return said(definition.by_key[key].label, shown.lang()).text


def _edit_page(
    card: ApplicationCard,
    call: CallCard,
    definition: FormDefinition,
    form: AnswersForm,
    answers: Mapping[str, Raw],
    *,
    clashes: Mapping[str, object] | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    form.consent.label.text = consent_text()
    form.consent.flags.required = True
    words = {question.key: rules.count_words(str(answers.get(question.key, ""))) for question in definition.questions if question.max_words}
    missing = sum(1 for question in definition.questions if question.is_required and not answers.get(question.key))
    page = render_template(
        "incubation/edit.html",
        card=card,
        call=call,
        definition=definition,
        form=form,
        words=words,
        missing=missing,
        clashes=clashes or {},
        field_name=rules.field_name,
    )
    return page, status


@blueprint.post("/applications/<int:number>/withdraw")
@access.signed_in
@once_view
def withdraw(number: int) -> ResponseReturnValue:
    """Withdraw one's application."""
    operations.withdraw(session(), number=number, by=current_actor(), now=clock.now())
    flash(gettext("The application is withdrawn."), "success")
    return redirect(url_for("incubation.application", number=number), 303)
