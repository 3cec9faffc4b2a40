"""What a wallet has and what a session has cost, exact to the second at every read.

Nothing is booked while a session runs within its window: its cost until now is computed here from its row.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, ScalarSelect, Select, and_, case, cast, extract, func, literal, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased
from sqlalchemy.sql.selectable import LateralFromClause

from portal.core.database import Instant
from portal.core.errors import NotFound
from portal.core.quantities import SECONDS_PER_HOUR
from portal.credits import bulk
from portal.credits.models import Hold, LedgerAccount, Lot, Meter, MeterSegment, Wallet
from portal.credits.states import HoldState, MeterState


@dataclass(frozen=True)
class Balance:
    """A wallet at `as_of`: balance = held + free. debt: use proven after the credit was gone, beside it.

    clawback: what is owed because money for bought credits went back after they were used; it blocks new sessions.

    running: sessions whose cost until `as_of` is in the figures. seen_at: the oldest last evidence of them, None when
    nothing runs: until then everything is proven, after it they are taken to run on. given: all that ever came and
    was valid by then, so given - balance is what was used or ended. unbooked: what running sessions used since their last
    booking.
    """

    wallet_id: uuid.UUID
    balance_ucr: int
    held_ucr: int
    free_ucr: int
    debt_ucr: int
    running: int
    seen_at: datetime | None
    as_of: datetime
    given_ucr: int = 0
    clawback_ucr: int = 0
    unbooked_ucr: int = 0


@dataclass(frozen=True)
class PricePart:
    """Seconds of a session under one price."""

    duration_s: int
    rate_ucr_per_hour: int


@dataclass(frozen=True)
class SessionCost:
    """What a session has cost until `as_of`, over all its generations; the other facts are of the last one.

    duration_s: seconds that the cost is for, prices: the same by price. rate: the present price. next_rate: the one that
    begins at next_rate_at, None for none. window_ends_at: until when it is paid. is_refused: the next window could not
    be paid, so it stops then. given_back: what went back of the cost after the session was settled.
    """

    session_id: uuid.UUID
    cost_ucr: int
    booked_ucr: int
    held_ucr: int
    debt_ucr: int
    written_off_ucr: int
    duration_s: int
    proven_s: int
    rate_ucr_per_hour: int
    started_at: datetime | None
    last_seen_at: datetime | None
    window_ends_at: datetime
    state: MeterState
    is_refused: bool
    as_of: datetime
    prices: tuple[PricePart, ...] = ()
    next_rate_ucr_per_hour: int | None = None
    next_rate_at: datetime | None = None
    given_back_ucr: int = 0


def wallet_of_project(db: Session, project_id: uuid.UUID) -> uuid.UUID:
    """Return the id of a project's wallet. Raises NotFound."""
    wallet_id = db.execute(select(Wallet.id).where(Wallet.project_id == project_id)).scalar_one_or_none()
    if wallet_id is None:
        raise NotFound
    return wallet_id


def running_seconds(now: datetime | ColumnElement[datetime]) -> ColumnElement[int]:
    """Return the seconds that a meter is charged for at `now`: an open one runs until its window's end, a closed one is proven."""
    at = literal(now, Instant()) if isinstance(now, datetime) else now
    until = func.least(at, Meter.windows_end_at)
    elapsed_s = cast(func.floor(extract("epoch", until - Meter.started_at)), BigInteger)
    is_running = and_(Meter.state == MeterState.OPEN, Meter.started_at.is_not(None))
    # Evidence past the window is not shown as a cost before it is booked: it may be written off.
    return case((is_running, func.greatest(elapsed_s, Meter.booked_s, 0)), else_=Meter.booked_s)


