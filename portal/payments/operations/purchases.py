"""Purchases: placed by the buyer, opened at the payment service, paid once, or ended."""

import uuid
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from portal.core import audit, facts, jobs
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid, NotFound
from portal.core.ids import new_id
from portal.credits import relations as credits_
from portal.credits.operations import cash, grants
from portal.credits.operations import purchases as credit_purchases
from portal.credits.states import CashAccount, Currency
from portal.payments.models import Difference, Purchase
from portal.payments.operations import documents, mails
from portal.payments.rules.messages import Checkout
from portal.payments.rules.prices import Quote
from portal.payments.states import PURCHASE, DifferenceState, Method, PurchaseState

CREDITS_VALID = timedelta(days=730)
UNPAID_KEPT = timedelta(days=30)
PROCESS = Actor.process("payments")


class BadBilling(Invalid):
    """An invoice needs a name, an address and a country."""

    text = N_("Please fill this in.")


class WrongMethod(Conflict):
    """A purchase by bank transfer is not paid by card."""

    text = N_("This purchase is paid by bank transfer.")


@dataclass(frozen=True)
class BillTo:
    """Whom the invoice names. tax_id: a firm's ICE or VAT number, never a person's identity number."""

    name: str
    address: str
    country: str
    tax_id: str = ""


def place(
    db: Session, *, purchase_id: uuid.UUID, wallet_id: uuid.UUID, quote: Quote, method: Method, bill_to: BillTo, language: str, by: Actor, now: datetime
) -> int:
    """Place a purchase at a quote of ours and return its number. Raises BadBilling."""
    for name in ("name", "address", "country"):
        if not getattr(bill_to, name).strip():
            raise BadBilling(field=name)
    row = {
        "id": purchase_id,
        "wallet_id": wallet_id,
        "buyer_id": by.id,
        "method": method.value,
        "state": PurchaseState.PLACED.value,
        "credits_ucr": quote.credits_ucr,
        "currency": quote.currency.value,
        "unit_minor": quote.unit_minor,
        "net_minor": quote.net_minor,
        "vat_minor": quote.vat_minor,
        "gross_minor": quote.gross_minor,
        "vat_rate_ppm": quote.vat_rate_ppm,
        "price_list_id": quote.price_version_id,
        "bill_to": asdict(bill_to),
        "language": language,
        "placed_at": now,
        "checkout_count": 0,
    }
    number = db.execute(insert(Purchase).values(**row).returning(Purchase.number)).scalar_one()
    audit.record(db, "placed", "purchase", purchase_id, by=by, now=now, wallet_id=str(wallet_id), gross=f"{quote.gross_minor} {quote.currency.value}")
    if method is Method.BANK:
        db.execute(update(Purchase).where(Purchase.id == purchase_id).values(state=PurchaseState.AWAITING.value))
        mails.bank_order(db, purchase_id, now=now)
    return number


