"""Incidents as staff see them: the list, one with what it gave, and a dry run of what one would give."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session

from portal.compute.models import ComputeSession, Device, DeviceHold, Incident, IncidentSession, Node
from portal.compute.states import Failure, IncidentKind, IncidentState, SessionState, StopCause
from portal.core.errors import N_, Invalid, NotFound
from portal.core.pages import PAGE_SIZE, Page, page_of, parse_mark
from portal.credits.queries.faults import StruckSession, struck_sessions
from portal.credits.rules import faults
from portal.credits.rules.faults import Gift
from portal.identity import relations as identity
from portal.projects import relations as projects

MOST_TOUCHED = 2000
_SECOND = timedelta(seconds=1)


class TooManyTouched(Invalid):
    """An incident is confirmed as a whole, so it is not larger than people can look at."""

    text = N_("More than %(most)s sessions are touched. Choose a shorter time, or one node.")


@dataclass(frozen=True)
class IncidentRow:
    """An incident; node_name None: all nodes. opened_by None: a rule noticed it. given: sessions made good, and how much they got."""

    id: uuid.UUID
    number: int
    kind: IncidentKind
    node_id: uuid.UUID | None
    node_name: str | None
    starts_at: datetime
    ends_at: datetime
    note: str
    state: IncidentState
    opened_at: datetime
    opened_by: str | None
    asked_by_id: uuid.UUID | None
    sessions: int
    total_ucr: int


@dataclass(frozen=True)
class Touched:
    """A session that an incident struck, and what it gets or would get."""

    id: uuid.UUID
    number: int
    label: str
    person_name: str
    project_id: uuid.UUID
    project_name: str
    duration_s: int
    amount_ucr: int
    late_ucr: int

    @property
    def total_ucr(self) -> int:
        """Return all that it gets."""
        return self.amount_ucr + self.late_ucr


def _incidents() -> Select[Any]:
    person, of = identity.person.c, IncidentSession.incident_id == Incident.id
    return (
        select(Incident.id, Incident.number, Incident.kind, Incident.node_id, Node.name.label("node_name"), Incident.starts_at, Incident.ends_at)
        .add_columns(Incident.note, Incident.state, Incident.opened_at, person.display_name.label("opened_by"), Incident.asked_by_id)
        .add_columns(select(func.count()).select_from(IncidentSession).where(of).correlate(Incident).scalar_subquery().label("sessions"))
        .add_columns(
            select(func.coalesce(func.sum(IncidentSession.amount_ucr + IncidentSession.late_ucr), 0))
            .where(of)
            .correlate(Incident)
            .scalar_subquery()
            .label("total_ucr")
        )
        .join(Node, Node.id == Incident.node_id, isouter=True)
        .join(identity.person, person.id == Incident.opened_by_id, isouter=True)
    )


def page_of_incidents(db: Session, *, mark: str | None) -> Page[IncidentRow]:
    """Return one page of incidents, newest first."""
    return page_of(db, _incidents(), Incident.id, mark=mark).map(_row)


def incident_by_number(db: Session, number: int) -> IncidentRow:
    """Return an incident. Raises NotFound."""
    row = db.execute(_incidents().where(Incident.number == number)).one_or_none() if 0 < number < 2**63 else None
    if row is None:
        raise NotFound
    return _row(row)


def _row(row: Any) -> IncidentRow:
    kind, state = IncidentKind(row.kind), IncidentState(row.state)
    return IncidentRow(**(row._asdict() | {"kind": kind, "state": state, "total_ucr": int(row.total_ucr)}))


def nodes(db: Session) -> Sequence[tuple[uuid.UUID, str]]:
    """Return id and name of the nodes, by name."""
    return [(row.id, row.name) for row in db.execute(select(Node.id, Node.name).order_by(Node.name).limit(500))]


def touched(db: Session, incident: IncidentRow | Incident, *, now: datetime) -> list[Touched]:
    """Return the sessions that an incident struck and that none has made good yet, each with what it would get; in id order.

    A few statements, whatever their number. Raises TooManyTouched.
    """
    is_known = exists().where(IncidentSession.session_id == ComputeSession.id)
    query = (
        _named(ComputeSession.started_at, ComputeSession.requested_at, ComputeSession.ended_at)
        .where(_struck_by(incident, now), ~is_known)
        .order_by(ComputeSession.id)
        .limit(MOST_TOUCHED + 1)
    )
    if incident.node_id is not None:
        held = (DeviceHold.session_id == ComputeSession.id) & (DeviceHold.device_id == Device.id)
        on_node = exists().where(held, Device.node_id == incident.node_id)
        query = query.where(on_node)
    rows = db.execute(query).all()
    if len(rows) > MOST_TOUCHED:
        raise TooManyTouched(most=MOST_TOUCHED)
    struck = struck_sessions(db, [row.id for row in rows])
    found = [_touched(row, gift_of(incident, row, struck[row.id])) for row in rows if row.id in struck]
    return [row for row in found if row.total_ucr > 0]


def _named(*columns: Any) -> Select[Any]:
    person, project = identity.person.c, projects.project.c
    return (
        select(ComputeSession.id, ComputeSession.number, ComputeSession.label, *columns)
        .add_columns(person.display_name.label("person_name"), ComputeSession.project_id, project.name.label("project_name"))
        .join(identity.person, person.id == ComputeSession.person_id)
        .join(projects.project, project.id == ComputeSession.project_id)
    )


def _struck_by(incident: IncidentRow | Incident, now: datetime) -> ColumnElement[bool]:
    """Return which sessions a kind of incident strikes: those that ran in its time, that ended in it, or that failed to start."""
    ended = ComputeSession.ended_at.between(incident.starts_at, incident.ends_at)
    if incident.kind == IncidentKind.FAILED_START:
        return ended & (ComputeSession.state == SessionState.FAILED) & (ComputeSession.failure != Failure.PERSON_INACTIVE)
    if incident.kind == IncidentKind.NODE_DEATH:
        unasked = (ComputeSession.state == SessionState.LOST) | ComputeSession.stop_cause.in_([StopCause.NO_EVIDENCE, StopCause.ITSELF])
        return ended & unasked & ComputeSession.started_at.is_not(None)
    return (ComputeSession.started_at < incident.ends_at) & (func.coalesce(ComputeSession.ended_at, now) > incident.starts_at)


def gift_of(incident: IncidentRow | Incident, row: Any, struck: StruckSession) -> Gift:
    """Return what a session gets, by the rule of the incident's kind. row: with the session's times."""
    if incident.kind == IncidentKind.FAILED_START:
        return faults.for_failed_start(struck.struck, waited_s=(row.ended_at - (row.admitted_at or row.requested_at)) // _SECOND)
    if incident.kind == IncidentKind.NODE_DEATH or row.started_at is None:
        return faults.for_death(struck.struck)
    begins_s, ends_s = ((at - row.started_at) // _SECOND for at in (incident.starts_at, incident.ends_at))
    return faults.for_outage(struck.struck, begins_s=begins_s, ends_s=ends_s)


def _touched(row: Any, gift: Gift) -> Touched:
    return Touched(row.id, row.number, row.label, row.person_name, row.project_id, row.project_name, gift.duration_s, gift.amount_ucr, gift.late_ucr)


def page_of_touched(rows: Sequence[Touched], *, mark: str | None) -> Page[Touched]:
    """Return one page of a dry run, in id order."""
    direction, key = parse_mark(mark) or ("after", uuid.UUID(int=0))
    is_back = direction == "before"
    beyond = [row for row in rows if (row.id < key if is_back else row.id > key)]
    shown = beyond[-PAGE_SIZE:] if is_back else beyond[:PAGE_SIZE]
    if not shown:
        return Page([])
    return Page(shown, f"after:{shown[-1].id}" if shown[-1] != rows[-1] else None, f"before:{shown[0].id}" if shown[0] != rows[0] else None)


def page_of_given(db: Session, incident_id: uuid.UUID, *, mark: str | None) -> Page[Touched]:
    """Return one page of the sessions that an incident makes good, newest first."""
    query = _named(IncidentSession.duration_s, IncidentSession.amount_ucr, IncidentSession.late_ucr)
    query = query.join(IncidentSession, IncidentSession.session_id == ComputeSession.id).where(IncidentSession.incident_id == incident_id)
    return page_of(db, query, ComputeSession.id, mark=mark).map(lambda row: Touched(**row._asdict()))
