"""Statements: what was booked on a wallet between two instants, in lines that add up exactly."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, Date, ScalarSelect, Select, and_, case, cast, collate, column, func, literal, or_, select, true, union_all
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from portal.core.database import Instant
from portal.credits import bulk
from portal.credits.calendar import day_end, day_start, local_day
from portal.credits.models import LedgerAccount, LedgerEntry, LedgerTransaction, Lot, LotDay, Meter, MeterSegment, SummedDay
from portal.credits.queries.balances import PricePart

# Moves inside a wallet: what is held is still the wallet's.
INSIDE = ("hold", "release", "freeze")
# A line is a session, or a transaction of its own.
LINE_ID = func.coalesce(LedgerTransaction.meter_id, LedgerTransaction.id)


@dataclass(frozen=True)
class LotPart:
    """What a line took from, or gave to, one lot."""

    lot_number: int
    purpose: str
    amount_ucr: int


@dataclass(frozen=True)
class StatementLine:
    """A session, grant or expiry. amount: what it changed; a session's debt is beside it, not in it."""

    operation: str
    booked_at: datetime
    amount_ucr: int
    balance_ucr: int
    lots: Sequence[LotPart]
    session_id: uuid.UUID | None = None
    label: str = ""
    charge_class: str = ""
    prices: Sequence[PricePart] = ()
    debt_ucr: int = 0
    written_off_ucr: int = 0

    @property
    def duration_s(self) -> int:
        """Return the seconds that the line charges."""
        return sum(part.duration_s for part in self.prices)


@dataclass(frozen=True)
class Statement:
    """opening + the lines' amounts = closing, all from the journal: running sessions count once they are booked."""

    wallet_id: uuid.UUID
    starts_at: datetime
    ends_at: datetime
    opening_ucr: int
    closing_ucr: int
    lines: Sequence[StatementLine]
    as_of: datetime

    @property
    def given_ucr(self) -> int:
        """Return what came in."""
        return sum(line.amount_ucr for line in self.lines if line.amount_ucr > 0)

    @property
    def taken_ucr(self) -> int:
        """Return what went out, as a negative amount."""
        return sum(line.amount_ucr for line in self.lines if line.amount_ucr < 0)


@dataclass
class _Draft:
    line_id: uuid.UUID
    operation: str
    booked_at: datetime
    session: Any
    lots: list[LotPart] = field(default_factory=list)
    debt_ucr: int = 0
    written_off_ucr: int = 0

    @property
    def amount_ucr(self) -> int:
        return sum(part.amount_ucr for part in self.lots)

    def add(self, row: Any) -> None:
        self.booked_at = max(self.booked_at, row.booked_at)
        if row.account_kind in {"debt_usage", "debt_clawback"}:
            self.debt_ucr -= row.amount_ucr
        elif row.account_kind == "writeoff":
            self.written_off_ucr -= row.amount_ucr
        else:
            self.lots.append(LotPart(row.number, row.purpose, row.amount_ucr))

    def line(self, balance_ucr: int, prices: Sequence[PricePart]) -> StatementLine:
        session = self.session
        return StatementLine(
            operation=self.operation,
            booked_at=self.booked_at,
            amount_ucr=self.amount_ucr,
            balance_ucr=balance_ucr,
            lots=self.lots,
            session_id=session.session_id if session else None,
            label=session.label if session else "",
            charge_class=session.charge_class if session else "",
            prices=prices,
            debt_ucr=self.debt_ucr,
            written_off_ucr=self.written_off_ucr,
        )


def statement(db: Session, wallet_id: uuid.UUID, *, starts_at: datetime, ends_at: datetime, now: datetime) -> Statement:
    """Return the statement of [starts_at, ends_at) with all its lines; five statements, whatever their number."""
    opening_ucr, closing_ucr = bounds(db, wallet_id, starts_at, ends_at)
    return Statement(wallet_id, starts_at, ends_at, opening_ucr, closing_ucr, lines_of(db, wallet_id, starts_at, ends_at, opening_ucr), now)


def bounds(db: Session, wallet_id: uuid.UUID, starts_at: datetime, ends_at: datetime) -> tuple[int, int]:
    """Return the booked balance at two instants; three statements."""
    booked_ucr = _booked_now(db, wallet_id)
    return booked_ucr - _changed_since(db, wallet_id, starts_at), booked_ucr - _changed_since(db, wallet_id, ends_at)


