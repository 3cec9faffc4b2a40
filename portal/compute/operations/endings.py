"""How a session ends: finished (its end was seen), lost (nobody saw it), or without having run. Each settles its credits.

The caller holds the session's row lock.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from portal.compute.models import ComputeSession, Device, DeviceHold, SessionFile
from portal.compute.operations import nodes
from portal.compute.operations.letters import write_letters
from portal.compute.rules import Life
from portal.compute.states import SESSION, Failure, SessionState, StopCause
from portal.core import audit, facts, jobs
from portal.core.access import Actor
from portal.credits.operations import corrections, meters

IDLE_RULE = Actor.process("idle")


def finish(db: Session, row: ComputeSession, life: Life, *, by: Actor, now: datetime, exit_code: int | None = None) -> None:
    """End a session whose end was seen: all its proven seconds are booked, the rest of the hold comes back."""
    row.state = SESSION.target("finish", SessionState(row.state)).value
    row.stop_cause = row.stop_cause or StopCause.ITSELF.value
    row.exit_code = exit_code
    _settle(db, row, life, by=by, now=now)


def lose(db: Session, row: ComputeSession, life: Life, *, by: Actor, now: datetime) -> None:
    """End a session whose end nobody saw: it is billed to its last observation."""
    row.state = SESSION.target("lose", SessionState(row.state)).value
    _settle(db, row, life, by=by, now=now)


def correct(db: Session, row: ComputeSession, life: Life, *, now: datetime) -> None:
    """Book what late observations prove of a session that was settled before."""
    row.proven_s, row.started_at, row.last_seen_at = life.proven_s, life.started_at, life.last_seen_at
    row.ended_at = life.started_at + timedelta(seconds=life.proven_s)
    meters.settle(db, session_id=row.id, generation=row.generation, proven_s=life.proven_s, ended_at=row.ended_at, now=now)
    _refund_idle(db, row, life, now=now)


def fail(db: Session, row: ComputeSession, failure: Failure, *, by: Actor, now: datetime) -> None:
    """End a session that never became usable: nothing is charged."""
    if failure is Failure.DID_NOT_START:
        nodes.note_failed_start(db, row, by=by, now=now)
    row.state = SESSION.target("fail", SessionState(row.state)).value
    row.failure = failure.value
    _void(db, row, reason=failure.value, by=by, now=now)


def end_unused(db: Session, row: ComputeSession, *, by: Actor, now: datetime) -> None:
    """End a session that was stopped before it ran: nothing is charged."""
    name = "cancel" if row.state in {SessionState.QUEUED, SessionState.REQUESTED} else "end_unused"
    row.state = SESSION.target(name, SessionState(row.state)).value
    _void(db, row, reason=row.stop_cause or StopCause.PERSON.value, by=by, now=now)


def _settle(db: Session, row: ComputeSession, life: Life, *, by: Actor, now: datetime) -> None:
    row.proven_s, row.started_at, row.last_seen_at = life.proven_s, life.started_at, life.last_seen_at
    row.ended_at = life.started_at + timedelta(seconds=life.proven_s)
    meters.settle(db, session_id=row.id, generation=row.generation, proven_s=life.proven_s, ended_at=row.ended_at, now=now)
    _refund_idle(db, row, life, now=now)
    _close(db, row, by=by, now=now)


def _refund_idle(db: Session, row: ComputeSession, life: Life, *, now: datetime) -> None:
    """Give back the tail of a session that was stopped for idleness, from the end of its grace on, and tell its person."""
    if row.idle_from_at is None:
        return
    from_s = (row.idle_from_at - life.started_at) // timedelta(seconds=1)
    back_ucr = corrections.forgive_tail(db, session_id=row.id, generation=row.generation, from_s=from_s, reason="idle", by=IDLE_RULE, now=now)
    if back_ucr:
        more = {"back_ucr": back_ucr, "idle_from": row.idle_from_at.isoformat()}
        write_letters(db, "compute.idle_refunded", [row.id], now=now, more={row.id: more})


def _void(db: Session, row: ComputeSession, *, reason: str, by: Actor, now: datetime) -> None:
    row.ended_at = now
    row.proven_s = 0
    if row.admitted_at is not None:
        meters.void(db, session_id=row.id, generation=row.generation, reason=reason, now=now)
    _close(db, row, by=by, now=now)


def _close(db: Session, row: ComputeSession, *, by: Actor, now: datetime) -> None:
    db.flush()
    release(db, [row.id], now=now)
    if row.starting_at is not None:
        # The hub forgets the server's name, and stops what may have come up after all.
        jobs.enqueue(db, "compute.stop_servers", session_ids=[str(row.id)])
    audit.record(db, row.state, "compute_session", row.id, by=by, now=now, proven_s=row.proven_s, cause=row.stop_cause, failure=row.failure)
    facts.write(
        db,
        "compute.session_ended",
        row.id,
        now=now,
        number=row.number,
        project_id=str(row.project_id),
        person_id=str(row.person_id),
        state=row.state,
        cause=row.stop_cause,
        failure=row.failure,
        proven_s=row.proven_s,
    )


def release(db: Session, session_ids: Sequence[uuid.UUID], *, now: datetime) -> None:
    """Give devices back, and let whoever waits for one have it; files that wait to be placed are of no more use."""
    freed = update(DeviceHold).where(DeviceHold.session_id.in_(session_ids), DeviceHold.released_at.is_(None)).values(released_at=now)
    device_ids = list(db.execute(freed.returning(DeviceHold.device_id)).scalars())
    if device_ids:
        for device_class in db.execute(select(Device.device_class).where(Device.id.in_(device_ids)).distinct()).scalars():
            jobs.enqueue(db, "compute.admit", device_class=device_class, once_as=f"admit:{device_class}")
    db.execute(delete(SessionFile).where(SessionFile.session_id.in_(session_ids)))
