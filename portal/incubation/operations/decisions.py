"""Decisions: prepared, then released in one act that moves the state, admits the venture, grants and writes."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor, require
from portal.core.errors import N_, Conflict, Invalid, NotFound, Refused
from portal.core.ids import new_id
from portal.core.quantities import UCR_PER_CREDIT
from portal.credits.operations.grants import ALONE_UCR
from portal.incubation.models import AwardLine, Decision, ProgramApplication, ProgramCall, ReviewAssignment
from portal.incubation.operations import mails, ventures
from portal.incubation.operations.assignments import locked
from portal.incubation.permissions import HOLDERS, Permission
from portal.incubation.queries.calls import use_of_call
from portal.incubation.states import APPLICATIONS, ApplicationState, AssignmentState, Outcome

REASON_CHARS = 4_000


class ReasonMissing(Invalid):
    """The applicant reads why."""

    text = N_("Write the reasons; the applicant reads them.")
    field = "reason"


class AwardTooLarge(Invalid):
    """No more is awarded than was asked."""

    text = N_("At most what was asked can be awarded: %(asked)s credits.")
    field = "awarded"


class CutNeedsReason(Invalid):
    """A cut is explained."""

    text = N_("Less than asked: write why, so that the applicant can understand it.")
    field = "why"


class ExpiryNeeded(Invalid):
    """Credits end on a day to come."""

    text = N_("Credits need a last day, later than today.")
    field = "expires_on"


class NameNeeded(Invalid):
    """A venture has a name."""

    text = N_("Give the venture a name of at most 200 characters.")
    field = "venture_name"


class AlreadyReleased(Conflict):
    """A decision is released once."""

    text = N_("This decision was already released. Nothing was done twice.")


class ReviewsMissing(Refused):
    """The call wants more reviews before a decision is released."""

    text = N_("%(sent)s of %(needed)s reviews are there. Release the decision when they are.")


class SeatsTaken(Refused):
    """The call has no seat left."""

    text = N_("All %(seats)s seats of this call are taken.")


class CallBudgetPassed(Refused):
    """The call's budget does not reach."""

    text = N_("The call’s budget has %(left)s credits left. Award less, or put the application on the waiting list.")


class SecondPersonNeeded(Refused):
    """A large award is released by another person than the one who prepared it."""

    text = N_("An award above %(limit)s credits is released by a second person.")


def prepare(
    db: Session,
    *,
    application_id: uuid.UUID,
    outcome: Outcome,
    reason: str,
    by: Actor,
    now: datetime,
    awarded_ucr: int = 0,
    why: str = "",
    venture_name: str = "",
    credits_expire_at: datetime | None = None,
) -> uuid.UUID:
    """Prepare the decision on an application, in place of one prepared before. The applicant sees nothing yet.

    Raises NotFound, OwnApplication, WrongState, ReasonMissing, AwardTooLarge, CutNeedsReason, ExpiryNeeded, NameNeeded.
    """
    require(by, Permission.DECIDE, HOLDERS)
    application = locked(db, application_id, by=by)
    APPLICATIONS.target(outcome.value, ApplicationState(application.state))
    if not reason.strip():
        raise ReasonMissing
    is_accepted = outcome is Outcome.ACCEPT
    if is_accepted:
        _check_award(application, awarded_ucr, why, venture_name, credits_expire_at, now=now)
    db.execute(delete(Decision).where(Decision.application_id == application_id, Decision.released_at.is_(None)))
    decision = Decision(
        id=new_id(),
        application_id=application_id,
        outcome=outcome.value,
        reason=reason.strip()[:REASON_CHARS],
        venture_name=venture_name.strip() if is_accepted else "",
        credits_expire_at=credits_expire_at if is_accepted and awarded_ucr else None,
        prepared_at=now,
        prepared_by=by.id,
    )
    db.add(decision)
    db.flush()
    if is_accepted:
        asked_ucr = application.asked_ucr or 0
        db.add(AwardLine(id=new_id(), decision_id=decision.id, position=1, asked_ucr=asked_ucr, awarded_ucr=awarded_ucr, why=why.strip()[:REASON_CHARS]))
    audit.record(db, "prepared a decision", "program_application", application_id, by=by, now=now, outcome=outcome.value, awarded_ucr=awarded_ucr)
    db.flush()
    return decision.id


