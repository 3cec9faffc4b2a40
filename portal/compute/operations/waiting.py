"""The queue: a request takes its place, and whoever is next starts when a device is free.

One decision at a time for a class of devices (`_lock`): two workers never give one device twice. Credits are held when a
request is admitted, not while it waits; who cannot pay then leaves the queue, is told, and keeps nobody else waiting.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.compute import rules
from portal.compute.models import ComputeSession, Device, DeviceHold, PriceVersion, Profile
from portal.compute.operations import endings, quotas
from portal.compute.operations.letters import write_letters
from portal.compute.queries import waiting as reads
from portal.compute.queries.windows import kept_until, latest_end
from portal.compute.states import SESSION, SessionState, StopCause
from portal.core import audit, jobs
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, DomainError
from portal.core.ids import new_id
from portal.credits import queries as ledger
from portal.credits.operations import meters
from portal.identity import queries as identity

QUEUE = Actor.process("queue")
MOST_AT_ONCE = 200


class NoMachine(Conflict):
    """No device of the profile's class is open: waiting would not help."""

    text = N_("No machine of this kind is open just now. Nothing was held and nothing is charged.")
    field = "profile"


class WindowAhead(Conflict):
    """What is free is closed, or kept for others, before a session of this length would end."""

    text = N_("The free machines of this kind close before a session of this length would end. Choose a shorter one, or another machine.")
    field = "hours"


def lock(db: Session, device_class: str) -> None:
    """Let nobody else decide about a class until this transaction ends."""
    db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"compute.queue:{device_class}", 0))))


def place(db: Session, row: ComputeSession, device_class: str, *, by: Actor, now: datetime) -> None:
    """Let a new request start at once where it may, else give it its place and its promise.

    The row is QUEUED and flushed, and the class is locked. Raises NoMachine, and the ledger's NoCredit: who could not pay now does not wait.
    """
    stand = reads.standing(db, device_class, now=now).without(row.id)
    if not stand.capacity:
        raise NoMachine
    device_id = _free_device(db, row, stand.free_ids, now=now)
    if not stand.is_contended:
        if device_id is None:
            raise WindowAhead
        _start(db, row, device_id, by=by, now=now)
        return
    delay = reads.delay_s(db, device_class, row.project_id, besides=row.id, now=now)
    row.rank_at = now + timedelta(seconds=delay)
    me = reads.Waiter(row.id, row.project_id, row.duration_s, row.rank_at)
    if device_id is not None and row.id in {one.id for one in stand.decision(with_one=me).starts}:
        _start(db, row, device_id, by=by, now=now)
        return
    _require_credit(db, row, by=by, now=now)
    found = reads.forecast(db, stand, rank_at=row.rank_at, session_id=row.id)
    if found is not None:
        estimate, _ = found
        row.half_by, row.most_by = now + timedelta(seconds=estimate.half_s), now + timedelta(seconds=estimate.most_s)
        row.drawn_half_s, row.drawn_most_s = estimate.raw_half_s, estimate.raw_most_s
    db.flush()
    if stand.free_ids:
        # Whoever is ahead may be kept from it by a window or a quota: the next look finds out.
        jobs.enqueue(db, "compute.admit", device_class=device_class, once_as=f"admit:{device_class}")
    audit.record(db, "queued", "compute_session", row.id, by=by, now=now, rank_at=row.rank_at.isoformat())


def admit(db: Session, device_class: str, *, now: datetime) -> list[uuid.UUID]:
    """Start whoever is next while devices are free, and return them; who cannot pay leaves the queue."""
    lock(db, device_class)
    started: list[uuid.UUID] = []
    # Whom a window or a quota keeps from starting now: the next is asked, and nothing is kept for them.
    passed: set[uuid.UUID] = set()
    for _ in range(MOST_AT_ONCE):
        stand = reads.standing(db, device_class, now=now)
        for session_id in passed:
            stand = stand.without(session_id)
        chosen = [one.id for one in stand.decision().starts] if stand.waiters and stand.free_ids else []
        rows = _locked(db, chosen) if chosen else []
        if not rows:
            break
        free = list(stand.free_ids)
        for row in rows:
            device_id = _free_device(db, row, free, now=now)
            if device_id is None or not _is_within_quota(db, row, device_class):
                passed.add(row.id)
            elif _admitted(db, row, device_id, now=now):
                started.append(row.id)
                free.remove(device_id)
    return started


