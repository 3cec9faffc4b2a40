"""Money that came to our bank: entered as the bank says, matched to a purchase by one person, approved by another."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid, NotFound, Refused
from portal.core.ids import new_id
from portal.credits.states import Currency
from portal.payments.models import BankTransfer, Purchase
from portal.payments.operations import purchases
from portal.payments.rules.amounts import plain_money
from portal.payments.states import TRANSFER, Method, PurchaseState, TransferState


class KnownLine(Conflict):
    """The bank's own id of a line is entered once."""

    text = N_("This line of the bank was entered before.")
    field = "bank_line"


class NotMatching(Invalid):
    """A transfer pays a purchase with its exact amount, or none."""

    text = N_("This purchase costs %(gross)s; the transfer brought %(amount)s. Set the transfer aside and settle the rest with the buyer.")
    field = "purchase"


class NotWaiting(Conflict):
    """Only a purchase that waits for a bank transfer can be matched."""

    text = N_("No purchase with this number waits for a bank transfer.")
    field = "purchase"


class SamePerson(Refused):
    """Whoever matched cannot approve."""

    text = N_("You matched this transfer yourself, so somebody else has to approve it.")


@dataclass(frozen=True)
class BankLine:
    """One line of the bank's list. id: the bank's own."""

    id: str
    arrived_on: date
    currency: Currency
    amount_minor: int
    payer: str
    text: str


def enter(db: Session, line: BankLine, *, transfer_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Enter one line. Raises KnownLine."""
    if db.execute(select(BankTransfer.id).where(BankTransfer.bank_line == line.id)).first() is not None:
        raise KnownLine
    db.execute(insert(BankTransfer).values(**_row(line, transfer_id, by, now)))
    audit.record(db, "entered", "bank_transfer", transfer_id, by=by, now=now)


def enter_all(db: Session, lines: Sequence[BankLine], *, by: Actor, now: datetime) -> int:
    """Enter the lines of a bank's list, and return how many were new: the same list again adds nothing."""
    if not lines:
        return 0
    rows = [_row(line, new_id(), by, now) for line in lines]
    made = db.execute(upsert(BankTransfer).values(rows).on_conflict_do_nothing(index_elements=["bank_line"]).returning(BankTransfer.id)).scalars().all()
    for transfer_id in made:
        audit.record(db, "entered", "bank_transfer", transfer_id, by=by, now=now)
    return len(made)


def match(db: Session, *, transfer_id: uuid.UUID, purchase_number: int, by: Actor, now: datetime) -> None:
    """Say which purchase a transfer pays. Raises NotWaiting, NotMatching, WrongState, NotFound."""
    transfer = _locked(db, transfer_id)
    state = TRANSFER.target("match", TransferState(transfer.state))
    query = select(Purchase).where(Purchase.number == purchase_number, Purchase.method == Method.BANK.value, Purchase.state != PurchaseState.PAID.value)
    purchase = db.execute(query).scalar_one_or_none()
    if purchase is None:
        raise NotWaiting
    if (transfer.amount_minor, transfer.currency) != (purchase.gross_minor, purchase.currency):
        raise NotMatching(gross=plain_money(purchase.gross_minor, purchase.currency), amount=plain_money(transfer.amount_minor, transfer.currency))
    _set(db, transfer, "matched", by, now, state=state.value, purchase_id=purchase.id, matched_by_id=by.id)


def unmatch(db: Session, *, transfer_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Take a match back. Raises WrongState, NotFound."""
    transfer = _locked(db, transfer_id)
    state = TRANSFER.target("unmatch", TransferState(transfer.state))
    _set(db, transfer, "unmatched", by, now, state=state.value, purchase_id=None, matched_by_id=None)


def approve(db: Session, *, transfer_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Approve a match as the second person: the purchase is paid, with all that follows. Raises SamePerson, OwnProject, WrongState, NotFound."""
    transfer = _locked(db, transfer_id)
    state = TRANSFER.target("approve", TransferState(transfer.state))
    if transfer.matched_by_id == by.id:
        raise SamePerson
    if transfer.purchase_id is None:
        raise NotFound
    purchase = purchases.locked(db, transfer.purchase_id)
    purchases.refuse_own(db, purchase, by)
    if purchase.state == PurchaseState.PAID:
        raise NotWaiting
    _set(db, transfer, "approved", by, now, state=state.value, approved_by_id=by.id, decided_at=now)
    reference = f"bank-{transfer.number}"
    purchases.fulfil(db, purchase, payment_id=reference, paid_minor=transfer.amount_minor, currency=Currency(transfer.currency), by=by, now=now)


def set_aside(db: Session, *, transfer_id: uuid.UUID, note: str, by: Actor, now: datetime) -> None:
    """Say that a transfer pays no purchase, and why. Raises WrongState, NotFound."""
    transfer = _locked(db, transfer_id)
    state = TRANSFER.target("set_aside", TransferState(transfer.state))
    _set(db, transfer, "set_aside", by, now, state=state.value, note=note, decided_at=now)


def _locked(db: Session, transfer_id: uuid.UUID) -> BankTransfer:
    query = select(BankTransfer).where(BankTransfer.id == transfer_id).with_for_update().execution_options(populate_existing=True)
    transfer = db.execute(query).scalar_one_or_none()
    if transfer is None:
        raise NotFound
    return transfer


def _set(db: Session, transfer: BankTransfer, action: str, by: Actor, now: datetime, **values: object) -> None:
    db.execute(update(BankTransfer).where(BankTransfer.id == transfer.id).values(**values))
    audit.record(db, action, "bank_transfer", transfer.id, by=by, now=now)


def _row(line: BankLine, transfer_id: uuid.UUID, by: Actor, now: datetime) -> dict[str, object]:
    return {
        "id": transfer_id,
        "bank_line": line.id,
        "arrived_on": line.arrived_on,
        "currency": line.currency.value,
        "amount_minor": line.amount_minor,
        "payer": line.payer,
        "text": line.text,
        "state": TransferState.UNMATCHED.value,
        "entered_at": now,
        "entered_by_id": by.id,
    }
