"""Where wallets stand, as warnings look at them: a fixed number of statements for any number of wallets."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from portal.credits.calendar import day_end, day_start
from portal.credits.queries.balances import Balance, balances
from portal.credits.queries.pacing import LoanRow, Outlook, ahead_of, first_day, outlooks, valid_issued
from portal.credits.queries.wallets import LotRow, holdings
from portal.credits.rules.thresholds import LotStanding, Standing


def standings(db: Session, wallet_ids: Collection[uuid.UUID], *, now: datetime) -> dict[uuid.UUID, Standing]:
    """Return where wallets stand; seven statements at most, whatever their number."""
    balance = balances(db, list(wallet_ids), now=now)
    lots = {id_: having.lots for id_, having in holdings(db, wallet_ids, now=now).items()}
    found = outlooks(db, balance, lots, now=now)
    valid = valid_issued(db, wallet_ids, now=now)
    return {
        id_: _standing(balance[id_], lots[id_], valid.get(id_, 0), Future(found.by_wallet[id_], found.loans.get(id_, ()), found.used[id_]), now=now)
        for id_ in wallet_ids
    }


@dataclass(frozen=True)
class Future:
    """A wallet's forecast, and the loans and the use by day that it rests on."""

    outlook: Outlook | None
    loans: Sequence[LoanRow]
    used: Mapping[date, int]


def _standing(balance: Balance, lots: Sequence[LotRow], valid_ucr: int, future: Future, *, now: datetime) -> Standing:
    ahead = future.outlook
    by_id = {lot.id: lot for lot in lots}
    rows = []
    for lot in ahead_of(lots, future.loans, now=now):
        fate, row = ahead.fate(lot.id) if ahead is not None else None, by_id[lot.id]
        rows.append(LotStanding(lot.id, row.purpose, lot.left_ucr, lot.ends_at, fate.lost_ucr if fate else None, is_lent=lot.ends_at < row.expires_at))
    return Standing(
        balance_ucr=balance.balance_ucr,
        given_ucr=balance.given_ucr,
        valid_ucr=valid_ucr,
        dry_at=ahead.dry_at if ahead is not None else None,
        idle_since=None if balance.running else _idle_since(lots, future.used),
        lots=rows,
    )


def _idle_since(lots: Sequence[LotRow], used: Mapping[date, int]) -> datetime | None:
    """Return the end of the last day with use, or the beginning of the day since which there are credits, the later one."""
    instants = [day_end(on) for on, amount in used.items() if amount > 0]
    came = first_day(lots)
    if came is not None:
        instants.append(day_start(came))
    return max(instants, default=None)
