"""One wallet's future, as its page shows it: forecast, loans and what happens next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from portal.credits.queries.balances import Balance
from portal.credits.queries.pacing import LoanRow, Outlook, loans_of, machines_used, outlook
from portal.credits.queries.upcoming import Event, upcoming
from portal.credits.queries.wallets import Holdings, LotRow


@dataclass(frozen=True)
class WalletAhead:
    """What a wallet has in lots, how they will fare at the present pace (None: too few days), and the events in order."""

    lots: Sequence[LotRow]
    loans: Sequence[LoanRow]
    outlook: Outlook | None
    events: Sequence[Event]


def look_ahead(db: Session, balance: Balance, having: Holdings, used: Mapping[date, int], *, now: datetime) -> WalletAhead:
    """Return the future of the wallet that a balance and holdings were read of; two statements at most. used: by day."""
    id_ = balance.wallet_id
    loans = loans_of(db, [id_])
    found = outlook(having.lots, loans, used, machines_used(db, {id_: having.lots})[id_], balance, now=now)
    return WalletAhead(having.lots, loans, found, upcoming(having.lots, loans, having.running, found, now=now))
