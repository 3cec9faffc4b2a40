"""Weekly allowances: what a member may take of a project's credits in a week, and more of it on request."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.compute.models import Allowance, AllowanceAsk
from portal.compute.queries import allowances as queries
from portal.compute.states import ASK, AskState
from portal.core import audit
from portal.core.access import Actor
from portal.core.database import Json
from portal.core.errors import N_, Conflict, Invalid, NotFound, Refused
from portal.core.ids import new_id
from portal.core.quantities import charge_ucr, short_credits
from portal.credits.calendar import week_start
from portal.identity import relations as identity
from portal.notifications.operations import outbox
from portal.notifications.recipients import Recipient
from portal.projects import queries as projects
from portal.projects import relations as project_relations
from portal.projects.states import MemberRole

LONGEST_TEXT = 400


class AllowanceSpent(Refused):
    """What the session may cost is more than the member's week still has."""

    text = N_("Your weekly allowance of this project has %(left)s credits left; this session may cost %(cost)s. Choose a shorter one, or ask for more.")
    field = "hours"


class AlreadyAsked(Conflict):
    """One request at a time."""

    text = N_("You asked for more already. The project’s leads answer that first.")
    field = "amount"


class NoAllowance(Invalid):
    """Without a limit there is nothing to ask for."""

    text = N_("You have no weekly limit in this project.")
    field = "amount"


class TextTooLong(Invalid):
    """A reason and an answer are short."""

    text = N_("At most %(most)s characters.")


class Closed(Refused):
    """A closed project pays nothing any more."""

    text = N_("This project is closed: nothing can be paid from it any more.")


def require(db: Session, *, project_id: uuid.UUID, rate_ucr_per_hour: int, duration_s: int, by: Actor, now: datetime) -> None:
    """Refuse a session that may cost more than the member's week still has. Raises AllowanceSpent.

    The caller holds the person's lock, so that two requests of one member see each other.
    """
    week = queries.allowance_of(db, project_id, by.id, now=now)
    cost_ucr = charge_ucr(rate_ucr_per_hour, duration_s)
    if not week.fits(cost_ucr):
        raise AllowanceSpent(left=short_credits(week.left_ucr), cost=short_credits(cost_ucr))


def set_weekly(db: Session, *, project_id: uuid.UUID, person_id: uuid.UUID | None, weekly_ucr: int | None, by: Actor, now: datetime) -> None:
    """Set the allowance of a member, or with None of all who have none of their own; without an amount it is taken away.

    Raises NotFound unless the actor leads the project and the person is a member.
    """
    projects.require_member(db, project_id, by, MemberRole.LEAD)
    if person_id is not None:
        _require_current(db, project_id, person_id)
    _set(db, project_id, person_id, weekly_ucr, by=by, now=now)


def ask(db: Session, *, project_id: uuid.UUID, asked_ucr: int, reason: str, by: Actor, now: datetime) -> uuid.UUID:
    """Ask a project's leads for more, and tell them. Raises NotFound, Closed, NoAllowance, AlreadyAsked, TextTooLong."""
    projects.require_member(db, project_id, by)
    _require_open(db, project_id)
    if len(reason) > LONGEST_TEXT:
        raise TextTooLong(field="reason", most=LONGEST_TEXT)
    if queries.allowance_of(db, project_id, by.id, now=now).weekly_ucr is None:
        raise NoAllowance
    id_ = new_id()
    row = {"id": id_, "project_id": project_id, "person_id": by.id, "asked_ucr": asked_ucr, "reason": reason, "state": AskState.OPEN.value, "asked_at": now}
    statement = insert(AllowanceAsk).values(**row, is_lasting=False, answer="")
    number = db.execute(statement.on_conflict_do_nothing().returning(AllowanceAsk.number)).scalar_one_or_none()
    if number is None:
        raise AlreadyAsked
    audit.record(db, "asked", "allowance", id_, by=by, now=now, project_id=str(project_id), asked_ucr=str(asked_ucr))
    context = {"asked_by": _name(db, by.id), "asked_ucr": asked_ucr, "reason": reason, "number": number}
    _tell(db, "compute.allowance_asked", project_id, _leads(db, project_id), context, now=now)
    return id_


def give(db: Session, *, ask_id: uuid.UUID, given_ucr: int, is_lasting: bool, answer: str, by: Actor, now: datetime) -> None:
    """Give more, in this week or in every week, and tell who asked. Raises NotFound, WrongState, TextTooLong."""
    row = _answer(db, ask_id, "accept", answer, by=by, now=now, given_ucr=given_ucr, is_lasting=is_lasting, week_on=week_start(now))
    if is_lasting:
        week = queries.allowance_of(db, row.project_id, row.person_id, now=now)
        _set(db, row.project_id, row.person_id, (week.weekly_ucr or 0) + given_ucr, by=by, now=now)


