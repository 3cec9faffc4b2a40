"""Debts of a wallet: use proven after the credit was gone, and credits of a refunded purchase that were already spent.

Bought credits pay a wallet's debts when they arrive or come back; credits that a sponsor gave never pay for other work.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session, aliased

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Refused
from portal.core.quantities import decimal_credits
from portal.credits.models import LedgerAccount, LedgerTransaction, Lot, Wallet
from portal.credits.operations import grants, journal, lots, wallets

COLLECTOR = Actor.process("debts")
MOST_AT_ONCE = 500


class NoDebt(Conflict):
    """There is nothing to write off, or less than was named."""

    text = N_("The wallet owes %(debt)s credits; no more than that can be written off.")
    field = "amount"


class NeedsAnother(Refused):
    """A debt is written off by two people."""

    text = N_("A debt is written off by two people: somebody else has to approve it.")


@dataclass(frozen=True)
class Debts:
    """What a wallet owes, as positive amounts, and the accounts."""

    usage_account_id: uuid.UUID
    clawback_account_id: uuid.UUID
    usage_ucr: int
    clawback_ucr: int


def of_wallet(db: Session, wallet_id: uuid.UUID) -> Debts:
    """Return a wallet's debts; the wallet is locked by the caller where it matters."""
    usage, clawback = aliased(LedgerAccount), aliased(LedgerAccount)
    query = (
        select(usage.id, clawback.id, usage.balance_ucr, clawback.balance_ucr)
        .select_from(Wallet)
        .join(usage, usage.id == Wallet.debt_usage_account_id)
        .join(clawback, clawback.id == Wallet.debt_clawback_account_id)
        .where(Wallet.id == wallet_id)
    )
    usage_id, clawback_id, usage_ucr, clawback_ucr = db.execute(query).one()
    return Debts(usage_id, clawback_id, -(usage_ucr or 0), -(clawback_ucr or 0))


def widen(db: Session, account_id: uuid.UUID, by_ucr: int) -> None:
    """Move an account's lower bound; the wallet is locked. A positive amount lets it owe more."""
    if by_ucr:
        db.execute(update(LedgerAccount).where(LedgerAccount.id == account_id).values(lower_bound_ucr=LedgerAccount.lower_bound_ucr - by_ucr))


def repay(db: Session, wallet_id: uuid.UUID, *, by: Actor, now: datetime) -> int:
    """Let the wallet's bought credits pay its debts, clawback first; return what was paid. The wallet is locked."""
    debts = of_wallet(db, wallet_id)
    left = {debts.clawback_account_id: debts.clawback_ucr, debts.usage_account_id: debts.usage_ucr}
    if not any(left.values()):
        return 0
    bookings: list[journal.Booking] = []
    paid_ucr = 0
    for lot in lots.read(db, (Lot.wallet_id == wallet_id) & Lot.is_bought & (Lot.expires_at > now)):
        free_ucr = lot.available_ucr
        for account_id, owed_ucr in left.items():
            part_ucr = min(free_ucr, owed_ucr)
            if part_ucr:
                free_ucr -= part_ucr
                left[account_id] -= part_ucr
                paid_ucr += part_ucr
                bookings.append(_repayment(db, lot, account_id, part_ucr, len(bookings)))
    journal.post(db, bookings, by=by, now=now)
    for account_id, before_ucr in ((debts.clawback_account_id, debts.clawback_ucr), (debts.usage_account_id, debts.usage_ucr)):
        widen(db, account_id, left[account_id] - before_ucr)
    if paid_ucr:
        audit.record(db, "repaid", "wallet", wallet_id, by=by, now=now, amount=decimal_credits(paid_ucr))
    return paid_ucr


def _repayment(db: Session, lot: lots.LockedLot, account_id: uuid.UUID, amount_ucr: int, place: int) -> journal.Booking:
    number = journal.count_of(db, "repayment", LedgerTransaction.wallet_id == lot.wallet_id) + place + 1
    lines = [journal.Line(lot.available_account_id, -amount_ucr), journal.Line(account_id, amount_ucr)]
    body = {"lot": lot.id, "account": account_id, "amount": amount_ucr}
    return journal.Booking(f"repay:{lot.wallet_id}:{number}", "repayment", body, lines, wallet_id=lot.wallet_id, lot_id=lot.id)


def collect(db: Session, *, now: datetime, most: int = MOST_AT_ONCE) -> int:
    """Repay where a wallet owes and bought credits came free again; return how many wallets paid."""
    debt, available = aliased(LedgerAccount), aliased(LedgerAccount)
    owing = (
        select(Wallet.id)
        .join(debt, debt.id.in_([Wallet.debt_usage_account_id, Wallet.debt_clawback_account_id]))
        .join(Lot, (Lot.wallet_id == Wallet.id) & Lot.is_bought & (Lot.expires_at > now))
        .join(available, available.id == Lot.available_account_id)
        .where(debt.balance_ucr < 0, available.balance_ucr > 0)
        .distinct()
        .limit(most)
    )
    due: Sequence[uuid.UUID] = list(db.execute(owing).scalars())
    return sum(1 for wallet_id in wallets.lock(db, due, is_patient=False) if repay(db, wallet_id, by=COLLECTOR, now=now)) if due else 0


def write_off(
    db: Session, *, write_off_id: uuid.UUID, wallet_id: uuid.UUID, amount_ucr: int, reason: str, by: Actor, approved_by: Actor, now: datetime
) -> None:
    """Forgive usage debt; the same id again changes nothing. Raises NoDebt, NeedsAnother, OwnProject, BadAmount, KeyReused."""
    wallet = wallets.lock_one(db, wallet_id)
    key, body = f"writeoff:{write_off_id}", {"wallet": wallet_id, "amount": amount_ucr}
    if journal.stored_result(db, key, body, by=by, now=now) is not None:
        return
    if by.person_id is None or approved_by.person_id in {None, by.person_id}:
        raise NeedsAnother
    grants.refuse_own_project(db, wallet.project_id, {by.id, approved_by.id})
    debts = of_wallet(db, wallet_id)
    if amount_ucr <= 0:
        raise grants.BadAmount
    if amount_ucr > debts.usage_ucr:
        raise NoDebt(debt=decimal_credits(debts.usage_ucr))
    lines = [journal.Line(debts.usage_account_id, amount_ucr), journal.Line(journal.WRITEOFF_ACCOUNT_ID, -amount_ucr)]
    journal.post(db, [journal.Booking(key, "write_off", body, lines, wallet_id=wallet_id)], by=by, now=now)
    widen(db, debts.usage_account_id, -amount_ucr)
    details = {"amount": decimal_credits(amount_ucr), "reason": reason, "approved_by": str(approved_by.person_id)}
    audit.record(db, "wrote_off", "wallet", wallet_id, by=by, now=now, **details)
