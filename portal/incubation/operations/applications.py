"""An applicant's writes: start a draft, save its fields, submit, withdraw."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid, NotFound, Refused
from portal.core.ids import new_id
from portal.incubation.models import ApplicationAnswer, ApplicationRevision, ProgramApplication, ProgramCall
from portal.incubation.operations import mails
from portal.incubation.operations.fields import Saved, Stored, changes
from portal.incubation.queries import calls as call_queries
from portal.incubation.rules import answers as answer_rules
from portal.incubation.rules.answers import Raw
from portal.incubation.rules.marks import PageMark
from portal.incubation.rules.questions import TITLE_KEY, FormDefinition
from portal.incubation.rules.receipts import content_hash
from portal.incubation.states import APPLICATIONS, ApplicationState, CallState


class CallNotOpen(Refused):
    """The call takes no applications now: too early, too late, or closed by staff."""

    text = N_("This call is not open for applications now. Nothing was changed.")


class ConsentMissing(Invalid):
    """Nothing is submitted without consent."""

    text = N_("Please agree before you submit.")
    field = "consent"


class NotComplete(Invalid):
    """Answers are missing or break their question's rules; `problems` says which."""

    text = N_("Some answers are missing or need a change. Nothing was submitted; everything you typed is kept.")

    def __init__(self, problems: list[Invalid]) -> None:
        super().__init__()
        self.problems = problems


class NoLongerDraft(Conflict):
    """What was submitted or withdrawn is not edited."""

    text = N_("This application is no longer a draft. Its answers do not change any more.")


@dataclass(frozen=True)
class Consent:
    """The sentence that the applicant agreed to, and its language."""

    text: str
    language: str


def start(db: Session, *, call_slug: str, by: Actor, now: datetime) -> int:
    """Return the number of the person's application to a call, begun now if there is none. Raises NotFound, CallNotOpen."""
    call = db.execute(select(ProgramCall).where(ProgramCall.slug == call_slug, ProgramCall.state != CallState.DRAFT.value)).scalar_one_or_none()
    if call is None:
        raise NotFound
    mine = ProgramApplication.call_id == call.id, ProgramApplication.lead_id == by.id, ProgramApplication.state != ApplicationState.WITHDRAWN.value
    existing = db.execute(select(ProgramApplication.number).where(*mine)).scalar_one_or_none()
    if existing is not None:
        return existing
    _require_open(call, now=now)
    row = insert(ProgramApplication).values(
        id=new_id(),
        call_id=call.id,
        lead_id=by.id,
        form_version_id=call.form_version_id,
        title="",
        state=ApplicationState.DRAFT.value,
        revision=0,
        started_at=now,
        saved_at=now,
    )
    # Two first clicks at once meet in the unique index; the second one finds the first one's draft.
    made = row.on_conflict_do_nothing().returning(ProgramApplication.id, ProgramApplication.number)
    new = db.execute(made).one_or_none()
    if new is None:
        return db.execute(select(ProgramApplication.number).where(*mine)).scalar_one()
    audit.record(db, "started", "program_application", new.id, by=by, now=now)
    number: int = new.number
    return number


def save_fields(db: Session, *, number: int, sent: Mapping[str, Raw], mark: PageMark, by: Actor, now: datetime, keep: Collection[str] = ()) -> Saved:
    """Keep the answers of a draft as they were typed. Raises NotFound, NoLongerDraft, CallNotOpen, ChangedElsewhere."""
    application = _own_draft(db, number, by=by)
    _require_open(db.get_one(ProgramCall, application.call_id), now=now)
    form = call_queries.form_by_id(db, application.form_version_id)
    if not sent.keys() <= form.by_key.keys():
        raise NotFound
    stored = _stored(db, application.id)
    changed = changes(stored, sent, mark=mark, keep=keep, nothing="")
    changed = {key: value for key, value in changed.items() if value or key in stored}
    if changed:
        application.revision += 1
        application.saved_at = now
        _write(db, application, changed, page=mark.page, now=now)
    return Saved(application.revision, frozenset(changed))