def decline(db: Session, *, ask_id: uuid.UUID, answer: str, by: Actor, now: datetime) -> None:
    """Decline, and tell who asked. Raises NotFound, WrongState, TextTooLong."""
    _answer(db, ask_id, "decline", answer, by=by, now=now)


def withdraw(db: Session, *, project_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Take one's own open request back; a second time changes nothing."""
    mine = (AllowanceAsk.project_id == project_id) & (AllowanceAsk.person_id == by.id) & AllowanceAsk.state.in_(ASK.sources("withdraw"))
    values = {"state": AskState.WITHDRAWN.value, "answered_at": now}
    for id_ in db.execute(update(AllowanceAsk).where(mine).values(**values).returning(AllowanceAsk.id)).scalars().all():
        audit.record(db, "withdrew", "allowance", id_, by=by, now=now)


def _answer(db: Session, ask_id: uuid.UUID, name: str, answer: str, *, by: Actor, now: datetime, **values: object) -> AllowanceAsk:
    row = db.execute(select(AllowanceAsk).where(AllowanceAsk.id == ask_id).with_for_update()).scalar_one_or_none()
    if row is None:
        raise NotFound
    projects.require_member(db, row.project_id, by, MemberRole.LEAD)
    _require_current(db, row.project_id, row.person_id)
    if len(answer) > LONGEST_TEXT:
        raise TextTooLong(field="answer", most=LONGEST_TEXT)
    state = ASK.target(name, AskState(row.state))
    changes = {"state": state.value, "answered_at": now, "answered_by_id": by.id, "answer": answer, **values}
    db.execute(update(AllowanceAsk).where(AllowanceAsk.id == ask_id).values(**changes))
    db.refresh(row)
    audit.record(db, name, "allowance", ask_id, by=by, now=now, given_ucr=str(row.given_ucr or 0), is_lasting=row.is_lasting)
    context = {"state": state.value, "given_ucr": row.given_ucr or 0, "is_lasting": row.is_lasting, "answer": answer}
    _tell(db, "compute.allowance_answered", row.project_id, [row.person_id], context, now=now)
    return row


def _set(db: Session, project_id: uuid.UUID, person_id: uuid.UUID | None, weekly_ucr: int | None, *, by: Actor, now: datetime) -> None:
    same = (Allowance.project_id == project_id) & Allowance.person_id.is_not_distinct_from(person_id)
    # One change of a project's allowances at a time: two that run together would both insert.
    db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"compute.allowance:{project_id}", 0))))
    db.execute(delete(Allowance).where(same))
    if weekly_ucr is not None:
        db.execute(insert(Allowance).values(id=new_id(), project_id=project_id, person_id=person_id, weekly_ucr=weekly_ucr, set_at=now))
    who = str(person_id) if person_id else "everybody"
    audit.record(db, "set", "allowance", project_id, by=by, now=now, person_id=who, weekly_ucr=None if weekly_ucr is None else str(weekly_ucr))


def _require_current(db: Session, project_id: uuid.UUID, person_id: uuid.UUID) -> None:
    member = project_relations.member.c
    if db.execute(select(member.person_id).where(member.project_id == project_id, member.person_id == person_id)).first() is None:
        raise NotFound


def _require_open(db: Session, project_id: uuid.UUID) -> None:
    project = project_relations.project.c
    if not db.execute(select(project.is_open).where(project.id == project_id)).scalar_one():
        raise Closed


def _leads(db: Session, project_id: uuid.UUID) -> Sequence[uuid.UUID]:
    member = project_relations.member.c
    return db.execute(select(member.person_id).where(member.project_id == project_id, member.role == MemberRole.LEAD.value)).scalars().all()


def _name(db: Session, person_id: uuid.UUID) -> str:
    return str(db.execute(select(identity.person.c.display_name).where(identity.person.c.id == person_id)).scalar_one())


def _tell(db: Session, kind: str, project_id: uuid.UUID, person_ids: Sequence[uuid.UUID], context: Json, *, now: datetime) -> None:
    person, project = identity.person.c, project_relations.project.c
    named = db.execute(select(project.name, project.slug).where(project.id == project_id)).one()
    query = select(person.id, person.email, person.display_name, person.language, person.zone).where(person.id.in_(person_ids), person.is_active)
    for row in db.execute(query.order_by(person.id)):
        recipient = Recipient(row.id, row.email, row.language, row.zone)
        outbox.queue(db, kind=kind, recipient=recipient, context={"name": row.display_name, "project": named.name, "slug": named.slug, **context}, now=now)
