"""Lots as operations see them: made with their accounts, read under their wallet's lock."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session, aliased

from portal.core.errors import N_, Conflict, NotFound
from portal.core.ids import new_id
from portal.core.quantities import short_credits
from portal.credits.models import LedgerAccount, Lot
from portal.credits.operations import journal, wallets


class NotThatMuch(Conflict):
    """The lot has less free than was named; what is held for running sessions does not count."""

    text = N_("This lot has %(free)s credits free. What is held for running sessions cannot be moved.")
    field = "amount"


@dataclass(frozen=True)
class LockedLot:
    """A lot's terms and balances; true while its wallet is locked."""

    id: uuid.UUID
    wallet_id: uuid.UUID
    fund_id: uuid.UUID | None
    purchase_id: uuid.UUID | None
    purpose: str
    classes: list[str] | None
    priority: int
    effective_at: datetime
    expires_at: datetime
    granted_at: datetime
    issued_ucr: int
    available_account_id: uuid.UUID
    held_account_id: uuid.UUID
    frozen_account_id: uuid.UUID
    available_ucr: int
    held_ucr: int
    frozen_ucr: int

    def terms(self) -> dict[str, Any]:
        """Return what a lot that takes over its credits has in common with it."""
        names = ("fund_id", "purpose", "classes", "priority", "effective_at", "expires_at")
        return {name: getattr(self, name) for name in names}

    def require(self, amount_ucr: int) -> None:
        """Raise NotThatMuch when less is free."""
        if amount_ucr > self.available_ucr:
            raise NotThatMuch(free=short_credits(self.available_ucr))


def open_lot(db: Session, **terms: Any) -> tuple[uuid.UUID, uuid.UUID]:
    """Make a lot with its three accounts; return its id and the account of what it has available."""
    lot_id = new_id()
    accounts = [(f"lot:{lot_id}:{part}", f"lot_{part}", 0, None) for part in ("available", "held", "frozen")]
    available_id, held_id, frozen_id = journal.open_accounts(db, accounts)
    db.execute(insert(Lot).values(id=lot_id, available_account_id=available_id, held_account_id=held_id, frozen_account_id=frozen_id, **terms))
    return lot_id, available_id


def wallet_of(db: Session, lot_id: uuid.UUID) -> uuid.UUID:
    """Return the wallet of a lot. Raises NotFound."""
    wallet_id = db.execute(select(Lot.wallet_id).where(Lot.id == lot_id)).scalar_one_or_none()
    if wallet_id is None:
        raise NotFound
    return wallet_id


def locked(db: Session, lot_id: uuid.UUID) -> LockedLot:
    """Lock a lot's wallet and return the lot. Raises NotFound."""
    wallets.lock_one(db, wallet_of(db, lot_id))
    return read(db, Lot.id == lot_id)[0]


def read(db: Session, condition: Any) -> list[LockedLot]:
    """Return the lots of a condition, in id order; their wallets are locked by the caller."""
    available, held, frozen = aliased(LedgerAccount), aliased(LedgerAccount), aliased(LedgerAccount)
    query = (
        select(Lot.id, Lot.wallet_id, Lot.fund_id, Lot.purchase_id, Lot.purpose, Lot.classes, Lot.priority, Lot.effective_at, Lot.expires_at)
        .add_columns(Lot.granted_at, Lot.issued_ucr, Lot.available_account_id, Lot.held_account_id, Lot.frozen_account_id)
        .add_columns(available.balance_ucr.label("available_ucr"), held.balance_ucr.label("held_ucr"), frozen.balance_ucr.label("frozen_ucr"))
        .join(available, available.id == Lot.available_account_id)
        .join(held, held.id == Lot.held_account_id)
        .join(frozen, frozen.id == Lot.frozen_account_id)
        .where(condition)
        .order_by(Lot.id)
    )
    return [LockedLot(*row) for row in db.execute(query)]
