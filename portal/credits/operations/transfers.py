"""Moving credits between lots: to another project, for a time or for good, and to a later end in the same wallet.

What moves becomes a new lot with the same fund, purpose and machines; a transfer keeps the end too.
Bought credits stay with the project that bought them: its refund and its disputes refer to them.
"""

import uuid
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid, NotFound
from portal.core.quantities import decimal_credits
from portal.credits.models import CreditLoan, LedgerTransaction, Lot, LotRevocation
from portal.credits.operations import grants, journal, lots, wallets
from portal.credits.states import LOAN, LoanState

RETURNS = Actor.process("loans")
MOST_AT_ONCE = 200


class BoughtStays(Conflict):
    """Bought credits do not leave their wallet."""

    text = N_("Bought credits stay with the project that bought them.")


class SameWallet(Invalid):
    """Source and target are one wallet."""

    text = N_("Choose another project: these credits are already there.")
    field = "target"


class LotEnded(Conflict):
    """An ended or revoked lot moves nowhere."""

    text = N_("These credits have ended or were taken back.")


class BadReturn(Invalid):
    """A loan goes back before the credits end."""

    text = N_("Choose a day in the future, before these credits end.")
    field = "returns_on"


class BadExtension(Invalid):
    """An extension ends later than the lot does now."""

    text = N_("Choose a day after the present end.")
    field = "expires_on"


def transfer(db: Session, *, transfer_id: uuid.UUID, lot_id: uuid.UUID, target_wallet_id: uuid.UUID, amount_ucr: int, by: Actor, now: datetime) -> uuid.UUID:
    """Move free credits of a grant to another wallet and return the new lot; the same id again returns the same.

    Raises BoughtStays, SameWallet, LotEnded, NotThatMuch, BadAmount, NotFound, KeyReused.
    """
    source_wallet_id = lots.wallet_of(db, lot_id)
    if source_wallet_id == target_wallet_id:
        raise SameWallet
    if set(wallets.lock(db, {source_wallet_id, target_wallet_id})) != {source_wallet_id, target_wallet_id}:
        raise NotFound
    key, body = f"xfer:{transfer_id}", {"lot": lot_id, "target": target_wallet_id, "amount": amount_ucr}
    stored = journal.stored_result(db, key, body, by=by, now=now)
    if stored is not None:
        return uuid.UUID(stored["lot_id"])
    lot = _movable(db, lot_id, now)
    if amount_ucr <= 0:
        raise grants.BadAmount
    lot.require(amount_ucr)
    new_id = _move(db, lot, key, body, amount_ucr, target_wallet_id=target_wallet_id, origin="transfer", expires_at=lot.expires_at, by=by, now=now)
    for wallet_id, action in ((source_wallet_id, "sent"), (target_wallet_id, "received")):
        audit.record(db, action, "wallet", wallet_id, by=by, now=now, lot_id=str(lot_id), new_lot_id=str(new_id), amount=decimal_credits(amount_ucr))
    return new_id


def lend(
    db: Session, *, loan_id: uuid.UUID, lot_id: uuid.UUID, target_wallet_id: uuid.UUID, amount_ucr: int, returns_at: datetime, by: Actor, now: datetime
) -> uuid.UUID:
    """Transfer for a time: what is left goes back by itself. Raises BadReturn and what `transfer` raises."""
    known = db.execute(select(CreditLoan.lot_id).where(CreditLoan.id == loan_id)).scalar_one_or_none()
    if known is not None:
        return known
    expires_at = db.execute(select(Lot.expires_at).where(Lot.id == lot_id)).scalar_one_or_none()
    if expires_at is None:
        raise NotFound
    if not now < returns_at < expires_at:
        raise BadReturn
    lender_id = lots.wallet_of(db, lot_id)
    new_id = transfer(db, transfer_id=loan_id, lot_id=lot_id, target_wallet_id=target_wallet_id, amount_ucr=amount_ucr, by=by, now=now)
    row = {"id": loan_id, "lot_id": new_id, "lender_wallet_id": lender_id, "state": LoanState.LENT.value, "lent_at": now, "returns_at": returns_at}
    db.execute(insert(CreditLoan).values(**row))
    return new_id


def give_back(db: Session, *, loan_id: uuid.UUID, by: Actor, now: datetime) -> int:
    """Return what is free of a loan to the lender, and what it returned; a second time changes nothing. Raises NotFound."""
    loan = db.execute(select(CreditLoan).where(CreditLoan.id == loan_id)).scalar_one_or_none()
    if loan is None:
        raise NotFound
    borrower_id = lots.wallet_of(db, loan.lot_id)
    wallets.lock(db, {borrower_id, loan.lender_wallet_id})
    db.refresh(loan)
    if loan.state == LoanState.RETURNED:
        return loan.returned_ucr or 0
    state = LOAN.target("give_back", LoanState(loan.state))
    lot = lots.read(db, Lot.id == loan.lot_id)[0]
    amount_ucr = lot.available_ucr if now < lot.expires_at else 0
    if amount_ucr:
        key, body = f"xfer:{loan_id}:back", {"lot": lot.id, "amount": amount_ucr}
        _move(db, lot, key, body, amount_ucr, target_wallet_id=loan.lender_wallet_id, origin="transfer", expires_at=lot.expires_at, by=by, now=now)
    db.execute(update(CreditLoan).where(CreditLoan.id == loan_id).values(state=state.value, returned_at=now, returned_ucr=amount_ucr))
    for wallet_id in (borrower_id, loan.lender_wallet_id):
        audit.record(db, "gave_back", "wallet", wallet_id, by=by, now=now, loan_id=str(loan_id), amount=decimal_credits(amount_ucr))
    return amount_ucr


