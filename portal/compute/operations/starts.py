"""The steps of a start between the calls to the hub. Each takes the session's row lock and does nothing when it came too late."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.compute import rules
from portal.compute.models import ComputeSession
from portal.compute.operations import endings, nodes, observations, tickets
from portal.compute.states import SESSION, Failure, SessionState
from portal.core import audit
from portal.core.access import Actor
from portal.identity import relations as identity


@dataclass(frozen=True)
class Launch:
    """What the job tells the hub. attempt: 1 for the first."""

    session_id: uuid.UUID
    username: str
    server: str
    attempt: int
    ticket: str = field(repr=False)


def begin(db: Session, *, session_id: uuid.UUID, by: Actor, now: datetime) -> Launch | None:
    """Return what to tell the hub, with a new ticket; None when the session no longer wants to start."""
    row = _locked(db, session_id)
    if row is None or row.state not in {SessionState.REQUESTED, SessionState.STARTING} or row.redeemed_at is not None:
        return None
    person = identity.person.c
    username, is_active = db.execute(select(person.slug, person.is_active).where(person.id == row.person_id)).one()
    if not is_active:
        endings.fail(db, row, Failure.PERSON_INACTIVE, by=by, now=now)
        return None
    if row.state == SessionState.REQUESTED:
        row.state = SESSION.target("begin", SessionState.REQUESTED).value
        row.starting_at = now
    row.start_attempts += 1
    return Launch(row.id, username, row.slug, row.start_attempts, tickets.issue(db, row, username=username, now=now))


def mark_ready(db: Session, *, session_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Note that the server answers; this is when the person may open it."""
    row = _locked(db, session_id)
    if row is None or row.state not in {SessionState.STARTING, SessionState.RUNNING} or row.ready_at is not None:
        return
    row.ready_at = now
    nodes.note_start(db, row)
    if row.state == SessionState.STARTING:
        row.state = SESSION.target("run", SessionState.STARTING).value
    db.flush()
    observations.record(db, [(row, life) for life in observations.lives(db, {row.id: row}).values()], now=now)
    audit.record(db, "ready", "compute_session", row.id, by=by, now=now)


def give_up(db: Session, *, session_id: uuid.UUID, failure: Failure, by: Actor, now: datetime) -> None:
    """End a start that failed; nothing is charged.

    With the hub away and the ticket spent, a server may be coming up: the reconciler decides, once the hub answers.
    """
    row = _locked(db, session_id)
    if row is None:
        return
    if row.state == SessionState.STOPPING and row.started_at is None and row.redeemed_at is None:
        endings.end_unused(db, row, by=by, now=now)
    if row.state not in SESSION.sources("fail") or row.ready_at is not None:
        return
    if failure is Failure.HUB_AWAY and row.redeemed_at is not None:
        return
    endings.fail(db, row, failure, by=by, now=now)


def is_waiting(db: Session, session_id: uuid.UUID) -> tuple[str, str] | None:
    """Return user and server of a session whose server is not known to answer yet, None when there is nothing to wait for."""
    person = identity.person.c
    query = (
        select(person.slug, ComputeSession.slug)
        .join(identity.person, person.id == ComputeSession.person_id)
        .where(ComputeSession.id == session_id, ComputeSession.state.in_([SessionState.STARTING, SessionState.RUNNING]), ComputeSession.ready_at.is_(None))
    )
    found = db.execute(query).one_or_none()
    return None if found is None else (found[0], found[1])


def may_try_again(attempt: int) -> bool:
    """Return whether an absent hub is asked once more."""
    return attempt < rules.HUB_START_ATTEMPTS


def _locked(db: Session, session_id: uuid.UUID) -> ComputeSession | None:
    return db.execute(select(ComputeSession).where(ComputeSession.id == session_id).with_for_update()).scalar_one_or_none()
