"""What is closed: the head of the hash chain, and months."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.credits.models import LedgerBlock, LedgerMonth
from portal.identity import relations as identity


@dataclass(frozen=True)
class Head:
    """The newest block of the chain, as it is printed on statements."""

    number: int
    digest: str
    sealed_at: datetime

    @property
    def short(self) -> str:
        """Return the digest's beginning, enough to tell two heads apart."""
        return self.digest[:16]

    @property
    def grouped(self) -> str:
        """Return the digest in groups of sixteen, as people compare it."""
        return " ".join(self.digest[place : place + 16] for place in range(0, len(self.digest), 16))


@dataclass(frozen=True)
class MonthRow:
    """A closed month."""

    month: date
    wallets: int
    opening_ucr: int
    closing_ucr: int
    closed_at: datetime
    closed_by: str


def head(db: Session) -> Head | None:
    """Return the newest block, None before the first."""
    row = db.execute(select(LedgerBlock).order_by(LedgerBlock.number.desc()).limit(1)).scalar_one_or_none()
    return Head(row.number, row.digest, row.sealed_at) if row is not None else None


def months(db: Session, *, before: date | None = None, most: int = 24) -> list[MonthRow]:
    """Return the latest closed months, newest first. For finance and funders."""
    person = identity.person.c
    query = select(LedgerMonth, person.display_name).outerjoin(identity.person, person.id == LedgerMonth.closed_by_id)
    if before is not None:
        query = query.where(LedgerMonth.month < before)
    rows = db.execute(query.order_by(LedgerMonth.month.desc()).limit(most))
    return [_month(row.LedgerMonth, row.display_name or "") for row in rows]


def _month(row: LedgerMonth, closed_by: str) -> MonthRow:
    return MonthRow(row.month, row.wallets, row.opening_ucr, row.closing_ucr, row.closed_at, closed_by)
