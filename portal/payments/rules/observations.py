"""What the payment service says of a purchase at one moment: the whole of it, so that order and repetition do not matter."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from portal.credits.states import Currency


class Paying(StrEnum):
    """How the payment stands."""

    OPEN = "open"
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"


class RefundOutcome(StrEnum):
    """How a refund stands at the payment service."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class DisputeOutcome(StrEnum):
    """How a dispute stands at the payment service."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True)
class SeenRefund:
    """A refund as the service knows it; refund_id is ours, where we asked for it."""

    psp_id: str
    amount_minor: int
    outcome: RefundOutcome
    refund_id: uuid.UUID | None = None


@dataclass(frozen=True)
class SeenDispute:
    """A dispute as the service knows it."""

    psp_id: str
    amount_minor: int
    outcome: DisputeOutcome
    reason: str
    opened_at: datetime


@dataclass(frozen=True)
class Observation:
    """A purchase as the service knows it."""

    paying: Paying
    payment_id: str | None = None
    paid_minor: int = 0
    currency: Currency | None = None
    refunds: tuple[SeenRefund, ...] = ()
    disputes: tuple[SeenDispute, ...] = ()
