"""What is looked at each minute: windows to roll, times that are over, and whether the hub has the sessions that we have.

Each look takes one lock for all workers, so that two of them do not act on the same thing. Nothing here is lost when
a look is missed: the next one finds the same.
"""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.compute import rules
from portal.compute.models import ComputeSession, HubWatch
from portal.compute.operations import endings, observations, sessions, starts
from portal.compute.operations.letters import write_letters
from portal.compute.states import LIVE, Failure, SessionState, StopCause
from portal.core import jobs
from portal.core.access import Actor
from portal.credits import queries as ledger
from portal.credits.operations import meters
from portal.identity import relations as identity

logger = logging.getLogger(__name__)
_LOCK = "compute.watch"
MOST_AT_ONCE = 500


@dataclass(frozen=True)
class SeenServer:
    """A server as the hub reported it."""

    username: str
    server: str
    is_ready: bool


def roll(db: Session, *, by: Actor, now: datetime) -> float | None:
    """Roll the next windows that are due; warn those whose credit ends, and take the warning back where credit came.

    Return how many seconds to rest before the next windows, None when no more are due. A transaction for each call:
    wallets stay locked until it ends.
    """
    if not _alone(db):
        return None
    rolled = meters.roll_due(db, now=now)
    if rolled.extended:
        is_warned = ComputeSession.id.in_(rolled.extended) & ComputeSession.credit_warned_at.is_not(None)
        db.execute(update(ComputeSession).where(is_warned).values(credit_warned_at=None))
    _warn(db, rolled.refused, now=now)
    _end_lapsed(db, rolled.lapsed, by=by, now=now)
    _stop_unpaid(db, rolled.ended, by=by, now=now)
    return rolled.rest_s if rolled.has_more else None


def stop_over(db: Session, *, by: Actor, now: datetime) -> None:
    """Ask for the end of the sessions whose time or credit is over, and give up starts that can no longer succeed."""
    if _alone(db):
        _stop_due(db, by=by, now=now)
        _give_up_old_starts(db, by=by, now=now)


def stop_due(db: Session, *, by: Actor, now: datetime) -> None:
    """Ask for the end of the sessions whose time or credit is over."""
    if _alone(db):
        _stop_due(db, by=by, now=now)


def note_look(db: Session, *, did_answer: bool, now: datetime) -> None:
    """Write down that the reconciler looked and whether the hub answered; a gap in looking begins the watch anew."""
    row = insert(HubWatch).values(id=1, watching_since=now, looked_at=now, answered_at=now if did_answer else None, answering_since=now if did_answer else None)
    had_gap = HubWatch.looked_at < now - rules.WATCH_GAP
    answering = func.coalesce(HubWatch.answering_since, now)
    changes = {
        "looked_at": now,
        "watching_since": case((had_gap, now), else_=HubWatch.watching_since),
        "answered_at": now if did_answer else HubWatch.answered_at,
        "answering_since": case((had_gap, now), else_=answering) if did_answer else None,
    }
    db.execute(row.on_conflict_do_update(index_elements=["id"], set_=changes))


def compare(db: Session, servers: Sequence[SeenServer], *, by: Actor, now: datetime) -> list[SeenServer]:
    """Bring sessions and the hub's servers together; return servers that no live session wants, for the caller to stop."""
    if not _alone(db):
        return []
    watch = db.execute(select(HubWatch).execution_options(populate_existing=True)).scalar_one()
    by_slug = {server.server: server for server in servers}
    query = select(ComputeSession).where(ComputeSession.state.in_(LIVE)).order_by(ComputeSession.id).limit(10 * MOST_AT_ONCE).with_for_update(skip_locked=True)
    rows = db.execute(query).scalars().all()
    for row in rows:
        server = by_slug.get(row.slug)
        if server is not None and server.is_ready and row.ready_at is None:
            starts.mark_ready(db, session_id=row.id, by=by, now=now)
    _settle_missing(db, [row for row in rows if row.slug not in by_slug], answering_since=watch.answering_since or now, by=by, now=now)
    _stop_silent(db, [row for row in rows if row.slug in by_slug], watching_since=watch.answering_since or now, by=by, now=now)
    again = [row.id for row in rows if row.slug in by_slug and row.state == SessionState.STOPPING]
    if again:
        jobs.enqueue(db, "compute.stop_servers", session_ids=[str(session_id) for session_id in again])
    return _unwanted(db, servers)


