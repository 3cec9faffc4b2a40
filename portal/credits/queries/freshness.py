"""How fresh a wallet's figures are: when use was last seen, and when everything was last compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, true
from sqlalchemy.orm import Session, aliased

from portal.credits.models import LedgerBlock, ReconciliationRow
from portal.credits.queries.closing import Head
from portal.credits.states import Reconciliation


@dataclass(frozen=True)
class Compared:
    """The last comparison of one kind. agrees: it found no problem, and the other side answered."""

    looked_at: datetime
    agreed_at: datetime | None
    compared: int
    problems: int

    @property
    def agrees(self) -> bool:
        """Return whether the last look found everything in order."""
        return self.agreed_at == self.looked_at


@dataclass(frozen=True)
class Freshness:
    """What was compared last, None for what never was; and the newest seal of the journal."""

    by_kind: Mapping[Reconciliation, Compared]
    head: Head | None

    @property
    def metering(self) -> Compared | None:
        """Return the last comparison of sessions with the hub."""
        return self.by_kind.get(Reconciliation.METERING)

    @property
    def provider(self) -> Compared | None:
        """Return the last comparison of money with the payment provider's balance."""
        return self.by_kind.get(Reconciliation.PROVIDER)

    @property
    def ledger(self) -> Compared | None:
        """Return the last check of the ledger's own rules."""
        return self.by_kind.get(Reconciliation.LEDGER)


def freshness(db: Session) -> Freshness:
    """Return what a wallet's page says of its figures; one statement."""
    newest = select(LedgerBlock).order_by(LedgerBlock.number.desc()).limit(1).subquery()
    block = aliased(LedgerBlock, newest)
    found: dict[Reconciliation, Compared] = {}
    head: Head | None = None
    for row, last in db.execute(select(ReconciliationRow, block).join(block, true(), full=True)):
        if row is not None:
            found[Reconciliation(row.kind)] = Compared(row.looked_at, row.agreed_at, row.compared, row.problems)
        if last is not None:
            head = Head(last.number, last.digest, last.sealed_at)
    return Freshness(found, head)
