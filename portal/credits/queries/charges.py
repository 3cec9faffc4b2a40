"""One charge, opened up: its seconds by price with the sum written out, who paid, and what the journal says of it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, and_, cast, func, or_, select
from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.core.quantities import charge_ucr
from portal.credits.models import Fund, LedgerAccount, LedgerEntry, LedgerTransaction, Lot, Meter, MeterSegment
from portal.credits.queries.balances import running_seconds
from portal.credits.queries.wallets import WalletCard, visible_wallets, wallet_card
from portal.credits.states import MeterState

BOOKINGS_SHOWN = 50


@dataclass(frozen=True)
class Stretch:
    """Seconds [from_s, until_s) of a generation under one price: amount = floor(rate × seconds / 3600)."""

    generation: int
    from_s: int
    until_s: int
    rate_ucr_per_hour: int

    @property
    def duration_s(self) -> int:
        """Return the seconds."""
        return self.until_s - self.from_s

    @property
    def amount_ucr(self) -> int:
        """Return what they cost."""
        return charge_ucr(self.rate_ucr_per_hour, self.duration_s)


@dataclass(frozen=True)
class Payer:
    """What a lot gave in all, what it got back taken off; in the order in which lots were first taken. A bought one has no fund."""

    lot_number: int
    purpose: str
    fund_name: str
    expires_at: datetime
    amount_ucr: int


@dataclass(frozen=True)
class Charge:
    """A session's charge, over all its generations.

    stretches add up to used_ucr until `as_of`; booked - corrected = payers + debt + written_off. A running session's seconds
    since the last booking are in used_ucr and not booked yet.
    """

    wallet: WalletCard
    session_id: uuid.UUID
    label: str
    charge_class: str
    started_at: datetime | None
    ended_at: datetime | None
    last_seen_at: datetime | None
    is_running: bool
    proven_s: int
    booked_s: int
    booked_ucr: int
    corrected_ucr: int
    stretches: Sequence[Stretch]
    payers: Sequence[Payer]
    debt_ucr: int
    written_off_ucr: int
    as_of: datetime

    @property
    def used_ucr(self) -> int:
        """Return what the seconds cost until `as_of`, booked or not."""
        return sum(stretch.amount_ucr for stretch in self.stretches)

    @property
    def used_s(self) -> int:
        """Return the seconds that the charge is for."""
        return sum(stretch.duration_s for stretch in self.stretches)

    @property
    def charged_ucr(self) -> int:
        """Return what is left after what was given back."""
        return self.used_ucr - self.corrected_ucr


@dataclass(frozen=True)
class BookingRow:
    """A booking of the journal that belongs to a charge. amount: what it moved. from_s, until_s: of the session, for captures."""

    id: uuid.UUID
    key: str
    operation: str
    booked_at: datetime
    from_s: int | None
    until_s: int | None
    amount_ucr: int


def charge_of_session(db: Session, session_id: uuid.UUID, *, actor: Actor, now: datetime) -> Charge:
    """Return a session's charge to whoever may see the wallet that pays; four statements. Raises NotFound."""
    meters = select(Meter, running_seconds(now).label("running_s")).where(Meter.session_id == session_id).order_by(Meter.generation)
    rows = db.execute(meters.execution_options(populate_existing=True)).all()
    if not rows:
        raise NotFound
    found: list[Meter] = [row.Meter for row in rows]
    wallet = wallet_card(db, visible_wallets(actor), found[0].wallet_id)
    ids = [meter.id for meter in found]
    payers, debt_ucr, written_off_ucr = _paid(db, ids)
    last = found[-1]
    return Charge(
        wallet=wallet,
        session_id=session_id,
        label=last.label,
        charge_class=last.charge_class,
        started_at=next((meter.started_at for meter in found if meter.started_at is not None), None),
        ended_at=last.ended_at,
        last_seen_at=last.last_seen_at,
        is_running=any(meter.state == MeterState.OPEN for meter in found),
        proven_s=sum(meter.proven_s for meter in found),
        booked_s=sum(meter.booked_s for meter in found),
        booked_ucr=sum(meter.booked_ucr for meter in found),
        corrected_ucr=sum(meter.corrected_ucr for meter in found),
        stretches=_stretches(db, {row.Meter.id: (row.Meter.generation, row.running_s) for row in rows}),
        payers=payers,
        debt_ucr=debt_ucr,
        written_off_ucr=written_off_ucr,
        as_of=now,
    )