def settle_unseen(db: Session, *, by: Actor, now: datetime) -> None:
    """With the hub away for hours, settle the sessions that nobody has seen for as long: their servers have stopped by themselves."""
    if not _alone(db):
        return
    limit = now - rules.HUB_AWAY_SETTLES
    unseen = func.coalesce(ComputeSession.last_seen_at, ComputeSession.starting_at, ComputeSession.admitted_at, ComputeSession.requested_at) < limit
    query = select(ComputeSession).where(ComputeSession.state.in_(LIVE), unseen).order_by(ComputeSession.id).limit(MOST_AT_ONCE)
    _settle_rows(db, db.execute(query.with_for_update(skip_locked=True)).scalars().all(), by=by, now=now)


def _alone(db: Session) -> bool:
    return bool(db.execute(select(func.pg_try_advisory_xact_lock(func.hashtextextended(_LOCK, 0)))).scalar_one())


def _warn(db: Session, session_ids: Sequence[uuid.UUID], *, now: datetime) -> None:
    if not session_ids:
        return
    warned = (
        update(ComputeSession)
        .where(ComputeSession.id.in_(session_ids), ComputeSession.credit_warned_at.is_(None), ComputeSession.state.in_(LIVE))
        .values(credit_warned_at=now)
        .returning(ComputeSession.id)
        .execution_options(synchronize_session=False)
    )
    fresh = list(db.execute(warned).scalars())
    costs = ledger.session_costs(db, fresh, now=now)
    for session_id in fresh:
        cost = costs.get(session_id)
        if cost is not None:
            jobs.enqueue(db, "compute.stop_due", due_at=cost.window_ends_at - rules.STOP_MARGIN)
    write_letters(db, "compute.credit_ending", fresh, now=now)


def _stop_due(db: Session, *, by: Actor, now: datetime) -> None:
    margin = now + rules.STOP_MARGIN
    running = select(ComputeSession).where(ComputeSession.state.in_([SessionState.STARTING, SessionState.RUNNING]))
    over = ComputeSession.started_at + func.make_interval(0, 0, 0, 0, 0, 0, ComputeSession.duration_s) <= margin
    by_time = db.execute(running.where(over).order_by(ComputeSession.id).limit(MOST_AT_ONCE).with_for_update(skip_locked=True)).scalars().all()
    sessions.stop_rows(db, by_time, by=by, now=now, cause=StopCause.DURATION)
    warned = running.where(ComputeSession.credit_warned_at.is_not(None)).order_by(ComputeSession.id).limit(MOST_AT_ONCE)
    rows = db.execute(warned.with_for_update(skip_locked=True)).scalars().all()
    costs = ledger.session_costs(db, [row.id for row in rows], now=now) if rows else {}
    _stop_for_credit(db, [row for row in rows if row.id in costs and costs[row.id].is_refused and costs[row.id].window_ends_at <= margin], by=by, now=now)


def _stop_unpaid(db: Session, session_ids: Sequence[uuid.UUID], *, by: Actor, now: datetime) -> None:
    """Stop sessions whose held time is over although nobody was in time to stop them."""
    if session_ids:
        rows = db.execute(select(ComputeSession).where(ComputeSession.id.in_(session_ids)).order_by(ComputeSession.id).with_for_update()).scalars().all()
        _stop_for_credit(db, rows, by=by, now=now)


def _stop_for_credit(db: Session, rows: Sequence[ComputeSession], *, by: Actor, now: datetime) -> None:
    stopped = sessions.stop_rows(db, rows, by=by, now=now, cause=StopCause.CREDIT)
    write_letters(db, "compute.session_ended_by_credit", stopped, now=now)


