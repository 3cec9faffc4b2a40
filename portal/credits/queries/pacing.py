"""How wallets will fare: use by day, forecasts of lots and of the month's end. A fixed number of statements for any number of wallets."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, and_, cast, func, literal, select, true, union_all
from sqlalchemy.orm import Session, aliased

from portal.core.database import Instant
from portal.credits import bulk
from portal.credits.calendar import day_start, local_day, month_after
from portal.credits.models import CreditLoan, LedgerAccount, LedgerEntry, LedgerTransaction, Lot, LotDay, LotRevocation, Meter, Wallet
from portal.credits.queries.balances import Balance
from portal.credits.queries.statements import days_not_summed, since_not_summed
from portal.credits.queries.wallets import LotRow
from portal.credits.rules.forecasts import Forecast, LotAhead, LotFate, forecast, split
from portal.credits.rules.pacing import Pace, horizon, pace, use_by_day
from portal.credits.states import LoanState
from portal.projects import relations as projects

# Sessions that say which machines a wallet's use is for.
LATEST_SESSIONS = 200


@dataclass(frozen=True)
class LoanRow:
    """Credits of a wallet that are lent, to it or by it. left: what the borrower still has of them."""

    wallet_id: uuid.UUID
    lot_id: uuid.UUID
    is_borrowed: bool
    other: str
    returns_at: datetime


@dataclass(frozen=True)
class MonthAhead:
    """A month as it will end at the present pace. left: what may then be spent."""

    starts_on: date
    ends_at: datetime
    used_ucr: int
    expected_ucr: int
    lost_ucr: int
    left_ucr: int


@dataclass(frozen=True)
class Outlook:
    """A wallet's forecast: until the last lot ends, and the same at the lower and the higher pace. None: too few days."""

    pace: Pace
    ahead: Forecast
    early: Forecast
    late: Forecast
    month: MonthAhead

    @property
    def dry_at(self) -> datetime | None:
        """Return when nothing is left to spend, None where that lies beyond the forecast."""
        return self.ahead.dry_at

    def fate(self, lot_id: uuid.UUID) -> LotFate | None:
        """Return what becomes of a lot."""
        return self.ahead.fates.get(lot_id)