def lines_of(
    db: Session, wallet_id: uuid.UUID, starts_at: datetime, ends_at: datetime, balance_ucr: int, *, only: Sequence[tuple[uuid.UUID, str]] | None = None
) -> list[StatementLine]:
    """Return lines in their order, each with the balance after it; two statements.

    balance: before the first line. only: the lines wanted, by id and operation, one after the other in the order of lines.
    """
    is_wanted = _is_of(only)
    prices = _prices(db, wallet_id, starts_at, ends_at, is_wanted)
    wanted, lines = None if only is None else set(only), []
    for draft in _drafts(db, wallet_id, starts_at, ends_at, is_wanted):
        if wanted is None or (draft.line_id, draft.operation) in wanted:
            balance_ucr += draft.amount_ucr
            lines.append(draft.line(balance_ucr, prices[draft.line_id] if draft.session and draft.operation == "capture" else ()))
    return lines


def line_order(booked_at: Any, line_id: Any, operation: Any) -> list[ColumnElement[Any]]:
    """Return the order of lines: their last booking, and among equals something that does not change."""
    return [booked_at, line_id, collate(operation, "C")]


def _is_of(only: Sequence[tuple[uuid.UUID, str]] | None) -> ColumnElement[bool]:
    if only is None:
        return true()
    ids = [line_id for line_id, _ in only]
    return or_(bulk.among(LedgerTransaction.meter_id, ids), bulk.among(LedgerTransaction.id, ids))


@dataclass(frozen=True)
class DayChange:
    """What was booked on a day, in the zone asked for: came and used are not negative, `total` is with what ended."""

    on: date
    came_ucr: int
    used_ucr: int
    total_ucr: int


def changes_by_day(db: Session, wallet_id: uuid.UUID, *, since: datetime, zone: str, now: datetime) -> list[DayChange]:
    """Return the days since an instant on which anything was booked, oldest first; one statement.

    Days that are over come from their sums, the rest from the journal. Lots that are not valid yet are left out, as
    they are in the balance.
    """
    both = union_all(_from_journal(wallet_id, since, zone, now), _from_sums(wallet_id, since.astimezone(ZoneInfo(zone)).date(), now)).subquery()
    sums = [cast(func.sum(column), BigInteger) for column in (both.c.came_ucr, both.c.used_ucr, both.c.total_ucr)]
    return [DayChange(*row) for row in db.execute(select(both.c.day, *sums).group_by(both.c.day).order_by(both.c.day))]


def days_not_summed(since: date, now: datetime) -> Any:
    """Return the days until now that are not summed yet, as a table: day, starts_at, ends_at. Bounds come from our zones, never the server's."""
    days = [since + timedelta(days=ahead) for ahead in range((local_day(now) - since).days + 1)]
    given = (
        func.unnest(literal(days, ARRAY(Date)), literal([day_start(on) for on in days], ARRAY(Instant)), literal([day_end(on) for on in days], ARRAY(Instant)))
        .table_valued(column("day", Date), column("starts_at", Instant), column("ends_at", Instant), name="given")
        .render_derived()
    )
    is_open = given.c.day > select(func.coalesce(func.max(SummedDay.day), date.min)).scalar_subquery()
    return select(given).where(is_open).subquery("not_summed")


def since_not_summed(since: date, now: datetime) -> ScalarSelect[datetime]:
    """Return when the first of those days begins: with it, a read of the journal begins there instead of looking at all of it."""
    days = days_not_summed(since, now)
    return select(func.min(days.c.starts_at)).correlate(None).scalar_subquery()


def _from_journal(wallet_id: uuid.UUID, since: datetime, zone: str, now: datetime) -> Select[Any]:
    days = days_not_summed(since.astimezone(ZoneInfo(zone)).date(), now)
    amount, zero = LedgerEntry.amount_ucr, literal(0, BigInteger)
    came = cast(func.coalesce(func.sum(amount).filter(amount > 0), zero), BigInteger).label("came_ucr")
    used = cast(func.coalesce(func.sum(-amount).filter(LedgerTransaction.operation == "capture"), zero), BigInteger).label("used_ucr")
    query = moves(wallet_id).add_columns(days.c.day, came, used, cast(func.sum(amount), BigInteger).label("total_ucr"))
    query = query.join(Lot, and_(Lot.wallet_id == LedgerTransaction.wallet_id, _is_account_of_lot()))
    query = query.join(days, and_(LedgerTransaction.booked_at >= days.c.starts_at, LedgerTransaction.booked_at < days.c.ends_at))
    query = query.where(LedgerTransaction.booked_at >= since_not_summed(since.astimezone(ZoneInfo(zone)).date(), now))
    return query.where(Lot.effective_at <= now).group_by(days.c.day)


def _from_sums(wallet_id: uuid.UUID, since: date, now: datetime) -> Select[Any]:
    query = select().add_columns(LotDay.day, LotDay.came_ucr, LotDay.used_ucr, LotDay.total_ucr).select_from(LotDay).join(Lot, Lot.id == LotDay.lot_id)
    return query.where(Lot.wallet_id == wallet_id, Lot.effective_at <= now, LotDay.day >= since)