def _free_device(db: Session, row: ComputeSession, free_ids: Sequence[uuid.UUID], *, now: datetime) -> uuid.UUID | None:
    """Return a free device that no window closes, or keeps for others, before the session would end."""
    if not free_ids:
        return None
    until = latest_end(now, row.duration_s, rules.START_GIVES_UP)
    is_kept = kept_until(now=now, until=until, project_id=row.project_id).is_not(None)
    return db.execute(select(Device.id).where(Device.id.in_(free_ids), ~is_kept).order_by(Device.name).limit(1)).scalar_one_or_none()


def _is_within_quota(db: Session, row: ComputeSession, device_class: str) -> bool:
    """Return whether its project and person may hold one device more; whoever may not yet waits on, and keeps nothing from others."""
    try:
        quotas.require(db, device_class=device_class, project_id=row.project_id, by=identity.actor_of(db, row.person_id))
    except DomainError:
        return False
    return True


def _locked(db: Session, session_ids: Sequence[object]) -> list[ComputeSession]:
    """Return the rows in the order of the decision; one that somebody else just takes out of the queue waits for its next look."""
    query = select(ComputeSession).where(ComputeSession.id.in_(session_ids), ComputeSession.state == SessionState.QUEUED)
    found = {row.id: row for row in db.execute(query.with_for_update(skip_locked=True).execution_options(populate_existing=True)).scalars()}
    return [found[session_id] for session_id in session_ids if session_id in found]  # type: ignore[index]


def _admitted(db: Session, row: ComputeSession, device_id: uuid.UUID, *, now: datetime) -> bool:
    try:
        with db.begin_nested():
            _start(db, row, device_id, by=QUEUE, now=now)
    except DomainError as error:
        db.refresh(row)
        row.stop_asked_at, row.stop_cause = now, StopCause.CREDIT.value
        endings.end_unused(db, row, by=QUEUE, now=now)
        write_letters(db, "compute.queue_left", [row.id], now=now, more={row.id: {"why": type(error).__name__}})
        return False
    write_letters(db, "compute.queue_over", [row.id], now=now)
    return True


def _start(db: Session, row: ComputeSession, device_id: uuid.UUID, *, by: Actor, now: datetime) -> None:
    """Hold a device and the first window's credits, and enqueue the start."""
    db.execute(insert(DeviceHold).values(id=new_id(), device_id=device_id, session_id=row.id, held_at=now))
    _hold_credit(db, row, by=by, now=now)
    row.state = SESSION.target("admit", SessionState(row.state)).value
    row.admitted_at = now
    db.flush()
    audit.record(db, "admitted", "compute_session", row.id, by=by, now=now)
    jobs.enqueue(db, "compute.start_session", session_id=str(row.id))


def _require_credit(db: Session, row: ComputeSession, *, by: Actor, now: datetime) -> None:
    """Raise what holding the first window would raise now, and hold nothing."""
    trial = db.begin_nested()
    try:
        _hold_credit(db, row, by=by, now=now)
    finally:
        trial.rollback()


def _hold_credit(db: Session, row: ComputeSession, *, by: Actor, now: datetime) -> None:
    profile, price = db.execute(
        select(Profile, PriceVersion).join(PriceVersion, PriceVersion.id == row.price_version_id).where(Profile.id == row.profile_id)
    ).one()
    meters.authorise(
        db,
        session_id=row.id,
        generation=row.generation,
        wallet_id=ledger.wallet_of_project(db, row.project_id),
        charge_class=profile.charge_class,
        rate_ucr_per_hour=price.rate_ucr_per_hour,
        label=f"{row.slug} {row.label}".rstrip(),
        by=by,
        now=now,
        limit_s=row.duration_s,
    )