def _end_lapsed(db: Session, session_ids: Sequence[uuid.UUID], *, by: Actor, now: datetime) -> None:
    """End sessions that never started within their first window: the ledger has given their credits back."""
    if not session_ids:
        return
    query = select(ComputeSession).where(ComputeSession.id.in_(session_ids), ComputeSession.state.in_(LIVE)).order_by(ComputeSession.id)
    rows = db.execute(query.with_for_update()).scalars().all()
    _settle_rows(db, [row for row in rows if row.state != SessionState.RUNNING], by=by, now=now)
    sessions.stop_rows(db, [row for row in rows if row.state == SessionState.RUNNING], by=by, now=now, cause=StopCause.NO_EVIDENCE)


def _give_up_old_starts(db: Session, *, by: Actor, now: datetime) -> None:
    """Give back what starts hold that can no longer succeed: their ticket was never spent, and has expired."""
    old = func.coalesce(ComputeSession.starting_at, ComputeSession.admitted_at, ComputeSession.requested_at) < now - rules.START_GIVES_UP
    never = ComputeSession.redeemed_at.is_(None) & ComputeSession.started_at.is_(None) & ComputeSession.ready_at.is_(None)
    query = select(ComputeSession).where(ComputeSession.state.in_(LIVE), old, never).order_by(ComputeSession.id).limit(MOST_AT_ONCE)
    for row in db.execute(query.with_for_update(skip_locked=True)).scalars():
        if row.state == SessionState.STOPPING:
            endings.end_unused(db, row, by=by, now=now)
        else:
            endings.fail(db, row, Failure.DID_NOT_START, by=by, now=now)


def _settle_missing(db: Session, rows: Sequence[ComputeSession], *, answering_since: datetime, by: Actor, now: datetime) -> None:
    """Settle sessions that the hub does not have and that nobody has seen for a while.

    The while counts from when the hub began to answer: after an absence its spool needs a moment to arrive.
    """
    since = now - rules.UNSEEN_SETTLES
    waited_for_spool = answering_since <= since
    gone = [
        row
        for row in rows
        if (waited_for_spool and row.last_seen_at is not None and row.last_seen_at <= since)
        or (row.last_seen_at is None and row.redeemed_at is not None and row.redeemed_at <= now - rules.START_GIVES_UP and waited_for_spool)
    ]
    _settle_rows(db, gone, by=by, now=now)


def _settle_rows(db: Session, rows: Sequence[ComputeSession], *, by: Actor, now: datetime) -> None:
    lives = observations.lives(db, {row.id: row for row in rows}) if rows else {}
    for row in rows:
        life = lives.get(row.id)
        if life is not None:
            endings.lose(db, row, life, by=by, now=now)
        elif row.state in {SessionState.STOPPING, SessionState.REQUESTED}:
            endings.end_unused(db, row, by=by, now=now)
        else:
            endings.fail(db, row, Failure.DID_NOT_START, by=by, now=now)


def _stop_silent(db: Session, rows: Sequence[ComputeSession], *, watching_since: datetime, by: Actor, now: datetime) -> None:
    """Stop servers whose plug-in has been silent about them: without evidence nothing is charged, and nothing runs for free."""
    since = now - rules.SILENT_STOPS
    if watching_since > since:
        return
    running = [row for row in rows if row.state == SessionState.RUNNING]
    silent = [row for row in running if (row.last_seen_at or row.starting_at or row.admitted_at or row.requested_at) <= since]
    if silent:
        logger.error("%s sessions run without evidence and are stopped, first %s", len(silent), silent[0].slug)
    sessions.stop_rows(db, silent, by=by, now=now, cause=StopCause.NO_EVIDENCE)


def _unwanted(db: Session, servers: Sequence[SeenServer]) -> list[SeenServer]:
    person = identity.person.c
    query = (
        select(person.slug, ComputeSession.slug)
        .join(identity.person, person.id == ComputeSession.person_id)
        .where(ComputeSession.slug.in_([server.server for server in servers]), ComputeSession.state.in_(LIVE))
    )
    wanted = {(username, slug) for username, slug in db.execute(query)}
    return [server for server in servers if (server.username, server.server) not in wanted]