def _booked_now(db: Session, wallet_id: uuid.UUID) -> int:
    """Return what the wallet's lots hold together, valid or not, as booked."""
    lots = [select(column.label("id")).where(Lot.wallet_id == wallet_id) for column in (Lot.available_account_id, Lot.held_account_id, Lot.frozen_account_id)]
    accounts = union_all(*lots).subquery()
    query = select(cast(func.coalesce(func.sum(LedgerAccount.balance_ucr), 0), BigInteger)).join(accounts, accounts.c.id == LedgerAccount.id)
    return db.execute(query).scalar_one()


def moves(wallet_id: uuid.UUID) -> Select[Any]:
    """Select the entries of a wallet's transactions, those that only move credits inside it left out."""
    query = select().select_from(LedgerTransaction).join(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
    query = query.join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
    return query.where(LedgerTransaction.wallet_id == wallet_id, LedgerTransaction.operation.not_in(INSIDE))


def _is_account_of_lot() -> ColumnElement[bool]:
    return or_(*[LedgerAccount.id == column for column in (Lot.available_account_id, Lot.held_account_id, Lot.frozen_account_id)])


def _changed_since(db: Session, wallet_id: uuid.UUID, instant: datetime) -> int:
    changed = cast(func.coalesce(func.sum(LedgerEntry.amount_ucr), 0), BigInteger)
    query = moves(wallet_id).add_columns(changed).where(LedgerTransaction.booked_at >= instant, LedgerAccount.kind.like("lot_%"))
    return int(db.execute(query).scalar_one())


def _drafts(db: Session, wallet_id: uuid.UUID, starts_at: datetime, ends_at: datetime, is_wanted: ColumnElement[bool]) -> list[_Draft]:
    """Return the lines in the order of their last booking: one for each session, one for each other transaction."""
    kind = case((LedgerAccount.kind.like("lot_%"), "lot"), else_=LedgerAccount.kind)
    booked = [LedgerTransaction.operation, LedgerTransaction.meter_id, kind.label("account_kind")]
    facts = [*booked, Lot.number, Lot.purpose, Meter.session_id, Meter.label, Meter.charge_class]
    query = (
        moves(wallet_id)
        .add_columns(LINE_ID.label("line_id"), *facts)
        .add_columns(func.max(LedgerTransaction.booked_at).label("booked_at"), cast(func.sum(LedgerEntry.amount_ucr), BigInteger).label("amount_ucr"))
        .join(Meter, Meter.id == LedgerTransaction.meter_id, isouter=True)
        .join(Lot, and_(Lot.wallet_id == LedgerTransaction.wallet_id, _is_account_of_lot()), isouter=True)
        .where(LedgerTransaction.booked_at >= starts_at, LedgerTransaction.booked_at < ends_at)
        .where(or_(LedgerAccount.kind.like("lot_%"), LedgerAccount.kind.in_(["debt_usage", "debt_clawback", "writeoff"])), is_wanted)
        .group_by(LINE_ID, "account_kind", *facts[:2], *facts[3:])
        .order_by(func.max(LedgerTransaction.booked_at), LINE_ID, Lot.number)
    )
    drafts: dict[Any, _Draft] = {}
    for row in db.execute(query):
        drafts.setdefault((row.line_id, row.operation), _Draft(row.line_id, row.operation, row.booked_at, row if row.session_id else None)).add(row)
    return sorted(drafts.values(), key=lambda draft: (draft.booked_at, draft.line_id.bytes, draft.operation))


def _prices(
    db: Session, wallet_id: uuid.UUID, starts_at: datetime, ends_at: datetime, is_wanted: ColumnElement[bool]
) -> defaultdict[uuid.UUID, list[PricePart]]:
    """Return the seconds that were booked for each meter, by price."""
    seconds = cast(func.sum(LedgerTransaction.until_s - LedgerTransaction.from_s), BigInteger).label("duration_s")
    query = (
        select(MeterSegment.meter_id, MeterSegment.segment, MeterSegment.rate_ucr_per_hour, seconds)
        .join(MeterSegment, and_(MeterSegment.meter_id == LedgerTransaction.meter_id, MeterSegment.segment == LedgerTransaction.segment))
        .where(LedgerTransaction.wallet_id == wallet_id, LedgerTransaction.operation == "capture", is_wanted)
        .where(LedgerTransaction.booked_at >= starts_at, LedgerTransaction.booked_at < ends_at)
        .group_by(MeterSegment.meter_id, MeterSegment.segment, MeterSegment.rate_ucr_per_hour)
        .order_by(MeterSegment.meter_id, MeterSegment.segment)
    )
    found: defaultdict[uuid.UUID, list[PricePart]] = defaultdict(list)
    for row in db.execute(query):
        found[row.meter_id].append(PricePart(row.duration_s, row.rate_ucr_per_hour))
    return found