def used_by_day(db: Session, wallet_ids: Collection[uuid.UUID], *, since: datetime, now: datetime) -> dict[uuid.UUID, dict[date, int]]:
    """Return what each wallet used on each day since an instant; one statement. Days that are over come from their sums."""
    days = days_not_summed(local_day(since), now)
    journal = (
        select(LedgerTransaction.wallet_id, days.c.day, (-LedgerEntry.amount_ucr).label("used_ucr"))
        .join(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
        .join(LedgerAccount, and_(LedgerAccount.id == LedgerEntry.account_id, LedgerAccount.kind.like("lot_%")))
        .where(bulk.among(LedgerTransaction.wallet_id, wallet_ids), LedgerTransaction.operation == "capture")
        .join(days, and_(LedgerTransaction.booked_at >= days.c.starts_at, LedgerTransaction.booked_at < days.c.ends_at))
        .where(LedgerTransaction.booked_at >= since_not_summed(local_day(since), now))
    )
    sums = (
        select(Lot.wallet_id, LotDay.day, LotDay.used_ucr)
        .join(LotDay, LotDay.lot_id == Lot.id)
        .where(bulk.among(Lot.wallet_id, wallet_ids), LotDay.day >= local_day(since), LotDay.used_ucr > 0)
    )
    both = union_all(journal, sums).subquery()
    found: dict[uuid.UUID, dict[date, int]] = {wallet_id: {} for wallet_id in wallet_ids}
    query = select(both.c.wallet_id, both.c.day, cast(func.sum(both.c.used_ucr), BigInteger).label("used_ucr")).group_by(both.c.wallet_id, both.c.day)
    for row in db.execute(query):
        found[row.wallet_id][row.day] = row.used_ucr
    return found


def machines_used(db: Session, lots: Mapping[uuid.UUID, Sequence[LotRow]]) -> dict[uuid.UUID, dict[str, int]]:
    """Return what the latest sessions used by kind of machine, of wallets where a lot pays for some machines alone.

    One statement, none where every lot pays for every machine.
    """
    asked = [wallet_id for wallet_id, rows in lots.items() if any(row.classes is not None for row in rows)]
    found: dict[uuid.UUID, dict[str, int]] = {wallet_id: {} for wallet_id in lots}
    if not asked:
        return found
    latest = (
        select(Meter.charge_class, (Meter.booked_ucr - Meter.corrected_ucr).label("used_ucr"))
        .where(Meter.wallet_id == Wallet.id, Meter.booked_ucr > Meter.corrected_ucr)
        .order_by(Meter.id.desc())
        .limit(LATEST_SESSIONS)
        .correlate(Wallet)
        .lateral("latest")
    )
    used = cast(func.sum(latest.c.used_ucr), BigInteger).label("used_ucr")
    query = select(Wallet.id, latest.c.charge_class, used).join(latest, true()).where(bulk.among(Wallet.id, asked)).group_by(Wallet.id, latest.c.charge_class)
    for row in db.execute(query):
        found[row.id][row.charge_class] = row.used_ucr
    return found


def loans_of(db: Session, wallet_ids: Collection[uuid.UUID]) -> list[LoanRow]:
    """Return the loans of wallets that are not back yet, borrowed and lent; one statement."""
    lender, borrower = aliased(Wallet), aliased(Wallet)
    theirs, ours = projects.project.alias(), projects.project.alias()

    def side(wallet: Any, other: Any, *, is_borrowed: bool) -> Any:
        return (
            select(wallet.id.label("wallet_id"), CreditLoan.lot_id, literal(is_borrowed).label("is_borrowed"), other.c.name, CreditLoan.returns_at)
            .select_from(CreditLoan)
            .join(Lot, Lot.id == CreditLoan.lot_id)
            .join(lender, lender.id == CreditLoan.lender_wallet_id)
            .join(borrower, borrower.id == Lot.wallet_id)
            .join(theirs, theirs.c.id == lender.project_id)
            .join(ours, ours.c.id == borrower.project_id)
            .where(bulk.among(wallet.id, wallet_ids), CreditLoan.state == LoanState.LENT.value)
        )

    both = union_all(side(borrower, theirs, is_borrowed=True), side(lender, ours, is_borrowed=False)).subquery()
    rows = db.execute(select(both).order_by(both.c.returns_at, both.c.lot_id))
    return [LoanRow(row.wallet_id, row.lot_id, row.is_borrowed, row.name, row.returns_at) for row in rows]


def valid_issued(db: Session, wallet_ids: Collection[uuid.UUID], *, now: datetime) -> dict[uuid.UUID, int]:
    """Return what the lots that are valid now were issued with, spent ones too, by wallet; one statement."""
    at = literal(now, Instant())
    query = (
        select(Lot.wallet_id, cast(func.sum(Lot.issued_ucr), BigInteger).label("issued_ucr"))
        .join(LotRevocation, LotRevocation.lot_id == Lot.id, isouter=True)
        .where(bulk.among(Lot.wallet_id, wallet_ids), Lot.effective_at <= at, Lot.expires_at > at, LotRevocation.lot_id.is_(None))
        .group_by(Lot.wallet_id)
    )
    return {row.wallet_id: row.issued_ucr for row in db.execute(query)}


def ahead_of(lots: Sequence[LotRow], loans: Sequence[LoanRow], *, now: datetime) -> list[LotAhead]:
    """Return the lots that may be spent now or later, as forecasts take them: a loan ends on the day that it goes back."""
    returns = {loan.lot_id: loan.returns_at for loan in loans if loan.is_borrowed}
    kept = (lot for lot in lots if not lot.is_revoked and lot.expires_at > now and lot.left_ucr > 0)
    return [
        LotAhead(
            lot.id,
            lot.left_ucr,
            lot.effective_at,
            min(lot.expires_at, returns.get(lot.id, lot.expires_at)),
            frozenset(lot.classes) if lot.classes is not None else None,
        )
        for lot in kept
    ]


def first_day(lots: Sequence[LotRow]) -> date | None:
    """Return the day since which the wallet has credits that it could have used."""
    return min((local_day(max(lot.effective_at, lot.granted_at)) for lot in lots if lot.is_valid), default=None)


def outlook(
    lots: Sequence[LotRow],
    loans: Sequence[LoanRow],
    used: Mapping[date, int],
    machines: Mapping[str, int],
    balance: Balance,
    *,
    now: datetime,
) -> Outlook | None:
    """Return a wallet's forecast from what was read of it; None where there are too few days to say anything, or no lots.

    used: what was booked as used by day, of the last four weeks and of this month.
    """
    today, ahead = local_day(now), ahead_of(lots, loans, now=now)
    found = pace(use_by_day(used, today=today, since=first_day(lots)))
    if found is None or not ahead:
        return None
    until = horizon([lot.ends_at for lot in ahead], now=now)
    starts_on = today.replace(day=1)
    ends_at = day_start(month_after(starts_on))

    def at_pace(used_a_day_ucr: int, end: datetime) -> Forecast:
        return forecast(ahead, split(used_a_day_ucr, machines), now=now, until=end)

    month = at_pace(found.used_a_day_ucr, ends_at)
    so_far_ucr = sum(amount for on, amount in used.items() if on >= starts_on) + balance.unbooked_ucr
    return Outlook(
        pace=found,
        ahead=at_pace(found.used_a_day_ucr, until),
        early=at_pace(found.high_ucr, until),
        late=at_pace(found.low_ucr, until),
        month=MonthAhead(starts_on, ends_at, so_far_ucr, month.used_ucr, month.lost_ucr, month.course[-1][1]),
    )


def outlooks(db: Session, balances: Mapping[uuid.UUID, Balance], lots: Mapping[uuid.UUID, Sequence[LotRow]], *, now: datetime) -> "Outlooks":
    """Return the forecasts of wallets and what they rest on; three statements at most, whatever their number."""
    since = day_start(local_day(now) - timedelta(days=90))
    used, machines = used_by_day(db, list(lots), since=since, now=now), machines_used(db, lots)
    loans: defaultdict[uuid.UUID, list[LoanRow]] = defaultdict(list)
    for loan in loans_of(db, list(lots)):
        loans[loan.wallet_id].append(loan)
    found = {id_: outlook(rows, loans[id_], used[id_], machines[id_], balances[id_], now=now) for id_, rows in lots.items()}
    return Outlooks(found, used, loans)


@dataclass(frozen=True)
class Outlooks:
    """Forecasts by wallet, with the use by day and the loans that they were made from."""

    by_wallet: Mapping[uuid.UUID, Outlook | None]
    used: Mapping[uuid.UUID, Mapping[date, int]]
    loans: Mapping[uuid.UUID, Sequence[LoanRow]]