def open_checkout(db: Session, *, purchase_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Ask for a payment page; a page that is open already is kept. Raises WrongMethod, WrongState, NotFound."""
    purchase = locked(db, purchase_id)
    if purchase.method != Method.CARD:
        raise WrongMethod
    is_open = purchase.state == PurchaseState.AWAITING and (purchase.checkout_expires_at is None or purchase.checkout_expires_at > now)
    if is_open:
        return
    if purchase.state == PurchaseState.AWAITING:
        _move(db, purchase, "expire", by=by, now=now)
        purchase = locked(db, purchase_id)
    _move(db, purchase, "open", by=by, now=now)
    db.execute(
        update(Purchase)
        .where(Purchase.id == purchase_id)
        .values(checkout_count=Purchase.checkout_count + 1, checkout_id=None, checkout_url=None, checkout_expires_at=None, ended_at=None)
    )
    jobs.enqueue(db, "payments.open_checkout", purchase_id=str(purchase_id), lock=f"purchase:{purchase_id}")


def note_checkout(db: Session, *, purchase_id: uuid.UUID, checkout: Checkout) -> None:
    """Keep the address of the payment page, even of a purchase that was cancelled meanwhile: it is closed by that name."""
    values = {"checkout_id": checkout.id, "checkout_url": checkout.url, "checkout_expires_at": checkout.expires_at}
    db.execute(update(Purchase).where(Purchase.id == purchase_id, Purchase.checkout_id.is_(None)).values(**values))


def cancel(db: Session, *, purchase_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Cancel what is not paid, and close its payment page. Raises WrongState, NotFound."""
    purchase = locked(db, purchase_id)
    was_open = purchase.state == PurchaseState.AWAITING and purchase.method == Method.CARD
    _move(db, purchase, "cancel", by=by, now=now)
    if was_open:
        jobs.enqueue(db, "payments.close_checkout", purchase_id=str(purchase_id), lock=f"purchase:{purchase_id}")


def end_unpaid(db: Session, purchase: Purchase, name: str, *, by: Actor, now: datetime) -> None:
    """Note that a payment failed or its page expired; a purchase that is paid, or ended otherwise, stays as it is."""
    if PurchaseState(purchase.state) in PURCHASE.transitions[name].sources:
        _move(db, purchase, name, by=by, now=now)


def fulfil(db: Session, purchase: Purchase, *, payment_id: str, paid_minor: int, currency: Currency, by: Actor, now: datetime) -> bool:
    """Take a payment: credits, money, invoice and mail in this one transaction; a second time changes nothing.

    A second payment is left to finance.
    The purchase is locked by the caller. Another amount or currency than asked for issues nothing and is left to finance.
    Returns whether the purchase is paid.
    """
    if purchase.state == PurchaseState.PAID:
        if payment_id != purchase.payment_id:
            what = f"purchase {purchase.number} was paid twice: give the second payment back at the payment service"
            difference(db, key=f"twice:{payment_id}", what=what, currency=currency, amount_minor=paid_minor, now=now)
        return True
    if (paid_minor, currency.value) != (purchase.gross_minor, purchase.currency):
        difference(
            db, key=f"amount:{purchase.id}", what=f"purchase {purchase.number} paid with another amount", currency=currency, amount_minor=paid_minor, now=now
        )
        return False
    _move(db, purchase, "pay", by=by, now=now, payment_id=payment_id, paid_at=now)
    credit_purchases.issue(
        db, purchase_id=purchase.id, wallet_id=purchase.wallet_id, amount_ucr=purchase.credits_ucr, expires_at=now + CREDITS_VALID, by=by, now=now
    )
    came_to = CashAccount.PSP_CLEARING if purchase.method == Method.CARD else CashAccount.BANK
    lines = {came_to: purchase.gross_minor, CashAccount.DEFERRED: -purchase.net_minor, CashAccount.TAX: -purchase.vat_minor}
    cash.book(
        db,
        key=f"paid:{purchase.id}",
        operation="payment",
        currency=currency,
        lines=lines,
        reference=payment_id,
        purchase_id=purchase.id,
        by=by,
        now=now,
    )
    documents.invoice(db, purchase_id=purchase.id, now=now)
    facts.write(db, "payments.purchase_paid", purchase.id, now=now, wallet_id=str(purchase.wallet_id))
    mails.paid(db, purchase.id, now=now)
    return True


def locked(db: Session, purchase_id: uuid.UUID) -> Purchase:
    """Lock a purchase and return it. Raises NotFound."""
    query = select(Purchase).where(Purchase.id == purchase_id).with_for_update().execution_options(populate_existing=True)
    purchase = db.execute(query).scalar_one_or_none()
    if purchase is None:
        raise NotFound
    return purchase


def refuse_own(db: Session, purchase: Purchase, by: Actor) -> None:
    """Refuse somebody of finance who belongs to the purchase's own project. Raises OwnProject."""
    project_id = db.execute(select(credits_.wallet.c.project_id).where(credits_.wallet.c.id == purchase.wallet_id)).scalar_one()
    grants.refuse_own_project(db, project_id, {by.id})


def expire_unpaid(db: Session, *, now: datetime) -> int:
    """Let orders by bank transfer expire after a month; money that comes later can still be matched. Returns how many."""
    query = select(Purchase).where(Purchase.state == PurchaseState.AWAITING.value, Purchase.method == Method.BANK.value)
    due = db.execute(query.where(Purchase.placed_at < now - UNPAID_KEPT).order_by(Purchase.id).limit(500).with_for_update(skip_locked=True)).scalars().all()
    for purchase in due:
        _move(db, purchase, "expire", by=PROCESS, now=now)
    return len(due)


def difference(db: Session, *, key: str, what: str, currency: Currency, amount_minor: int, now: datetime) -> None:
    """Leave something for finance to look at; the same key again changes nothing."""
    known = db.execute(select(Difference.id).where(Difference.key == key)).first()
    if known is None:
        row = {"id": new_id(), "key": key, "what": what, "currency": currency.value, "amount_minor": amount_minor}
        db.execute(insert(Difference).values(**row, state=DifferenceState.OPEN.value, found_at=now))


def _move(db: Session, purchase: Purchase, name: str, *, by: Actor, now: datetime, **values: object) -> None:
    state = PURCHASE.target(name, PurchaseState(purchase.state))
    ended = {"ended_at": now} if state in {PurchaseState.CANCELLED, PurchaseState.EXPIRED, PurchaseState.FAILED} else {}
    db.execute(update(Purchase).where(Purchase.id == purchase.id).values(state=state.value, **ended, **values))
    db.refresh(purchase)
    audit.record(db, name, "purchase", purchase.id, by=by, now=now)
