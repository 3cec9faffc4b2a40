"""Meters with their holds, segments and lots, as they are worked on under their wallets' locks."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, aliased

from portal.core.quantities import whole_seconds
from portal.credits import bulk
from portal.credits.models import Hold, HoldShare, LedgerAccount, Lot, LotRevocation, Meter, MeterSegment, Wallet
from portal.credits.rules.costs import Segment, cost_ucr
from portal.credits.rules.lots import LotState, payers
from portal.credits.rules.windows import RENEW_BEFORE
from portal.credits.states import HoldState, MeterState


@dataclass
class ShareWork:
    """One lot's part of a hold."""

    position: int
    lot: LotState
    amount_ucr: int
    captured_ucr: int = 0
    released_ucr: int = 0

    @property
    def open_ucr(self) -> int:
        """Return what is neither captured nor released."""
        return self.amount_ucr - self.captured_ucr - self.released_ucr


@dataclass
class HoldWork:
    """One window with its shares in the recorded order."""

    id: uuid.UUID
    window: int
    segment: int
    starts_at: datetime
    ends_at: datetime
    amount_ucr: int
    shares: list[ShareWork]
    is_late: bool = False
    captured_ucr: int = 0
    released_ucr: int = 0

    @property
    def open_ucr(self) -> int:
        """Return what is neither captured nor released."""
        return self.amount_ucr - self.captured_ucr - self.released_ucr


@dataclass
class MeterWork:
    """One meter under work; fields as in its row. is_blocked: its wallet owes credits of a purchase that was refunded."""

    id: uuid.UUID
    session_id: uuid.UUID
    generation: int
    wallet_id: uuid.UUID
    charge_class: str
    usage_account_id: uuid.UUID
    debt_account_id: uuid.UUID
    state: MeterState
    limit_s: int | None
    next_rate_ucr_per_hour: int | None
    started_at: datetime | None
    proven_s: int
    windows_end_at: datetime
    debt_room_ucr: int
    window_count: int = 0
    capture_count: int = 0
    booked_s: int = 0
    booked_ucr: int = 0
    debt_ucr: int = 0
    written_off_ucr: int = 0
    ended_at: datetime | None = None
    closed_at: datetime | None = None
    void_reason: str | None = None
    refused_at: datetime | None = None
    is_blocked: bool = False
    forgiven_from_s: int | None = None
    corrected_ucr: int = 0
    segments: list[Segment] = field(default_factory=list)
    holds: list[HoldWork] = field(default_factory=list)
    lots: list[LotState] = field(default_factory=list)

    @property
    def limit_at(self) -> datetime | None:
        """Return when the session ends at the latest, None while that is not known."""
        return self.started_at + timedelta(seconds=self.limit_s) if self.started_at and self.limit_s else None

    @property
    def rate_ucr_per_hour(self) -> int:
        """Return the present price."""
        return self.segments[-1].rate_ucr_per_hour

    def cost_ucr(self, duration_s: int) -> int:
        """Return what the first seconds of the session cost."""
        return cost_ucr(self.segments, duration_s)

    def seconds_at(self, instant: datetime) -> int:
        """Return the session second of an instant; 0 before the start."""
        return whole_seconds(self.started_at, instant) if self.started_at else 0

    def payers(self) -> list[LotState]:
        """Return the wallet's lots that may pay for this meter, in the order of spending."""
        return payers(self.lots, self.charge_class)

    def next_due_at(self) -> datetime | None:
        """Return when the meter next needs work: a window to book or to follow; None once it is closed."""
        if self.state != MeterState.OPEN:
            return None
        if self.started_at is None:
            return self.windows_end_at
        is_last = self.limit_at is not None and self.windows_end_at >= self.limit_at
        renew_at = self.windows_end_at if is_last else self.windows_end_at - RENEW_BEFORE
        return min([renew_at, *[hold.ends_at for hold in self.holds if hold.open_ucr]])


def load(db: Session, condition: ColumnElement[bool], *, most: int | None = None) -> list[MeterWork]:
    """Return the meters of a condition with all that work on them needs, their rows locked in id order; five statements.

    The wallets are locked by the caller. Each wallet's lots are shared objects: what one meter takes, another misses.
    """
    clawback = aliased(LedgerAccount)
    query = (
        select(Meter, Wallet.debt_usage_account_id, (clawback.balance_ucr < 0).label("is_blocked"))
        .join(Wallet, Wallet.id == Meter.wallet_id)
        .join(clawback, clawback.id == Wallet.debt_clawback_account_id)
        .where(condition)
        .order_by(Meter.id)
        .limit(most)
    )
    found = db.execute(query.with_for_update(key_share=True, of=Meter), execution_options={"populate_existing": True})
    meters = [_meter(row.Meter, row.debt_usage_account_id, is_blocked=row.is_blocked) for row in found]
    lots = lots_of(db, {meter.wallet_id for meter in meters})
    ids = [meter.id for meter in meters]
    segments, holds = _segments(db, ids), _holds(db, ids, {lot.id: lot for own in lots.values() for lot in own})
    for meter in meters:
        meter.lots, meter.segments, meter.holds = lots[meter.wallet_id], segments[meter.id], holds[meter.id]
    return meters


