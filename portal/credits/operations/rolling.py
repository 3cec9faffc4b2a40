"""Rolling the windows of all due meters, and closing meters: planned in memory, written set-based."""

import gc
import time
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Text, cast, func, select
from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.credits.models import Meter
from portal.credits.operations import corrections, wallets, work
from portal.credits.operations.batch import Batch
from portal.credits.operations.work import MeterWork
from portal.credits.rules.windows import RENEW_BEFORE, plan_chain
from portal.credits.states import MeterState

MOST_AT_ONCE = 1000
# While others write, a batch is followed by twice its own time of rest, as long as nothing is late.
RESTS = 2
LATE = timedelta(minutes=2)
ROLLING = Actor.process("metering")


@dataclass(frozen=True)
class Rolled:
    """What rolling did; ids of sessions.

    extended: their windows reach further now. refused: credit is too little for the next window, so warn, and stop
    at the window's end. ended: the held time is over; stop now. lapsed: never started within the window, all given
    back. booked_late: evidence that came after the end was charged. skipped: somebody holds the wallet; call again.
    has_more: commit, wait `rest_s` seconds so that those who start sessions meanwhile are not slowed, and call again.
    is_late: the first window was due minutes ago, so there is no time to rest.
    """

    extended: list[uuid.UUID]
    refused: list[uuid.UUID]
    ended: list[uuid.UUID]
    lapsed: list[uuid.UUID]
    booked_late: list[uuid.UUID]
    skipped: list[uuid.UUID]
    has_more: bool = False
    is_late: bool = False
    rest_s: float = 0


def roll_due(db: Session, *, now: datetime, most: int = MOST_AT_ONCE) -> Rolled:
    """Book the windows that ended, hold the next ones. The number of statements does not depend on that of meters.

    Wallets that somebody holds just now are left for the next call: there are five minutes for it.
    """
    # The batch makes some hundred thousand objects without a cycle among them; the collector would look at them all, again and again.
    was_collecting = gc.isenabled()
    gc.disable()
    began, first = time.monotonic(), _next_transaction(db)
    try:
        rolled = _roll_batch(db, now=now, most=most)
    finally:
        if was_collecting:
            gc.enable()
    others = _next_transaction(db) - first - 1
    return replace(rolled, rest_s=RESTS * (time.monotonic() - began) if others > 0 and not rolled.is_late else 0)


def _roll_batch(db: Session, *, now: datetime, most: int) -> Rolled:
    rolled = Rolled([], [], [], [], [], [])
    due = db.execute(
        select(Meter.id, Meter.session_id, Meter.wallet_id, Meter.due_at).where(Meter.due_at <= now).order_by(Meter.due_at, Meter.id).limit(most)
    ).all()
    if not due:
        return rolled
    locked = set(wallets.lock(db, {row.wallet_id for row in due}, is_patient=False))
    rolled.skipped.extend(row.session_id for row in due if row.wallet_id not in locked)
    ids = [row.id for row in due if row.wallet_id in locked]
    meters = {meter.id: meter for meter in work.load(db, ids, due_by=now)}
    batch = Batch(now=now)
    for meter_id in ids:
        if meter_id in meters:
            _roll(batch, meters[meter_id], rolled)
    batch.write(db, by=ROLLING)
    corrections.keep(db, meters.values(), by=ROLLING, now=now)
    return replace(rolled, has_more=len(due) == most, is_late=due[0].due_at < now - LATE)


def _next_transaction(db: Session) -> int:
    """Return the number that the next transaction which writes anything will get, on the whole server."""
    return int(db.execute(select(cast(func.pg_snapshot_xmax(func.pg_current_snapshot()), Text))).scalar_one())


def _roll(batch: Batch, meter: MeterWork, rolled: Rolled) -> None:
    batch.touch(meter)
    if meter.state != MeterState.OPEN:
        close_books(batch, meter)
        rolled.booked_late.append(meter.session_id)
    elif meter.started_at is None:
        meter.void_reason = "not_started"
        close_books(batch, meter)
        rolled.lapsed.append(meter.session_id)
    else:
        _book_ended(batch, meter)
        _extend(batch, meter, rolled)


def _book_ended(batch: Batch, meter: MeterWork) -> None:
    """Book windows that are over and wholly proven; one whose evidence is still on its way stays held."""
    for hold in list(meter.holds):
        until_s = meter.seconds_at(hold.ends_at)
        if hold.ends_at > batch.now or meter.proven_s < until_s:
            return
        batch.capture(meter, hold, until_s)
        batch.release(meter, hold)


def _extend(batch: Batch, meter: MeterWork, rolled: Rolled) -> None:
    is_last = meter.limit_at is not None and meter.windows_end_at >= meter.limit_at
    if not is_last and meter.windows_end_at - batch.now <= RENEW_BEFORE:
        batch.begin_segment(meter)
        lots = [] if meter.is_blocked else meter.payers()
        chain = plan_chain(lots, meter.rate_ucr_per_hour, meter.windows_end_at, until=batch.now + RENEW_BEFORE, limit_at=meter.limit_at)
        for window in chain.windows:
            batch.place(meter, window)
        meter.refused_at = (meter.refused_at or batch.now) if chain.is_short else None
        if chain.windows:
            rolled.extended.append(meter.session_id)
        if chain.is_short:
            rolled.refused.append(meter.session_id)
    if meter.windows_end_at <= batch.now:
        rolled.ended.append(meter.session_id)


def close_books(batch: Batch, meter: MeterWork) -> None:
    """Book everything proven, release the holds, and close: settled when anything was proven, else voided."""
    for hold in list(meter.holds):
        batch.capture(meter, hold, min(meter.proven_s, meter.seconds_at(hold.ends_at)))
        batch.release(meter, hold)
    is_used = meter.proven_s > 0
    if meter.state == MeterState.OPEN or is_used:
        batch.book_late(meter)
        batch.close(meter, MeterState.SETTLED if is_used or meter.void_reason is None else MeterState.VOIDED)
