"""The price list that holds, and what a quantity costs."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.core.errors import N_, Conflict, Invalid
from portal.credits.states import Currency
from portal.payments.models import PriceList, PriceStep
from portal.payments.rules.prices import MAX_CREDITS, MIN_CREDITS, Quote, Step, price, step_of, vat_rate_ppm


class NoPrices(Conflict):
    """No price list holds yet."""

    text = N_("Nothing is for sale at the moment.")


class BadQuantity(Invalid):
    """Credits are sold whole, within limits."""

    text = N_("Choose a whole number from %(least)s to %(most)s.")
    field = "quantity"

    def __init__(self) -> None:
        super().__init__(least=MIN_CREDITS, most=MAX_CREDITS)


@dataclass(frozen=True)
class Prices:
    """A price list with its steps by currency."""

    id: uuid.UUID
    number: int
    starts_at: datetime
    steps: dict[Currency, Sequence[Step]]


def lists(db: Session, *, most: int = 20) -> list[Prices]:
    """Return the latest price lists, newest first; two statements."""
    rows = db.execute(select(PriceList).order_by(PriceList.starts_at.desc()).limit(most)).scalars().all()
    query = select(PriceStep).where(PriceStep.price_list_id.in_([row.id for row in rows])).order_by(PriceStep.from_credits)
    steps: dict[uuid.UUID, dict[Currency, list[Step]]] = {row.id: {currency: [] for currency in Currency} for row in rows}
    for step in db.execute(query).scalars():
        steps[step.price_list_id][Currency(step.currency)].append(Step(step.from_credits, step.unit_minor))
    return [Prices(row.id, row.number, row.starts_at, {**steps[row.id]}) for row in rows]


def current(db: Session, *, now: datetime) -> Prices:
    """Return the list that holds now. Raises NoPrices."""
    found = next((prices for prices in lists(db) if prices.starts_at <= now), None)
    if found is None:
        raise NoPrices
    return found


def quote(db: Session, *, quantity: int, currency: Currency, country: str, now: datetime) -> Quote:
    """Return what a quantity costs a buyer of a country now. Raises NoPrices, BadQuantity."""
    if not MIN_CREDITS <= quantity <= MAX_CREDITS:
        raise BadQuantity
    prices = current(db, now=now)
    step = step_of(prices.steps[currency], quantity)
    if step is None:
        raise NoPrices
    return price(quantity, currency, step, rate_ppm=vat_rate_ppm(country), version_id=prices.id)
