"""Meters with their holds, segments and lots, as they are worked on under their wallets' locks."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from portal.core.errors import NotFound
from portal.core.quantities import whole_seconds
from portal.credits import bulk
from portal.credits.operations import wallets
from portal.credits.rules.costs import Segment, cost_ucr
from portal.credits.rules.lots import LotState, payers
from portal.credits.rules.windows import RENEW_BEFORE
from portal.credits.states import MeterState


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


_FIND = "SELECT id, wallet_id FROM meter WHERE session_id = %(session)s::uuid AND generation = %(generation)s::bigint"
_LOAD = """
SELECT m.id, m.session_id, m.generation, m.wallet_id, m.charge_class, m.usage_account_id, m.state, m.limit_s, m.next_rate_ucr_per_hour, m.started_at,
    m.proven_s, m.windows_end_at, m.debt_room_ucr, m.window_count, m.capture_count, m.booked_s, m.booked_ucr, m.debt_ucr, m.written_off_ucr, m.ended_at,
    m.closed_at, m.void_reason, m.refused_at, m.forgiven_from_s, m.corrected_ucr, w.debt_usage_account_id, a.balance_ucr < 0 AS is_blocked,
    ARRAY(SELECT s.starts_s FROM meter_segment s WHERE s.meter_id = m.id ORDER BY s.segment) AS starts_s,
    ARRAY(SELECT s.rate_ucr_per_hour FROM meter_segment s WHERE s.meter_id = m.id ORDER BY s.segment) AS rates
FROM meter m JOIN wallet w ON w.id = m.wallet_id JOIN ledger_account a ON a.id = w.debt_clawback_account_id
WHERE m.id = ANY(%(ids)s::uuid[]) AND (%(due_by)s::timestamptz IS NULL OR m.due_at <= %(due_by)s::timestamptz)
ORDER BY m.id FOR NO KEY UPDATE OF m
"""


def load(db: Session, meter_ids: Sequence[uuid.UUID], *, due_by: datetime | None = None) -> list[MeterWork]:
    """Return meters with all that work on them needs, their rows locked in id order; three statements.

    due_by: only those that are due by then. The wallets are locked by the caller, before. Each wallet's lots are shared
    objects: what one meter takes, another misses.
    """
    parameters = {"ids": bulk.ids_text(meter_ids), "due_by": due_by.isoformat() if due_by else None}
    meters = [_meter(row) for row in bulk.run(db, _LOAD, parameters)]
    lots = lots_of(db, {meter.wallet_id for meter in meters})
    holds = _holds(db, [meter.id for meter in meters], {lot.id: lot for own in lots.values() for lot in own})
    for meter in meters:
        meter.lots, meter.holds = lots[meter.wallet_id], holds[meter.id]
    return meters


def locked(db: Session, session_id: uuid.UUID, generation: int) -> MeterWork:
    """Lock the wallet of a meter, then the meter, and return it with what work on it needs. Raises NotFound."""
    rows = bulk.run(db, _FIND, {"session": str(session_id), "generation": generation})
    if not rows:
        raise NotFound
    wallets.lock_one(db, rows[0].wallet_id)
    return load(db, [rows[0].id])[0]


def _meter(row: Any) -> MeterWork:
    return MeterWork(
        id=row.id,
        session_id=row.session_id,
        generation=row.generation,
        wallet_id=row.wallet_id,
        charge_class=row.charge_class,
        usage_account_id=row.usage_account_id,
        debt_account_id=row.debt_usage_account_id,
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
        is_blocked=row.is_blocked,
        forgiven_from_s=row.forgiven_from_s,
        corrected_ucr=row.corrected_ucr,
        segments=[Segment(place, starts_s, rate) for place, (starts_s, rate) in enumerate(zip(row.starts_s, row.rates, strict=True))],
    )


_LOTS = """
SELECT l.id, l.wallet_id, l.available_account_id, l.held_account_id, l.priority, l.classes, l.is_bought, l.granted_at, l.effective_at, l.expires_at,
    a.balance_ucr AS available_ucr, r.lot_id AS revoked_id
FROM lot l JOIN ledger_account a ON a.id = l.available_account_id JOIN ledger_account h ON h.id = l.held_account_id
LEFT JOIN lot_revocation r ON r.lot_id = l.id
WHERE l.wallet_id = ANY(%(ids)s::uuid[]) AND (a.balance_ucr > 0 OR h.balance_ucr > 0)
"""


def lots_of(db: Session, wallet_ids: Collection[uuid.UUID]) -> defaultdict[uuid.UUID, list[LotState]]:
    """Return the lots with something available or held, by wallet; one statement. The wallets are locked."""
    found: defaultdict[uuid.UUID, list[LotState]] = defaultdict(list)
    for row in bulk.run(db, _LOTS, {"ids": bulk.ids_text(wallet_ids)}):
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


_HOLDS = """
SELECT h.meter_id, h.id, h.window_number, h.segment, h.starts_at, h.ends_at, h.amount_ucr, h.captured_ucr, h.released_ucr,
    s.position, s.lot_id, s.amount_ucr AS share_ucr, s.captured_ucr AS share_captured_ucr, s.released_ucr AS share_released_ucr
FROM hold h JOIN hold_share s ON s.hold_id = h.id
WHERE h.meter_id = ANY(%(ids)s::uuid[]) AND h.state = 'open' ORDER BY h.meter_id, h.window_number, s.position
"""


def _holds(db: Session, meter_ids: Sequence[uuid.UUID], lots: dict[uuid.UUID, LotState]) -> defaultdict[uuid.UUID, list[HoldWork]]:
    """Return the open holds with their shares, in window and share order; one statement."""
    found: defaultdict[uuid.UUID, list[HoldWork]] = defaultdict(list)
    for row in bulk.run(db, _HOLDS, {"ids": bulk.ids_text(meter_ids)}):
        holds = found[row.meter_id]
        if not holds or holds[-1].id != row.id:
            hold = HoldWork(row.id, row.window_number, row.segment, row.starts_at, row.ends_at, row.amount_ucr, [])
            hold.captured_ucr, hold.released_ucr = row.captured_ucr, row.released_ucr
            holds.append(hold)
        holds[-1].shares.append(ShareWork(row.position, lots[row.lot_id], row.share_ucr, row.share_captured_ucr, row.share_released_ucr))
    return found
