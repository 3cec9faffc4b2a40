"""Mails of incubation, queued in the transaction of what they tell."""

import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.core.quantities import decimal_credits
from portal.identity import relations as identity
from portal.incubation.models import AwardLine, Decision, ProgramApplication, ProgramCall, ReviewAssignment
from portal.incubation.states import Outcome
from portal.notifications.operations import outbox
from portal.notifications.recipients import Recipient

_DECISION_KINDS = {
    Outcome.ACCEPT: "incubation.decision_accepted",
    Outcome.DECLINE: "incubation.decision_declined",
    Outcome.WAITLIST: "incubation.decision_waitlisted",
}


def application_received(db: Session, *, application_id: uuid.UUID, now: datetime) -> None:
    """Tell the lead person that the application arrived, with its receipt."""
    person = identity.person.c
    query = (
        select(
            ProgramApplication.number,
            ProgramApplication.title,
            ProgramApplication.receipt_hash,
            ProgramApplication.submitted_at,
            ProgramCall.title.label("call"),
        )
        .add_columns(person.id.label("person_id"), person.email, person.language, person.zone, person.display_name)
        .join(ProgramCall, ProgramCall.id == ProgramApplication.call_id)
        .join(identity.person, person.id == ProgramApplication.lead_id)
        .where(ProgramApplication.id == application_id)
    )
    row = db.execute(query).one()
    context = {
        "name": row.display_name,
        "number": row.number,
        "title": row.title,
        "call": row.call,
        "receipt": row.receipt_hash,
        "submitted_at": row.submitted_at.isoformat(),
        "path": f"/applications/{row.number}/receipt",
    }
    outbox.queue(db, kind="incubation.application_received", recipient=Recipient(row.person_id, row.email, row.language, row.zone), context=context, now=now)


def review_assigned(db: Session, *, assignment_id: uuid.UUID, now: datetime) -> None:
    """Tell a reviewer that an application waits."""
    person = identity.person.c
    query = (
        select(ReviewAssignment.number, ProgramApplication.title, ProgramCall.title.label("call"), ProgramCall.reviews_due_at)
        .add_columns(person.id.label("person_id"), person.email, person.language, person.zone, person.display_name)
        .join(ProgramApplication, ProgramApplication.id == ReviewAssignment.application_id)
        .join(ProgramCall, ProgramCall.id == ProgramApplication.call_id)
        .join(identity.person, person.id == ReviewAssignment.reviewer_id)
        .where(ReviewAssignment.id == assignment_id)
    )
    row = db.execute(query).one()
    context = {
        "name": row.display_name,
        "title": row.title,
        "call": row.call,
        "due_at": row.reviews_due_at.isoformat(),
        "path": f"/reviews/{row.number}",
    }
    outbox.queue(db, kind="incubation.review_assigned", recipient=Recipient(row.person_id, row.email, row.language, row.zone), context=context, now=now)


def decision_released(db: Session, *, decision_id: uuid.UUID, now: datetime) -> None:
    """Tell the lead person what was decided, why, and what was awarded."""
    person = identity.person.c
    query = (
        select(
            Decision.outcome, Decision.reason, Decision.credits_expire_at, ProgramApplication.number, ProgramApplication.title, ProgramCall.title.label("call")
        )
        .add_columns(person.id.label("person_id"), person.email, person.language, person.zone, person.display_name)
        .join(ProgramApplication, ProgramApplication.id == Decision.application_id)
        .join(ProgramCall, ProgramCall.id == ProgramApplication.call_id)
        .join(identity.person, person.id == ProgramApplication.lead_id)
        .where(Decision.id == decision_id)
    )
    row = db.execute(query).one()
    lines = db.execute(select(AwardLine.asked_ucr, AwardLine.awarded_ucr).where(AwardLine.decision_id == decision_id)).all()
    context = {
        "name": row.display_name,
        "title": row.title,
        "call": row.call,
        "reason": row.reason,
        "asked_ucr": sum(line.asked_ucr for line in lines),
        "awarded_ucr": sum(line.awarded_ucr for line in lines),
        "awarded": decimal_credits(sum(line.awarded_ucr for line in lines)),
        "expires_at": row.credits_expire_at.isoformat() if row.credits_expire_at else None,
        "path": f"/applications/{row.number}/decision",
    }
    kind = _DECISION_KINDS[Outcome(row.outcome)]
    outbox.queue(db, kind=kind, recipient=Recipient(row.person_id, row.email, row.language, row.zone), context=context, now=now)
