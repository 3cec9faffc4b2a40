"""What jobs read: orders to open, purchases to ask about, refunds to send."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.core.quantities import UCR_PER_CREDIT
from portal.credits.states import Currency
from portal.identity import relations as identity
from portal.payments.models import PaymentEvent, Purchase, Refund
from portal.payments.rules.messages import Event, Order
from portal.payments.states import Method, PurchaseState, RefundState

MOST = 200


@dataclass(frozen=True)
class Handle:
    """How the payment service knows a purchase."""

    checkout_id: str | None
    payment_id: str | None


@dataclass(frozen=True)
class RefundOrder:
    """A refund to send."""

    refund_id: uuid.UUID
    purchase_id: uuid.UUID
    payment_id: str
    amount_minor: int


def order_of(db: Session, purchase_id: uuid.UUID) -> Order | None:
    """Return what a payment page is opened for; None when none is waited for."""
    person = identity.person.c
    query = select(Purchase, person.email).join(identity.person, person.id == Purchase.buyer_id).where(Purchase.id == purchase_id)
    row = db.execute(query.where(Purchase.state == PurchaseState.AWAITING.value, Purchase.checkout_id.is_(None))).one_or_none()
    if row is None:
        return None
    purchase = row.Purchase
    return Order(
        purchase_id=purchase.id,
        number=purchase.number,
        quantity=purchase.credits_ucr // UCR_PER_CREDIT,
        gross_minor=purchase.gross_minor,
        currency=Currency(purchase.currency),
        language=purchase.language,
        email=row.email,
        idempotency_key=f"checkout-{purchase.id}-{purchase.checkout_count}",
    )


def handle_of(db: Session, purchase_id: uuid.UUID) -> Handle | None:
    """Return how the payment service knows a card purchase; None when it does not."""
    query = select(Purchase.checkout_id, Purchase.payment_id).where(Purchase.id == purchase_id, Purchase.method == Method.CARD.value)
    row = db.execute(query).one_or_none()
    return Handle(*row) if row is not None and any(row) else None


def purchase_of_event(db: Session, event_id: str) -> tuple[uuid.UUID | None, str | None]:
    """Return the purchase that a stored message is about, None when it is none of ours, and the payment page that it names."""
    row = db.execute(select(PaymentEvent).where(PaymentEvent.event_id == event_id)).scalar_one()
    thing = row.payload["data"]["object"]
    named = thing.get("client_reference_id") or (thing.get("metadata") or {}).get("purchase")
    try:
        purchase_id = uuid.UUID(named) if named else None
    except ValueError:
        purchase_id = None
    event = Event(row.event_id, row.kind, row.object_id, row.is_live, row.created_at, row.payload, row.payment_id, purchase_id)
    return _purchase_of(db, event), row.object_id if row.kind.startswith("checkout.session.") else None


def _purchase_of(db: Session, event: Event) -> uuid.UUID | None:
    """Return the purchase that a message is about, None when it is none of ours."""
    for condition in (
        Purchase.id == event.purchase_id if event.purchase_id else None,
        Purchase.checkout_id == event.object_id,
        Purchase.payment_id == event.payment_id if event.payment_id else None,
    ):
        if condition is not None:
            found = db.execute(select(Purchase.id).where(condition)).scalar_one_or_none()
            if found is not None:
                return found
    return None


def refund_order(db: Session, refund_id: uuid.UUID) -> RefundOrder | None:
    """Return a refund that waits to be sent; None when it is sent."""
    query = select(Refund.id, Refund.purchase_id, Purchase.payment_id, Refund.amount_minor).join(Purchase, Purchase.id == Refund.purchase_id)
    query = query.where(Refund.id == refund_id, Refund.state == RefundState.APPROVED.value, Refund.psp_id.is_(None))
    row = db.execute(query).one_or_none()
    if row is None or row.payment_id is None:
        return None
    return RefundOrder(row.id, row.purchase_id, row.payment_id, row.amount_minor)


def waiting(db: Session, *, placed_before: datetime) -> list[uuid.UUID]:
    """Return card purchases with an open payment page, the oldest first."""
    query = select(Purchase.id).where(Purchase.state == PurchaseState.AWAITING.value, Purchase.method == Method.CARD.value, Purchase.checkout_id.is_not(None))
    return list(db.execute(query.where(Purchase.placed_at < placed_before).order_by(Purchase.id).limit(MOST)).scalars())


def unsent_refunds(db: Session, *, asked_before: datetime) -> list[uuid.UUID]:
    """Return refunds by card that were approved and have not been sent, the oldest first."""
    query = select(Refund.id).join(Purchase, Purchase.id == Refund.purchase_id)
    query = query.where(Refund.state == RefundState.APPROVED.value, Refund.psp_id.is_(None), Purchase.method == Method.CARD.value)
    return list(db.execute(query.where(Refund.asked_at < asked_before).order_by(Refund.id).limit(MOST)).scalars())
