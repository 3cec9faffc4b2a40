"""Revoking a grant: what is free goes back to the fund at once, what running windows hold when they give it back."""

import uuid
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid
from portal.core.quantities import decimal_credits
from portal.credits import bulk
from portal.credits.models import Fund, LedgerAccount, LedgerTransaction, Lot, LotRevocation
from portal.credits.operations import journal, lots, wallets

MOST_AT_ONCE = 2000
SWEEPER = Actor.process("revocations")


class NotAGrant(Conflict):
    """Bought credits are refunded, not revoked."""

    text = N_("These credits were bought. They can be refunded, not revoked.")


class NoReason(Invalid):
    """The people of the project are told why."""

    text = N_("Say why: the project's members read it.")
    field = "reason"


def revoke(db: Session, *, lot_id: uuid.UUID, reason: str, by: Actor, now: datetime) -> int:
    """Take a lot back to its fund and return what went back at once; again changes nothing. Raises NotAGrant, NoReason, NotFound."""
    lot = lots.locked(db, lot_id)
    if lot.fund_id is None:
        raise NotAGrant
    if not reason.strip():
        raise NoReason
    known = db.execute(select(LotRevocation.lot_id).where(LotRevocation.lot_id == lot_id)).first()
    if known is None:
        db.execute(insert(LotRevocation).values(lot_id=lot_id, reason=reason.strip(), revoked_at=now, revoked_by_id=by.person_id))
        audit.record(db, "revoked", "wallet", lot.wallet_id, by=by, now=now, lot_id=str(lot_id), amount=decimal_credits(lot.available_ucr), reason=reason)
    return _take_back(db, [lot], by=by, now=now)


def sweep(db: Session, *, now: datetime, most: int = MOST_AT_ONCE) -> int:
    """Take back what revoked lots got back from windows since; return how many lots."""
    free = select(LedgerAccount.id).where(LedgerAccount.kind == "lot_available", LedgerAccount.balance_ucr > 0)
    query = select(Lot.id, Lot.wallet_id).join(LotRevocation, LotRevocation.lot_id == Lot.id).where(Lot.available_account_id.in_(free))
    due = db.execute(query.order_by(Lot.id).limit(most)).all()
    if not due:
        return 0
    locked = set(wallets.lock(db, {row.wallet_id for row in due}, is_patient=False))
    ready = [row.id for row in due if row.wallet_id in locked]
    found = lots.read(db, bulk.among(Lot.id, ready))
    _take_back(db, found, by=SWEEPER, now=now)
    return len(found)


def _take_back(db: Session, found: list[lots.LockedLot], *, by: Actor, now: datetime) -> int:
    accounts = {row.id: row.issuance_account_id for row in db.execute(select(Fund.id, Fund.issuance_account_id))}
    bookings = []
    for lot in found:
        if lot.available_ucr and lot.fund_id is not None:
            number = journal.count_of(db, "revoke", LedgerTransaction.lot_id == lot.id) + 1
            lines = [journal.Line(lot.available_account_id, -lot.available_ucr), journal.Line(accounts[lot.fund_id], lot.available_ucr)]
            body = {"amount": lot.available_ucr}
            bookings.append(journal.Booking(f"revoke:{lot.id}:{number}", "revoke", body, lines, wallet_id=lot.wallet_id, lot_id=lot.id))
    # Issuance accounts are shared by wallets: always in one order.
    journal.lock_accounts(db, sorted({line.account_id for booking in bookings for line in booking.lines}))
    journal.post(db, bookings, by=by, now=now)
    return sum(booking.body["amount"] for booking in bookings)
