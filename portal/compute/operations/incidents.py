"""Faults of the hub, made good by rule: noticed from how a session ended, or opened by staff for a time and a node.

An incident that a rule noticed is made good at once. One that staff opened is looked at first, session by session, and
confirmed; above the limit for one person, or where whoever confirms is a member of a project that would gain, by two. A
session is made good by one incident alone, whatever else is opened later.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.compute import rules
from portal.compute.models import ComputeSession, Device, DeviceHold, Incident, IncidentSession, Node
from portal.compute.operations.letters import write_letters
from portal.compute.queries.incidents import Touched, gift_of, touched
from portal.compute.states import INCIDENT, Failure, IncidentKind, IncidentState, SessionState, fault_of
from portal.core import audit, jobs
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid, NotFound, Refused
from portal.core.ids import new_id
from portal.core.quantities import decimal_credits
from portal.credits.operations import grants, make_good
from portal.credits.queries.faults import StruckSession, struck_sessions
from portal.credits.rules.faults import Gift
from portal.credits.states import FaultRule
from portal.projects import relations as projects

ALONE_UCR = grants.ALONE_UCR
LONGEST_NOTE = 400


class BadSpan(Invalid):
    """An incident is a time that is over."""

    text = N_("An incident ends after it begins, and not in the future.")
    field = "ends"


class NoNote(Invalid):
    """People are told what happened."""

    text = N_("Say what happened: the people of the sessions read it.")
    field = "note"


class NothingTouched(Conflict):
    """No session lost anything, or all of them are made good already."""

    text = N_("No session of this time is left to make good.")


class FiguresChanged(Conflict):
    """The dry run is not what was looked at."""

    text = N_("The figures have changed since you looked. Look at them once more.")


class SamePerson(Refused):
    """Whoever asked cannot approve."""

    text = N_("You asked for this yourself, so somebody else has to approve it.")


class NotYours(Refused):
    """Only whoever asked may withdraw."""

    text = N_("Only the person who asked for this can withdraw it.")


def note_end(db: Session, *, session_id: uuid.UUID, now: datetime) -> uuid.UUID | None:
    """Make good what the hub's fault took, where a session's end shows one, and return the incident; a second time changes nothing."""
    row = db.get(ComputeSession, session_id)
    struck = struck_sessions(db, [session_id]).get(session_id)
    if row is None or row.ended_at is None or struck is None:
        return None
    kind = fault_of(
        state=SessionState(row.state),
        failure=Failure(row.failure) if row.failure else None,
        was_asked_to_stop=row.stop_cause is not None,
        was_redeemed=row.redeemed_at is not None,
        is_charged=struck.struck.charged_s > 0,
    )
    if kind is None or _is_known(db, session_id) or (kind is IncidentKind.FAILED_START and _waited_before(db, row, struck, now)):
        return None
    node_id = _node_of(db, session_id) if kind is IncidentKind.NODE_DEATH else None
    gift = gift_of(Incident(kind=kind.value, starts_at=row.ended_at, ends_at=row.ended_at), row, struck)
    if gift.total_ucr <= 0:
        return None
    incident = _noticed(db, kind, node_id, row.ended_at, now)
    if not _add(db, incident, [(session_id, gift)]):
        return None
    _give(db, incident, session_id, struck, gift, now=now)
    return incident.id


def open(  # noqa: A001 -- incidents.open reads as what it does
    db: Session, *, kind: IncidentKind, node_id: uuid.UUID | None, starts_at: datetime, ends_at: datetime, note: str, by: Actor, now: datetime
) -> int:
    """Open an incident by hand, to look at what it would give, and return its number. Raises BadSpan, NoNote, NotFound."""
    if not starts_at < ends_at <= now:
        raise BadSpan
    if not 0 < len(note.strip()) <= LONGEST_NOTE:
        raise NoNote
    if node_id is not None and db.get(Node, node_id) is None:
        raise NotFound
    times = {"starts_at": starts_at, "ends_at": ends_at, "opened_at": now}
    incident = Incident(id=new_id(), kind=kind.value, node_id=node_id, note=note.strip(), state=IncidentState.OPEN.value, opened_by_id=by.id, **times)
    db.add(incident)
    db.flush()
    audit.record(db, "opened", "incident", incident.id, by=by, now=now, kind=kind.value, note=note.strip())
    return incident.number


def confirm(db: Session, *, incident_id: uuid.UUID, seen_ucr: int, by: Actor, now: datetime) -> IncidentState:
    """Make an incident good, or ask a second person to; seen_ucr: the sum that was looked at.

    Raises NothingTouched, FiguresChanged, WrongState, NotFound.
    """
    incident = _locked(db, incident_id)
    found = _struck(db, incident, "confirm", now=now)
    total_ucr = sum(row.total_ucr for row in found)
    if total_ucr != seen_ucr:
        raise FiguresChanged
    takes_two = total_ucr > ALONE_UCR or _gains(db, found, by)
    asked = {"asked_ucr": total_ucr, "asked_by_id": by.id, "takes_two": takes_two}
    state = INCIDENT.target("ask" if takes_two else "confirm", IncidentState(incident.state))
    decided = {} if takes_two else {"decided_at": now, "decided_by_id": by.id}
    _set(db, incident, state, "asked" if takes_two else "confirmed", by=by, now=now, **asked, **decided)
    if not takes_two:
        _begin(db, incident, found)
    return state


def approve(db: Session, *, incident_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Make an incident good as the second person. Raises SamePerson, OwnProject, FiguresChanged, NothingTouched, WrongState, NotFound."""
    incident = _locked(db, incident_id)
    state = INCIDENT.target("approve", IncidentState(incident.state))
    if incident.asked_by_id == by.id:
        raise SamePerson
    found = _struck(db, incident, "approve", now=now)
    if _gains(db, found, by):
        raise grants.OwnProject
    if sum(row.total_ucr for row in found) > (incident.asked_ucr or 0):
        raise FiguresChanged
    _set(db, incident, state, "approved", by=by, now=now, decided_at=now, decided_by_id=by.id)
    _begin(db, incident, found)


