"""Price lists and purchases for tests, made by the real operations."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.ids import new_id
from portal.credits.operations import wallets
from portal.credits.states import Currency
from portal.payments.models import Purchase
from portal.payments.operations import prices, purchases
from portal.payments.operations.purchases import BillTo
from portal.payments.queries import prices as price_queries
from portal.payments.rules.prices import Step
from portal.payments.states import Method
from tests.factories import projects

TESTS = Actor.process("tests")
FIRM = BillTo("Atlas SARL", "12, rue de Fès\n93000 Tétouan", "MA", "ICE 001234567000089")


def price_list(db: Session, *, now: datetime) -> uuid.UUID:
    """Publish prices: 10.00 MAD, from 100 on 9.00; a tenth of it in EUR and USD."""
    steps = {currency: [Step(10, unit), Step(100, unit * 9 // 10)] for currency, unit in ((Currency.MAD, 1000), (Currency.EUR, 100), (Currency.USD, 110))}
    return prices.publish(db, starts_at=now - timedelta(days=1), steps=steps, by=TESTS, now=now)


def wallet(db: Session, *, lead: uuid.UUID, now: datetime, name: str = "Saffron yield") -> uuid.UUID:
    """Open a project that a person leads, with its wallet."""
    return wallets.open(db, project_id=projects.project(db, lead=lead, name=name, now=now), by=TESTS, now=now)


def purchase(
    db: Session,
    wallet_id: uuid.UUID,
    *,
    buyer: Actor,
    now: datetime,
    quantity: int = 100,
    currency: Currency = Currency.MAD,
    method: Method = Method.CARD,
    bill_to: BillTo = FIRM,
) -> Purchase:
    """Place a purchase, and ask for its payment page when it is by card."""
    quote = price_queries.quote(db, quantity=quantity, currency=currency, country=bill_to.country, now=now)
    purchase_id = new_id()
    purchases.place(db, purchase_id=purchase_id, wallet_id=wallet_id, quote=quote, method=method, bill_to=bill_to, language="fr", by=buyer, now=now)
    if method is Method.CARD:
        purchases.open_checkout(db, purchase_id=purchase_id, by=buyer, now=now)
    return purchases.locked(db, purchase_id)


def pay(db: Session, purchase: Purchase, *, now: datetime) -> None:
    """Let the money of a purchase arrive."""
    currency = Currency(purchase.currency)
    purchases.fulfil(db, purchase, payment_id=f"paid-{purchase.number}", paid_minor=purchase.gross_minor, currency=currency, by=TESTS, now=now)