def return_due(db: Session, *, now: datetime, most: int = MOST_AT_ONCE) -> int:
    """Give back the loans whose day has come and that hold nothing; return how many."""
    query = select(CreditLoan.id, CreditLoan.lot_id).where(CreditLoan.state == LoanState.LENT.value, CreditLoan.returns_at <= now).order_by(CreditLoan.id)
    due = db.execute(query.limit(most)).all()
    returned = 0
    for row in due:
        wallets.lock_one(db, lots.wallet_of(db, row.lot_id))
        if lots.read(db, Lot.id == row.lot_id)[0].held_ucr == 0:
            give_back(db, loan_id=row.id, by=RETURNS, now=now)
            returned += 1
    return returned


def extendable_ucr(db: Session, *, lot_id: uuid.UUID, expires_at: datetime, now: datetime) -> int:
    """Return what is free of a lot and may have a later end; the wallet stays locked.

    Raises BoughtStays, LotEnded, BadExtension, NotThatMuch (nothing is free), NotFound.
    """
    lots.locked(db, lot_id)
    lot = _movable(db, lot_id, now)
    if expires_at <= lot.expires_at:
        raise BadExtension
    if not lot.available_ucr:
        raise lots.NotThatMuch(free=decimal_credits(0))
    return lot.available_ucr


def extend(db: Session, *, lot_id: uuid.UUID, expires_at: datetime, by: Actor, now: datetime, most_ucr: int | None = None) -> uuid.UUID:
    """Give what is free of a lot a later end, as a new lot of the same wallet; return it. A lot itself never changes.

    most_ucr: no more than that, None for all. Raises BoughtStays, LotEnded, BadExtension, NotThatMuch (nothing is free), NotFound.
    """
    free_ucr = extendable_ucr(db, lot_id=lot_id, expires_at=expires_at, now=now)
    amount_ucr = free_ucr if most_ucr is None else min(free_ucr, most_ucr)
    lot = _movable(db, lot_id, now)
    number = journal.count_of(db, "transfer", LedgerTransaction.key.like(f"ext:{lot_id}:%")) + 1
    key, body = f"ext:{lot_id}:{number}", {"amount": amount_ucr, "expires_at": expires_at.isoformat()}
    new_id = _move(db, lot, key, body, amount_ucr, target_wallet_id=lot.wallet_id, origin="extension", expires_at=expires_at, by=by, now=now)
    details = {"lot_id": str(lot_id), "new_lot_id": str(new_id), "expires_at": expires_at.isoformat(), "amount": decimal_credits(amount_ucr)}
    audit.record(db, "extended", "wallet", lot.wallet_id, by=by, now=now, **details)
    return new_id


def _movable(db: Session, lot_id: uuid.UUID, now: datetime) -> lots.LockedLot:
    lot = lots.read(db, Lot.id == lot_id)[0]
    if lot.fund_id is None:
        raise BoughtStays
    if lot.expires_at <= now or db.execute(select(LotRevocation.lot_id).where(LotRevocation.lot_id == lot_id)).first() is not None:
        raise LotEnded
    return lot


def _move(
    db: Session,
    lot: lots.LockedLot,
    key: str,
    body: dict[str, object],
    amount_ucr: int,
    *,
    target_wallet_id: uuid.UUID,
    origin: str,
    expires_at: datetime,
    by: Actor,
    now: datetime,
) -> uuid.UUID:
    terms = lot.terms() | {"expires_at": expires_at}
    more = {"origin": origin, "source_lot_id": lot.id, "is_bought": False, "issued_ucr": amount_ucr, "granted_at": now}
    new_id, available_id = lots.open_lot(db, wallet_id=target_wallet_id, **terms, **more)
    leaves, arrives = journal.Line(lot.available_account_id, -amount_ucr), journal.Line(available_id, amount_ucr)
    result = {"lot_id": str(new_id)}
    if target_wallet_id == lot.wallet_id:
        bookings = [journal.Booking(key, "transfer", body, [leaves, arrives], result, wallet_id=lot.wallet_id, lot_id=new_id)]
    else:
        # A booking for each wallet, so that each statement has its own line; between them the credits are in transit.
        transit = journal.TRANSIT_ACCOUNT_ID
        bookings = [
            journal.Booking(key, "transfer", body, [leaves, journal.Line(transit, amount_ucr)], result, wallet_id=lot.wallet_id, lot_id=lot.id),
            journal.Booking(f"{key}:in", "transfer", body, [journal.Line(transit, -amount_ucr), arrives], result, wallet_id=target_wallet_id, lot_id=new_id),
        ]
    journal.post(db, bookings, by=by, now=now)
    return new_id