def meter_costs(now: datetime | ColumnElement[datetime]) -> LateralFromClause:
    """Return meter_id, seconds and cost_ucr of meters, joined laterally: each segment is rounded down once."""
    following = aliased(MeterSegment)
    ends_s = select(following.starts_s).where(following.meter_id == MeterSegment.meter_id, following.segment == MeterSegment.segment + 1).scalar_subquery()
    seconds = running_seconds(now)
    part_s = func.greatest(func.least(seconds, func.coalesce(ends_s, seconds)) - MeterSegment.starts_s, 0)
    charge = func.sum(part_s * MeterSegment.rate_ucr_per_hour // SECONDS_PER_HOUR)
    query = select(cast(charge, BigInteger).label("cost_ucr")).where(MeterSegment.meter_id == Meter.id).correlate(Meter)
    return query.lateral("cost")


def balance(db: Session, wallet_id: uuid.UUID, *, now: datetime) -> Balance:
    """Return a wallet's balance at `now`. Raises NotFound."""
    found = balances(db, [wallet_id], now=now)
    if wallet_id not in found:
        raise NotFound
    return found[wallet_id]


def balances(db: Session, wallet_ids: Sequence[uuid.UUID], *, now: datetime) -> dict[uuid.UUID, Balance]:
    """Return the balances of several wallets at `now`; one statement."""
    return balances_where(db, bulk.among(Wallet.id, wallet_ids), now=now)


def balances_where(db: Session, condition: ColumnElement[bool], *, now: datetime) -> dict[uuid.UUID, Balance]:
    """Return the balances of the wallets that a condition on Wallet picks; one statement."""
    return {row.id: balance_of_row(row, now) for row in db.execute(balances_query(condition, now))}


def balances_query(condition: ColumnElement[bool], now: datetime | ColumnElement[datetime]) -> Select[Any]:
    """Return the statement behind `balances_where`; with `now` as a bound parameter it can be kept and used again."""
    cost, debt, clawback = meter_costs(now), aliased(LedgerAccount), aliased(LedgerAccount)
    running = (
        select(
            func.coalesce(cast(func.sum(cost.c.cost_ucr - Meter.booked_ucr), BigInteger), 0).label("unbooked_ucr"),
            func.count(Meter.started_at).label("running"),
            func.min(Meter.last_seen_at).label("seen_at"),
        )
        .select_from(Meter)
        .join(cost, true())
        .where(Meter.wallet_id == Wallet.id, Meter.state == MeterState.OPEN)
        .correlate(Wallet)
        .lateral("run")
    )
    return (
        select(Wallet.id, _free(now).label("free_ucr"), _held().label("held_ucr"), running.c.unbooked_ucr, running.c.running, running.c.seen_at)
        .add_columns((-debt.balance_ucr).label("debt_ucr"), (-clawback.balance_ucr).label("clawback_ucr"), _given(now).label("given_ucr"))
        .join(debt, debt.id == Wallet.debt_usage_account_id)
        .join(clawback, clawback.id == Wallet.debt_clawback_account_id)
        .join(running, true())
        .where(condition)
    )


def balance_of_row(row: Any, now: datetime) -> Balance:
    """Return a row of `balances_query` as a balance."""
    held_ucr = row.held_ucr - row.unbooked_ucr
    beside = {"given_ucr": row.given_ucr, "clawback_ucr": row.clawback_ucr, "unbooked_ucr": row.unbooked_ucr}
    return Balance(row.id, held_ucr + row.free_ucr, held_ucr, row.free_ucr, row.debt_ucr, row.running, row.seen_at, now, **beside)


def _free(now: datetime | ColumnElement[datetime]) -> ScalarSelect[int]:
    """Return what lots valid at `now` have available: an expired lot counts no more, whether swept or not."""
    query = select(func.coalesce(cast(func.sum(LedgerAccount.balance_ucr), BigInteger), 0)).join(Lot, Lot.available_account_id == LedgerAccount.id)
    return query.where(Lot.wallet_id == Wallet.id, Lot.effective_at <= now, Lot.expires_at > now).correlate(Wallet).scalar_subquery()


def _given(now: datetime | ColumnElement[datetime]) -> ScalarSelect[int]:
    query = select(func.coalesce(cast(func.sum(Lot.issued_ucr), BigInteger), 0)).where(Lot.wallet_id == Wallet.id, Lot.effective_at <= now)
    return query.correlate(Wallet).scalar_subquery()


def _held() -> ScalarSelect[int]:
    left = func.sum(Hold.amount_ucr - Hold.captured_ucr - Hold.released_ucr)
    query = select(func.coalesce(cast(left, BigInteger), 0)).where(Hold.wallet_id == Wallet.id, Hold.state == HoldState.OPEN)
    return query.correlate(Wallet).scalar_subquery()


def session_costs(db: Session, session_ids: Sequence[uuid.UUID], *, now: datetime) -> dict[uuid.UUID, SessionCost]:
    """Return what sessions have cost until `now`, those that have a meter; one statement."""
    cost = meter_costs(now)
    open_holds = select(func.coalesce(cast(func.sum(Hold.amount_ucr - Hold.captured_ucr - Hold.released_ucr), BigInteger), 0))
    query = (
        select(Meter, case((Meter.state == MeterState.OPEN, cost.c.cost_ucr), else_=Meter.booked_ucr).label("cost_ucr"))
        .add_columns(running_seconds(now).label("duration_s"), _of_segments(MeterSegment.starts_s).label("starts_s"))
        .add_columns(_of_segments(MeterSegment.rate_ucr_per_hour).label("rates"))
        .add_columns(open_holds.where(Hold.meter_id == Meter.id, Hold.state == HoldState.OPEN).correlate(Meter).scalar_subquery().label("held_ucr"))
        .select_from(Meter)
        .join(cost, true())
        .where(bulk.among(Meter.session_id, session_ids))
        .order_by(Meter.session_id, Meter.generation)
        .execution_options(populate_existing=True)
    )
    found: dict[uuid.UUID, SessionCost] = {}
    for row in db.execute(query):
        found[row.Meter.session_id] = _session_cost(row, found.get(row.Meter.session_id), now)
    return found


def _session_cost(row: Any, earlier: SessionCost | None, now: datetime) -> SessionCost:
    meter: Meter = row.Meter
    own = tuple(_prices(row))
    next_rate_ucr, next_rate_at = _next_price(row) if meter.state == MeterState.OPEN else (None, None)
    return SessionCost(
        session_id=meter.session_id,
        cost_ucr=row.cost_ucr + (earlier.cost_ucr if earlier else 0),
        booked_ucr=meter.booked_ucr + (earlier.booked_ucr if earlier else 0),
        held_ucr=row.held_ucr - (row.cost_ucr - meter.booked_ucr) + (earlier.held_ucr if earlier else 0),
        debt_ucr=meter.debt_ucr + (earlier.debt_ucr if earlier else 0),
        written_off_ucr=meter.written_off_ucr + (earlier.written_off_ucr if earlier else 0),
        duration_s=row.duration_s + (earlier.duration_s if earlier else 0),
        proven_s=meter.proven_s + (earlier.proven_s if earlier else 0),
        rate_ucr_per_hour=own[-1].rate_ucr_per_hour if own else row.rates[0],
        started_at=meter.started_at,
        last_seen_at=meter.last_seen_at,
        window_ends_at=meter.windows_end_at,
        state=MeterState(meter.state),
        is_refused=meter.refused_at is not None,
        as_of=now,
        prices=(*(earlier.prices if earlier else ()), *own),
        next_rate_ucr_per_hour=next_rate_ucr,
        next_rate_at=next_rate_at,
        given_back_ucr=meter.corrected_ucr + (earlier.given_back_ucr if earlier else 0),
    )


def _of_segments(column: InstrumentedAttribute[int]) -> ColumnElement[Any]:
    """Return a column of a meter's segments as an array, in their order."""
    values = select(column).where(MeterSegment.meter_id == Meter.id).order_by(MeterSegment.segment).correlate(Meter).scalar_subquery()
    return func.array(values, type_=ARRAY(BigInteger()))


def _prices(row: Any) -> Iterator[PricePart]:
    """Give the seconds under each price; a price that has not begun yet is left out."""
    for starts_s, until_s, rate in zip(row.starts_s, [*row.starts_s[1:], row.duration_s], row.rates, strict=True):
        duration_s = min(until_s, row.duration_s) - starts_s
        if duration_s > 0:
            yield PricePart(duration_s, rate)


def _next_price(row: Any) -> tuple[int | None, datetime | None]:
    """Return the price that a running meter comes to, and when: held already, or waiting for the next window."""
    meter: Meter = row.Meter
    if meter.next_rate_ucr_per_hour is not None:
        return meter.next_rate_ucr_per_hour, meter.windows_end_at
    if meter.started_at is not None and row.starts_s[-1] > row.duration_s:
        return row.rates[-1], meter.started_at + timedelta(seconds=row.starts_s[-1])
    return None, None