def _meter(row: Meter, debt_account_id: uuid.UUID, *, is_blocked: bool) -> MeterWork:
    return MeterWork(
        id=row.id,
        session_id=row.session_id,
        generation=row.generation,
        wallet_id=row.wallet_id,
        charge_class=row.charge_class,
        usage_account_id=row.usage_account_id,
        debt_account_id=debt_account_id,
        state=MeterState(row.state),
        limit_s=row.limit_s,
        next_rate_ucr_per_hour=row.next_rate_ucr_per_hour,
        started_at=row.started_at,
        proven_s=row.proven_s,
        windows_end_at=row.windows_end_at,
        debt_room_ucr=row.debt_room_ucr,
        window_count=row.window_count,
        capture_count=row.capture_count,
        booked_s=row.booked_s,
        booked_ucr=row.booked_ucr,
        debt_ucr=row.debt_ucr,
        written_off_ucr=row.written_off_ucr,
        ended_at=row.ended_at,
        closed_at=row.closed_at,
        void_reason=row.void_reason,
        refused_at=row.refused_at,
        is_blocked=is_blocked,
        forgiven_from_s=row.forgiven_from_s,
        corrected_ucr=row.corrected_ucr,
    )


def lots_of(db: Session, wallet_ids: set[uuid.UUID]) -> defaultdict[uuid.UUID, list[LotState]]:
    """Return the lots with something available or held, by wallet; one statement. The wallets are locked."""
    available, held = aliased(LedgerAccount), aliased(LedgerAccount)
    query = (
        select(Lot.id, Lot.wallet_id, Lot.available_account_id, Lot.held_account_id, Lot.priority, Lot.classes, Lot.is_bought, Lot.granted_at)
        .add_columns(Lot.effective_at, Lot.expires_at, available.balance_ucr.label("available_ucr"), LotRevocation.lot_id.label("revoked_id"))
        .join(LotRevocation, LotRevocation.lot_id == Lot.id, isouter=True)
        .join(available, available.id == Lot.available_account_id)
        .join(held, held.id == Lot.held_account_id)
        .where(bulk.among(Lot.wallet_id, wallet_ids), or_(available.balance_ucr > 0, held.balance_ucr > 0))
    )
    found: defaultdict[uuid.UUID, list[LotState]] = defaultdict(list)
    for row in db.execute(query):
        found[row.wallet_id].append(_lot(row))
    return found


def _lot(row: Any) -> LotState:
    return LotState(
        id=row.id,
        available_account_id=row.available_account_id,
        held_account_id=row.held_account_id,
        priority=row.priority,
        classes=frozenset(row.classes) if row.classes is not None else None,
        is_bought=row.is_bought,
        granted_at=row.granted_at,
        effective_at=row.effective_at,
        expires_at=row.expires_at,
        available_ucr=row.available_ucr,
        is_revoked=row.revoked_id is not None,
    )


def _segments(db: Session, meter_ids: Sequence[uuid.UUID]) -> defaultdict[uuid.UUID, list[Segment]]:
    query = select(MeterSegment).where(bulk.among(MeterSegment.meter_id, meter_ids)).order_by(MeterSegment.meter_id, MeterSegment.segment)
    found: defaultdict[uuid.UUID, list[Segment]] = defaultdict(list)
    for row in db.execute(query).scalars():
        found[row.meter_id].append(Segment(row.segment, row.starts_s, row.rate_ucr_per_hour))
    return found


def _holds(db: Session, meter_ids: Sequence[uuid.UUID], lots: dict[uuid.UUID, LotState]) -> defaultdict[uuid.UUID, list[HoldWork]]:
    """Return the open holds with their shares, in window and share order; one statement."""
    query = (
        select(Hold.meter_id, Hold.id, Hold.window, Hold.segment, Hold.starts_at, Hold.ends_at, Hold.amount_ucr, Hold.captured_ucr, Hold.released_ucr)
        .add_columns(HoldShare.position, HoldShare.lot_id, HoldShare.amount_ucr.label("share_ucr"))
        .add_columns(HoldShare.captured_ucr.label("share_captured_ucr"), HoldShare.released_ucr.label("share_released_ucr"))
        .join(HoldShare, HoldShare.hold_id == Hold.id)
        .where(bulk.among(Hold.meter_id, meter_ids), Hold.state == HoldState.OPEN)
        .order_by(Hold.meter_id, Hold.window, HoldShare.position)
    )
    found: defaultdict[uuid.UUID, list[HoldWork]] = defaultdict(list)
    for row in db.execute(query):
        holds = found[row.meter_id]
        if not holds or holds[-1].id != row.id:
            hold = HoldWork(row.id, row.window, row.segment, row.starts_at, row.ends_at, row.amount_ucr, [])
            hold.captured_ucr, hold.released_ucr = row.captured_ucr, row.released_ucr
            holds.append(hold)
        holds[-1].shares.append(ShareWork(row.position, lots[row.lot_id], row.share_ucr, row.share_captured_ucr, row.share_released_ucr))
    return found