def _check_award(application: ProgramApplication, awarded_ucr: int, why: str, venture_name: str, credits_expire_at: datetime | None, *, now: datetime) -> None:
    asked_ucr = application.asked_ucr or 0
    if not 0 <= awarded_ucr <= asked_ucr:
        raise AwardTooLarge(asked=_whole(asked_ucr))
    if awarded_ucr < asked_ucr and not why.strip():
        raise CutNeedsReason
    if awarded_ucr and (credits_expire_at is None or credits_expire_at <= now):
        raise ExpiryNeeded
    if not 1 <= len(venture_name.strip()) <= 200:
        raise NameNeeded


def release(db: Session, *, decision_ids: Sequence[uuid.UUID], by: Actor, now: datetime) -> None:
    """Release prepared decisions together: all of them take effect with their awards and mails, or none.

    Raises NotFound, OwnApplication, AlreadyReleased, WrongState, ReviewsMissing, SecondPersonNeeded, SeatsTaken,
    CallBudgetPassed, and what a grant raises when the fund's budget does not reach.
    """
    require(by, Permission.DECIDE, HOLDERS)
    rows = select(Decision.id, Decision.application_id, ProgramApplication.call_id).join(ProgramApplication, ProgramApplication.id == Decision.application_id)
    found = db.execute(rows.where(Decision.id.in_(decision_ids)).order_by(Decision.id)).all()
    if len(found) != len(set(decision_ids)):
        raise NotFound
    # Calls first, in one order: the seats and the budget of a call are counted by one release at a time.
    call_ids = sorted({row.call_id for row in found})
    locked_calls = db.execute(select(ProgramCall).where(ProgramCall.id.in_(call_ids)).order_by(ProgramCall.id).with_for_update()).scalars()
    calls = {call.id: call for call in locked_calls}
    for row in found:
        _release_one(db, row.id, calls[row.call_id], locked(db, row.application_id, by=by), by=by, now=now)


def _release_one(db: Session, decision_id: uuid.UUID, call: ProgramCall, application: ProgramApplication, *, by: Actor, now: datetime) -> None:
    query = select(Decision).where(Decision.id == decision_id).with_for_update().execution_options(populate_existing=True)
    decision = db.execute(query).scalar_one_or_none()
    if decision is None:
        raise NotFound
    if decision.released_at is not None:
        raise AlreadyReleased
    outcome = Outcome(decision.outcome)
    target = APPLICATIONS.target(outcome.value, ApplicationState(application.state))
    _check_reviews(db, application.id, call)
    awarded_ucr = int(db.execute(select(func.coalesce(func.sum(AwardLine.awarded_ucr), 0)).where(AwardLine.decision_id == decision.id)).scalar_one())
    if outcome is Outcome.ACCEPT:
        _check_limits(db, decision, call, awarded_ucr, by=by)
    application.state = target.value
    application.decided_at = now
    decision.released_at = now
    decision.released_by = by.id
    db.flush()
    if outcome is Outcome.ACCEPT:
        ventures.admit(db, application=application, decision=decision, fund_id=call.fund_id, awarded_ucr=awarded_ucr, by=by, now=now)
    audit.record(db, "released a decision", "program_application", application.id, by=by, now=now, outcome=outcome.value, awarded_ucr=awarded_ucr)
    mails.decision_released(db, decision_id=decision.id, now=now)


def _check_reviews(db: Session, application_id: uuid.UUID, call: ProgramCall) -> None:
    sent_reviews = ReviewAssignment.application_id == application_id, ReviewAssignment.state == AssignmentState.SUBMITTED.value
    sent = db.execute(select(func.count()).select_from(ReviewAssignment).where(*sent_reviews)).scalar_one()
    if sent < call.reviews_needed:
        raise ReviewsMissing(sent=sent, needed=call.reviews_needed)


def _check_limits(db: Session, decision: Decision, call: ProgramCall, awarded_ucr: int, *, by: Actor) -> None:
    if awarded_ucr > ALONE_UCR and decision.prepared_by == by.person_id:
        raise SecondPersonNeeded(limit=_whole(ALONE_UCR))
    used = use_of_call(db, call.id)
    if used.seats >= call.seats:
        raise SeatsTaken(seats=call.seats)
    if used.awarded_ucr + awarded_ucr > call.budget_ucr:
        raise CallBudgetPassed(left=_whole(call.budget_ucr - used.awarded_ucr))


def _whole(amount_ucr: int) -> int:
    return amount_ucr // UCR_PER_CREDIT
