"""A price list, one purchase paid by bank transfer, and one whose money came today and waits for finance."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.ids import new_id
from portal.credits import queries as credit
from portal.credits.states import Currency
from portal.demo import people
from portal.demo.people import Cast
from portal.payments.operations import bank_transfers, prices, purchases
from portal.payments.operations.bank_transfers import BankLine
from portal.payments.operations.purchases import BillTo
from portal.payments.queries import prices as price_queries
from portal.payments.rules.prices import Step
from portal.payments.rules.references import reference_of
from portal.payments.states import Method

DEMO = Actor.process("demo")
FIRM = BillTo("Rif Vision SARL", "12, avenue Mohammed V\n93000 Tétouan", "MA", "ICE 001234567000089")
# What one credit costs from 10, 100 and 1,000 credits on, in hundredths.
STEPS = {Currency.MAD: (1000, 950, 880), Currency.EUR: (95, 90, 84), Currency.USD: (100, 95, 88)}


def build(db: Session, cast: Cast, *, project_id: uuid.UUID, began_at: datetime, now: datetime) -> None:
    """Publish prices and let the second founder buy twice."""
    steps = {currency: [Step(least, unit) for least, unit in zip((10, 100, 1000), units, strict=True)] for currency, units in STEPS.items()}
    prices.publish(db, starts_at=began_at, steps=steps, by=DEMO, now=began_at)
    wallet_id = credit.wallet_of_project(db, project_id)
    _buy(db, cast, wallet_id, quantity=120, placed_at=now - timedelta(days=20), line="2026-0311", is_approved=True)
    _buy(db, cast, wallet_id, quantity=40, placed_at=now - timedelta(days=2), line="2026-0347", is_approved=False)


def _buy(db: Session, cast: Cast, wallet_id: uuid.UUID, *, quantity: int, placed_at: datetime, line: str, is_approved: bool) -> None:
    buyer, finance = cast[people.SECOND_FOUNDER], cast[people.FINANCE]
    quote = price_queries.quote(db, quantity=quantity, currency=Currency.MAD, country=FIRM.country, now=placed_at)
    number = purchases.place(
        db, purchase_id=new_id(), wallet_id=wallet_id, quote=quote, method=Method.BANK, bill_to=FIRM, language="en", by=buyer, now=placed_at
    )
    arrived_at = placed_at + timedelta(days=1)
    transfer_id = new_id()
    came = BankLine(line, arrived_at.date(), Currency.MAD, quote.gross_minor, "RIF VISION SARL", f"ACHAT {reference_of(number)}")
    bank_transfers.enter(db, came, transfer_id=transfer_id, by=finance, now=arrived_at)
    if is_approved:
        bank_transfers.match(db, transfer_id=transfer_id, purchase_number=number, by=finance, now=arrived_at)
        bank_transfers.approve(db, transfer_id=transfer_id, by=cast[people.SECOND_FINANCE], now=arrived_at)