def _stretches(db: Session, seconds: dict[uuid.UUID, tuple[int, int]]) -> list[Stretch]:
    query = select(MeterSegment).where(MeterSegment.meter_id.in_(seconds)).order_by(MeterSegment.meter_id, MeterSegment.segment)
    segments = db.execute(query).scalars().all()
    found: list[Stretch] = []
    for index, segment in enumerate(segments):
        generation, until_s = seconds[segment.meter_id]
        if index + 1 < len(segments) and segments[index + 1].meter_id == segment.meter_id:
            until_s = min(until_s, segments[index + 1].starts_s)
        if until_s > segment.starts_s:
            found.append(Stretch(generation, segment.starts_s, until_s, segment.rate_ucr_per_hour))
    return sorted(found, key=lambda stretch: (stretch.generation, stretch.from_s))


def _paid(db: Session, meter_ids: Sequence[uuid.UUID]) -> tuple[list[Payer], int, int]:
    """Return what lots gave, what became debt and what the hub bore; what was given back is taken off each."""
    is_of_lot = or_(Lot.held_account_id == LedgerAccount.id, Lot.available_account_id == LedgerAccount.id)
    query = (
        select(LedgerAccount.kind, Lot.number, Lot.purpose, func.coalesce(Fund.name, "").label("fund_name"), Lot.expires_at)
        .add_columns(cast(-func.sum(LedgerEntry.amount_ucr), BigInteger).label("amount_ucr"), func.min(LedgerEntry.id).label("first"))
        .select_from(LedgerTransaction)
        .join(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .join(Lot, and_(Lot.wallet_id == LedgerTransaction.wallet_id, is_of_lot), isouter=True)
        .join(Fund, Fund.id == Lot.fund_id, isouter=True)
        .where(LedgerTransaction.meter_id.in_(meter_ids), LedgerTransaction.operation.in_(["capture", "correction"]), LedgerAccount.kind != "usage")
        .group_by(LedgerAccount.kind, Lot.number, Lot.purpose, Fund.name, Lot.expires_at)
        .order_by(func.min(LedgerEntry.id))
    )
    lots: dict[int, Payer] = {}
    beside = {"debt_usage": 0, "writeoff": 0}
    for row in db.execute(query):
        if row.number is None:
            beside[row.kind] += row.amount_ucr
            continue
        before_ucr = lots[row.number].amount_ucr if row.number in lots else 0
        lots[row.number] = Payer(row.number, row.purpose, row.fund_name, row.expires_at, before_ucr + row.amount_ucr)
    return list(lots.values()), beside["debt_usage"], beside["writeoff"]


def page_of_bookings(db: Session, session_id: uuid.UUID, *, mark: str | None) -> Page[BookingRow]:
    """Return one page of what the journal booked for a session, the oldest first; for whoever may see its charge."""
    moved = select(cast(func.sum(LedgerEntry.amount_ucr), BigInteger)).where(LedgerEntry.transaction_id == LedgerTransaction.id, LedgerEntry.amount_ucr > 0)
    query = (
        select(LedgerTransaction.id, LedgerTransaction.key, LedgerTransaction.operation, LedgerTransaction.booked_at)
        .add_columns(LedgerTransaction.from_s, LedgerTransaction.until_s, moved.correlate(LedgerTransaction).scalar_subquery().label("amount_ucr"))
        .join(Meter, Meter.id == LedgerTransaction.meter_id)
        .where(Meter.session_id == session_id)
    )
    page: Page[Any] = page_of(db, query, LedgerTransaction.id, mark=mark, size=BOOKINGS_SHOWN, is_newest_first=False)
    return page.map(lambda row: BookingRow(**row._asdict()))