def decline(db: Session, *, incident_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Decline as the second person: nothing is given. Raises SamePerson, WrongState, NotFound."""
    incident = _locked(db, incident_id)
    state = INCIDENT.target("decline", IncidentState(incident.state))
    if incident.asked_by_id == by.id:
        raise SamePerson
    _set(db, incident, state, "declined", by=by, now=now, decided_at=now, decided_by_id=by.id)


def withdraw(db: Session, *, incident_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Take back what one asked for oneself; the incident is open again. Raises NotYours, WrongState, NotFound."""
    incident = _locked(db, incident_id)
    state = INCIDENT.target("withdraw", IncidentState(incident.state))
    if incident.asked_by_id != by.id:
        raise NotYours
    _set(db, incident, state, "withdrew", by=by, now=now, asked_ucr=None, asked_by_id=None, takes_two=False)


def dismiss(db: Session, *, incident_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Say that there is nothing to make good. Raises WrongState, NotFound."""
    incident = _locked(db, incident_id)
    _set(db, incident, INCIDENT.target("dismiss", IncidentState(incident.state)), "dismissed", by=by, now=now, decided_at=now, decided_by_id=by.id)


def give_next(db: Session, *, incident_id: uuid.UUID, now: datetime) -> bool:
    """Give one session what it gets; return whether there may be more. The last one finishes the incident.

    One session a transaction: wallets and the hub's fund are locked in one order everywhere.
    """
    incident = _locked(db, incident_id)
    if incident.state != IncidentState.GIVING:
        return False
    waiting = select(IncidentSession).where(IncidentSession.incident_id == incident_id, IncidentSession.given_at.is_(None))
    line = db.execute(waiting.order_by(IncidentSession.session_id).limit(1)).scalar_one_or_none()
    if line is None:
        _set(db, incident, INCIDENT.target("finish", IncidentState.GIVING), "made good", by=make_good.RULES, now=now)
        return False
    struck = struck_sessions(db, [line.session_id])[line.session_id]
    _give(db, incident, line.session_id, struck, Gift(line.duration_s, line.amount_ucr, line.late_ucr), now=now)
    return True


def _struck(db: Session, incident: Incident, transition: str, *, now: datetime) -> list[Touched]:
    INCIDENT.target(transition, IncidentState(incident.state))
    found = touched(db, incident, now=now)
    if not found:
        raise NothingTouched
    return found


def _begin(db: Session, incident: Incident, found: Sequence[Touched]) -> None:
    _add(db, incident, [(row.id, Gift(row.duration_s, row.amount_ucr, row.late_ucr)) for row in found])
    jobs.enqueue(db, "compute.make_good_incident", incident_id=str(incident.id), lock=f"incident:{incident.id}")


def _add(db: Session, incident: Incident, gifts: Sequence[tuple[uuid.UUID, Gift]]) -> bool:
    """Note what sessions get of an incident; those that another has made good meanwhile are left out. Return whether any was new."""
    rows = [{"incident_id": incident.id, "session_id": session_id, **vars(gift)} for session_id, gift in gifts]
    made = insert(IncidentSession).values(rows).on_conflict_do_nothing(index_elements=["session_id"]).returning(IncidentSession.session_id)
    return bool(db.execute(made).scalars().all())


def _give(db: Session, incident: Incident, session_id: uuid.UUID, struck: StruckSession, gift: Gift, *, now: datetime) -> None:
    """Give the lots, and tell the person."""
    terms = {"wallet_id": struck.wallet_id, "session_id": session_id, "incident_id": incident.id, "note": incident.note, "now": now}
    rule = FaultRule(incident.kind)
    make_good.give(db, rule=rule, amount_ucr=gift.amount_ucr, duration_s=gift.duration_s, **terms)  # type: ignore[arg-type]
    make_good.give(db, rule=FaultRule.RELEASED_TOO_LATE, amount_ucr=gift.late_ucr, duration_s=0, **terms)  # type: ignore[arg-type]
    same = (IncidentSession.incident_id == incident.id) & (IncidentSession.session_id == session_id)
    db.execute(update(IncidentSession).where(same).values(given_at=now))
    audit.record(db, "made good", "compute_session", session_id, by=make_good.RULES, now=now, incident=incident.number, amount=decimal_credits(gift.total_ucr))
    more = {"kind": incident.kind, "amount_ucr": gift.total_ucr, "ends_at": (now + make_good.VALID).isoformat(), "note": incident.note}
    write_letters(db, "compute.made_good", [session_id], now=now, more={session_id: more})


def _noticed(db: Session, kind: IncidentKind, node_id: uuid.UUID | None, at: datetime, now: datetime) -> Incident:
    """Return the incident that a rule noticed before nearby, made longer to reach an instant, or a new one."""
    db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"incident:{kind}:{node_id}", 0))))
    near = (Incident.starts_at <= at + rules.INCIDENT_GAP) & (Incident.ends_at >= at - rules.INCIDENT_GAP)
    same = (Incident.kind == kind.value) & Incident.node_id.is_not_distinct_from(node_id) & Incident.opened_by_id.is_(None)
    query = select(Incident).where(near, same).order_by(Incident.id.desc()).limit(1).with_for_update()
    found = db.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    if found is not None:
        found.starts_at, found.ends_at = min(found.starts_at, at), max(found.ends_at, at)
        return found
    times = {"starts_at": at, "ends_at": at, "opened_at": now, "decided_at": now}
    incident = Incident(id=new_id(), kind=kind.value, node_id=node_id, note="", state=IncidentState.MADE_GOOD.value, **times)
    db.add(incident)
    db.flush()
    audit.record(db, "noticed", "incident", incident.id, by=make_good.RULES, now=now, kind=kind.value)
    return incident


def _is_known(db: Session, session_id: uuid.UUID) -> bool:
    return db.execute(select(IncidentSession.session_id).where(IncidentSession.session_id == session_id)).first() is not None


def _waited_before(db: Session, row: ComputeSession, struck: StruckSession, now: datetime) -> bool:
    """Return whether only time waited would be made good, and the person had that today already."""
    if struck.struck.charged_s > 0:
        return False
    # One end of a person at a time: two that run together would not see each other's gift.
    db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"incident:waited:{row.person_id}", 0))))
    earlier = (
        select(IncidentSession.session_id)
        .join(Incident, Incident.id == IncidentSession.incident_id)
        .join(ComputeSession, ComputeSession.id == IncidentSession.session_id)
        .where(Incident.kind == IncidentKind.FAILED_START.value, ComputeSession.person_id == row.person_id)
        .where(IncidentSession.given_at > now - rules.WAITS_MADE_GOOD_EVERY)
    )
    return db.execute(earlier.limit(1)).first() is not None


def _node_of(db: Session, session_id: uuid.UUID) -> uuid.UUID | None:
    query = select(Device.node_id).join(DeviceHold, DeviceHold.device_id == Device.id).where(DeviceHold.session_id == session_id)
    return db.execute(query.order_by(DeviceHold.held_at.desc()).limit(1)).scalar_one_or_none()


def _gains(db: Session, found: Sequence[Touched], by: Actor) -> bool:
    """Return whether a person is a member of a project that would get something."""
    member = projects.member.c
    own = select(member.project_id).where(member.person_id == by.id, member.project_id.in_({row.project_id for row in found}))
    return db.execute(own.limit(1)).first() is not None


def _locked(db: Session, incident_id: uuid.UUID) -> Incident:
    query = select(Incident).where(Incident.id == incident_id).with_for_update().execution_options(populate_existing=True)
    incident = db.execute(query).scalar_one_or_none()
    if incident is None:
        raise NotFound
    return incident


def _set(db: Session, incident: Incident, state: IncidentState, action: str, *, by: Actor, now: datetime, **values: object) -> None:
    db.execute(update(Incident).where(Incident.id == incident.id).values(state=state.value, **values))
    audit.record(db, action, "incident", incident.id, by=by, now=now, number=incident.number)