def submit(db: Session, *, number: int, consent: Consent | None, by: Actor, now: datetime) -> str:
    """Submit a draft as it is kept and return the receipt's SHA-256.

    Raises NotFound, NoLongerDraft, CallNotOpen, ConsentMissing, NotComplete.
    """
    call = _locked_call(db, number, by=by)
    application = _own_draft(db, number, by=by)
    _require_open(call, now=now)
    if consent is None:
        raise ConsentMissing
    form = call_queries.form_by_id(db, application.form_version_id)
    given: dict[str, Raw] = {key: row.value for key, row in _stored(db, application.id).items()}
    problems = answer_rules.problems_of_form(form, given)
    if problems:
        raise NotComplete(problems)
    content = _content(application, call, form, given, consent, by=by, now=now)
    receipt = content_hash(content)
    db.add(
        ApplicationRevision(
            id=new_id(),
            application_id=application.id,
            revision=application.revision,
            content=content,
            content_hash=receipt,
            submitted_at=now,
            submitted_by=by.id,
        )
    )
    application.state = APPLICATIONS.target("submit", ApplicationState(application.state)).value
    application.submitted_at = now
    application.receipt_hash = receipt
    application.asked_ucr = answer_rules.asked_ucr(form, given)
    audit.record(db, "submitted", "program_application", application.id, by=by, now=now, receipt=receipt, revision=application.revision)
    db.flush()
    mails.application_received(db, application_id=application.id, now=now)
    return receipt


def withdraw(db: Session, *, number: int, by: Actor, now: datetime) -> None:
    """Withdraw an application, drafts included. Raises NotFound, WrongState."""
    application = _own(db, number, by=by)
    application.state = APPLICATIONS.target("withdraw", ApplicationState(application.state)).value
    application.withdrawn_at = now
    audit.record(db, "withdrawn", "program_application", application.id, by=by, now=now)
    db.flush()


def _own(db: Session, number: int, *, by: Actor) -> ProgramApplication:
    """Return the actor's own application, locked. Raises NotFound."""
    query = select(ProgramApplication).where(ProgramApplication.number == number, ProgramApplication.lead_id == by.id)
    application = db.execute(query.with_for_update().execution_options(populate_existing=True)).scalar_one_or_none()
    if application is None:
        raise NotFound
    return application


def _own_draft(db: Session, number: int, *, by: Actor) -> ProgramApplication:
    application = _own(db, number, by=by)
    if application.state != ApplicationState.DRAFT.value:
        raise NoLongerDraft
    return application


def _locked_call(db: Session, number: int, *, by: Actor) -> ProgramCall:
    """Return the call of the actor's own application; nobody closes it in this transaction. Raises NotFound.

    Calls are locked before applications, here and where decisions are released, so that the two never wait for each other.
    """
    mine = ProgramApplication.number == number, ProgramApplication.lead_id == by.id
    query = select(ProgramCall).join(ProgramApplication, ProgramApplication.call_id == ProgramCall.id).where(*mine)
    call = db.execute(query.with_for_update(read=True, of=ProgramCall).execution_options(populate_existing=True)).scalar_one_or_none()
    if call is None:
        raise NotFound
    return call


def _require_open(call: ProgramCall, *, now: datetime) -> None:
    if call.state != CallState.OPEN.value or not call.opens_at <= now < call.closes_at:
        raise CallNotOpen


def _stored(db: Session, application_id: uuid.UUID) -> dict[str, Stored[Raw]]:
    query = select(ApplicationAnswer.key, ApplicationAnswer.value, ApplicationAnswer.revision, ApplicationAnswer.page, ApplicationAnswer.saved_at)
    rows = db.execute(query.where(ApplicationAnswer.application_id == application_id))
    return {row.key: Stored(row.value, row.revision, row.page, row.saved_at) for row in rows}


def _write(db: Session, application: ProgramApplication, changed: Mapping[str, Raw], *, page: str, now: datetime) -> None:
    rows = [
        {"application_id": application.id, "key": key, "value": value, "revision": application.revision, "page": page, "saved_at": now}
        for key, value in changed.items()
    ]
    statement = insert(ApplicationAnswer).values(rows)
    new = statement.excluded
    merged = statement.on_conflict_do_update(
        index_elements=["application_id", "key"], set_={"value": new.value, "revision": new.revision, "page": new.page, "saved_at": new.saved_at}
    )
    db.execute(merged)
    if TITLE_KEY in changed:
        application.title = str(changed[TITLE_KEY])[:300]
    db.flush()


def _content(
    application: ProgramApplication,
    call: ProgramCall,
    form: FormDefinition,
    given: Mapping[str, Raw],
    consent: Consent,
    *,
    by: Actor,
    now: datetime,
) -> dict[str, Any]:
    return {
        "application": application.number,
        "answers": {question.key: given[question.key] for question in form.questions if given.get(question.key)},
        "call": call.slug,
        "consent": {"language": consent.language, "text": consent.text},
        "form_version": str(application.form_version_id),
        "lead": by.label,
        "revision": application.revision,
        "submitted_at": now.isoformat(),
    }
