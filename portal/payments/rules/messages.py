"""What goes to the payment service and comes from it: orders, payment pages, messages, lines of the balance."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.credits.states import Currency


@dataclass(frozen=True)
class Checkout:
    """A payment page at the payment service."""

    id: str
    url: str
    expires_at: datetime


@dataclass(frozen=True)
class Order:
    """What a payment page is opened for; the key makes a second try find the first one's page."""

    purchase_id: uuid.UUID
    number: int
    quantity: int
    gross_minor: int
    currency: Currency
    language: str
    email: str
    idempotency_key: str


@dataclass(frozen=True)
class Event:
    """A message: an id, what it is about, and the whole of it. payment_id and purchase_id: where it names them."""

    id: str
    kind: str
    object_id: str
    is_live: bool
    created_at: datetime
    payload: dict[str, Any]
    payment_id: str | None = None
    purchase_id: uuid.UUID | None = None


@dataclass(frozen=True)
class Line:
    """A line of the balance; the fee is taken off the amount."""

    id: str
    kind: str
    source_id: str
    currency: Currency
    amount_minor: int
    fee_minor: int
    created_at: datetime
