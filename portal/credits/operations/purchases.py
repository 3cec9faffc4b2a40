"""Bought credits: issued once for a purchase, and adjusted to what of the purchase is refunded or disputed.

`adjust` names targets, not steps: however often, and in whatever order, refunds and disputes are reported, the
lot ends where the payment side says that it should be. What was spent meanwhile becomes a debt, never more than issued.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import Invalid, NotFound
from portal.core.quantities import MAX_UCR, decimal_credits
from portal.credits.models import LedgerEntry, LedgerTransaction, Lot
from portal.credits.operations import debts, grants, journal, lots, wallets

PURCHASED_ACCOUNT_ID = uuid.UUID("00000000-0000-7000-8000-00000000c0fe")
PRIORITY = 100
_PREFIX = {"clawback": "claw", "freeze": "freeze"}


class BeyondPurchase(Invalid):
    """More would be taken back than the purchase ever gave."""


@dataclass(frozen=True)
class Adjusted:
    """What an adjustment moved: positive amounts left the lot or became debt, negative ones came back."""

    clawed_ucr: int
    debt_ucr: int
    frozen_ucr: int


def issue(db: Session, *, purchase_id: uuid.UUID, wallet_id: uuid.UUID, amount_ucr: int, expires_at: datetime, by: Actor, now: datetime) -> uuid.UUID:
    """Make the lot of a paid purchase and return its id; the same purchase again returns the first one's lot.

    The wallet's debts are paid from it first. Raises BadAmount, BadValidity, NotFound, KeyReused.
    """
    key = f"purchase:{purchase_id}"
    body = {"wallet": wallet_id, "amount": amount_ucr, "expires_at": expires_at.isoformat()}
    wallets.lock_one(db, wallet_id)
    stored = journal.stored_result(db, key, body, by=by, now=now)
    if stored is not None:
        return uuid.UUID(stored["lot_id"])
    grants.check_terms(amount_ucr, None, now, expires_at, now)
    lot_id, available_id = lots.open_lot(
        db,
        wallet_id=wallet_id,
        purchase_id=purchase_id,
        origin="purchase",
        purpose="purchase",
        classes=None,
        priority=PRIORITY,
        is_bought=True,
        issued_ucr=amount_ucr,
        effective_at=now,
        expires_at=expires_at,
        granted_at=now,
    )
    lines = [journal.Line(PURCHASED_ACCOUNT_ID, -amount_ucr), journal.Line(available_id, amount_ucr)]
    booking = journal.Booking(key, "purchase", body, lines, {"lot_id": str(lot_id)}, wallet_id=wallet_id, lot_id=lot_id, purchase_id=purchase_id)
    journal.post(db, [booking], by=by, now=now)
    audit.record(db, "bought", "wallet", wallet_id, by=by, now=now, lot_id=str(lot_id), amount=decimal_credits(amount_ucr))
    debts.repay(db, wallet_id, by=by, now=now)
    return lot_id


def adjust(db: Session, *, purchase_id: uuid.UUID, clawed_ucr: int, frozen_ucr: int, by: Actor, now: datetime) -> Adjusted:
    """Bring a purchase's lot to `clawed_ucr` taken back in all and `frozen_ucr` frozen of what is left in it.

    Raises BeyondPurchase, NotFound (nothing was issued).
    """
    wallet_id = db.execute(select(Lot.wallet_id).where(Lot.purchase_id == purchase_id)).scalar_one_or_none()
    if wallet_id is None:
        raise NotFound
    wallets.lock_one(db, wallet_id)
    lot = lots.read(db, Lot.purchase_id == purchase_id)[0]
    if not (clawed_ucr >= 0 and frozen_ucr >= 0 and clawed_ucr <= lot.issued_ucr <= MAX_UCR):
        raise BeyondPurchase
    change_ucr = clawed_ucr - _clawed(db, purchase_id)
    debt_ucr = _claw(db, lot, change_ucr, total_ucr=clawed_ucr, by=by, now=now) if change_ucr else 0
    lot = lots.read(db, Lot.id == lot.id)[0]
    moved_ucr = _freeze(db, lot, frozen_ucr, by=by, now=now)
    if change_ucr or moved_ucr:
        details = {"purchase_id": str(purchase_id), "clawed": decimal_credits(clawed_ucr), "frozen": decimal_credits(frozen_ucr)}
        audit.record(db, "adjusted", "wallet", wallet_id, by=by, now=now, debt=decimal_credits(debt_ucr), **details)
    debts.repay(db, wallet_id, by=by, now=now)
    return Adjusted(change_ucr, debt_ucr, moved_ucr)


def _clawed(db: Session, purchase_id: uuid.UUID) -> int:
    """Return what was taken back so far, from the journal."""
    query = (
        select(cast(func.coalesce(func.sum(LedgerEntry.amount_ucr), 0), BigInteger))
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .where(LedgerTransaction.purchase_id == purchase_id, LedgerTransaction.operation == "clawback", LedgerEntry.account_id == PURCHASED_ACCOUNT_ID)
    )
    return db.execute(query).scalar_one()


def _claw(db: Session, lot: lots.LockedLot, change_ucr: int, *, total_ucr: int, by: Actor, now: datetime) -> int:
    """Book the change and return what of it became debt (negative: debt that was lifted)."""
    owed = debts.of_wallet(db, lot.wallet_id)
    if change_ucr > 0:
        from_frozen_ucr = min(change_ucr, lot.frozen_ucr)
        from_available_ucr = min(change_ucr - from_frozen_ucr, lot.available_ucr)
        debt_ucr = change_ucr - from_frozen_ucr - from_available_ucr
    else:
        from_frozen_ucr = 0
        debt_ucr = max(change_ucr, -owed.clawback_ucr)
        from_available_ucr = change_ucr - debt_ucr
    # The bound follows the debt: down before it grows, up after it was lifted.
    debts.widen(db, owed.clawback_account_id, max(0, debt_ucr))
    lines = [
        journal.Line(lot.frozen_account_id, -from_frozen_ucr),
        journal.Line(lot.available_account_id, -from_available_ucr),
        journal.Line(owed.clawback_account_id, -debt_ucr),
        journal.Line(PURCHASED_ACCOUNT_ID, change_ucr),
    ]
    _post(db, lot, "clawback", {"total": total_ucr}, lines, by=by, now=now)
    debts.widen(db, owed.clawback_account_id, min(0, debt_ucr))
    return debt_ucr


def _freeze(db: Session, lot: lots.LockedLot, target_ucr: int, *, by: Actor, now: datetime) -> int:
    """Freeze or free, as far as the lot has it; return what moved."""
    moved_ucr = min(target_ucr - lot.frozen_ucr, lot.available_ucr)
    if moved_ucr:
        lines = [journal.Line(lot.available_account_id, -moved_ucr), journal.Line(lot.frozen_account_id, moved_ucr)]
        _post(db, lot, "freeze", {"target": target_ucr}, lines, by=by, now=now)
    return moved_ucr


def _post(db: Session, lot: lots.LockedLot, operation: str, body: dict[str, int], lines: list[journal.Line], *, by: Actor, now: datetime) -> None:
    number = journal.count_of(db, operation, LedgerTransaction.purchase_id == lot.purchase_id) + 1
    key = f"{_PREFIX[operation]}:{lot.purchase_id}:{number}"
    booking = journal.Booking(key, operation, body, lines, wallet_id=lot.wallet_id, lot_id=lot.id, purchase_id=lot.purchase_id)
    journal.post(db, [booking], by=by, now=now)
