"""Tables of purchases and of what the payment service says of them."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, literal_column
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Base, Json, Number, PrimaryId
from portal.core.states import state_check
from portal.credits.states import Currency
from portal.payments.states import DifferenceState, DisputeState, Method, PurchaseState, RefundState


class Purchase(Base):
    """Credits bought for a wallet: the quote as it was shown, who bought, whom the invoice names, and how it stands."""

    __tablename__ = "purchase"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    wallet_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("wallet.id"))
    buyer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    method: Mapped[str]
    state: Mapped[str]
    credits_ucr: Mapped[int]
    currency: Mapped[str]
    unit_minor: Mapped[int]
    net_minor: Mapped[int]
    vat_minor: Mapped[int]
    gross_minor: Mapped[int]
    vat_rate_ppm: Mapped[int]
    price_list_id: Mapped[uuid.UUID]
    bill_to: Mapped[Json]
    language: Mapped[str]
    placed_at: Mapped[datetime]
    checkout_count: Mapped[int]
    checkout_id: Mapped[str | None]
    checkout_url: Mapped[str | None]
    checkout_expires_at: Mapped[datetime | None]
    payment_id: Mapped[str | None]
    paid_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("checkout_id"),
        UniqueConstraint("payment_id"),
        CheckConstraint(state_check(PurchaseState, "state"), name="state"),
        CheckConstraint(state_check(Method, "method"), name="method"),
        CheckConstraint(state_check(Currency, "currency"), name="currency"),
        CheckConstraint("credits_ucr > 0 AND unit_minor > 0 AND net_minor > 0 AND vat_minor >= 0", name="amounts"),
        CheckConstraint("gross_minor = net_minor + vat_minor", name="gross"),
        CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name="paid_has_time"),
        CheckConstraint("state <> 'paid' OR payment_id IS NOT NULL", name="paid_has_payment"),
        Index("ix_purchase__wallet", "wallet_id", "id"),
        Index("ix_purchase__state", "state", "id"),
    )


class PaymentEvent(Base):
    """A message of the payment service, kept as it came, by its own id. Only `handled_at` and `problem` are ever set."""

    __tablename__ = "payment_event"

    event_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    object_id: Mapped[str]
    payment_id: Mapped[str | None]
    is_live: Mapped[bool]
    source: Mapped[str]
    payload: Mapped[Json]
    created_at: Mapped[datetime]
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]
    problem: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("source IN ('webhook', 'poll')", name="source"),
        Index("ix_payment_event__created", "created_at"),
        Index("ix_payment_event__waiting", "received_at", postgresql_where=literal_column("handled_at IS NULL")),
    )


class Refund(Base):
    """Money of a purchase that goes back."""

    __tablename__ = "refund"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    purchase_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("purchase.id"))
    amount_minor: Mapped[int]
    state: Mapped[str]
    reason: Mapped[str]
    psp_id: Mapped[str | None]
    asked_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    asked_at: Mapped[datetime]
    decided_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("psp_id"),
        CheckConstraint(state_check(RefundState, "state"), name="state"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("decided_by_id IS NULL OR decided_by_id IS DISTINCT FROM asked_by_id", name="second_person"),
        Index("ix_refund__purchase", "purchase_id", "id"),
        Index("ix_refund__open", "id", postgresql_where=literal_column("state IN ('waiting', 'approved', 'pending')")),
    )


class Dispute(Base):
    """Money of a purchase that the buyer's bank takes back."""

    __tablename__ = "dispute"

    id: Mapped[PrimaryId]
    psp_id: Mapped[str]
    purchase_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("purchase.id"))
    amount_minor: Mapped[int]
    state: Mapped[str]
    reason: Mapped[str]
    opened_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("psp_id"),
        CheckConstraint(state_check(DisputeState, "state"), name="state"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("(state = 'open') = (ended_at IS NULL)", name="ended_has_time"),
        Index("ix_dispute__purchase", "purchase_id", "id"),
    )


class BalanceLine(Base):
    """A line of Stripe's balance: what it says came, went and was taken as fee. Never changed."""

    __tablename__ = "balance_line"

    psp_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    source_id: Mapped[str]
    currency: Mapped[str]
    amount_minor: Mapped[int]
    fee_minor: Mapped[int]
    created_at: Mapped[datetime]
    read_at: Mapped[datetime]

    __table_args__ = (Index("ix_balance_line__created", "created_at", "psp_id"),)


class Difference(Base):
    """A line of the balance, or a payment of ours, that has no counterpart on the other side."""

    __tablename__ = "difference"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    key: Mapped[str]
    what: Mapped[str]
    currency: Mapped[str]
    amount_minor: Mapped[int]
    state: Mapped[str]
    found_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    resolved_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    resolution: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("key"),
        CheckConstraint(state_check(DifferenceState, "state"), name="state"),
        CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL) AND (resolved_at IS NULL) = (resolution IS NULL)", name="resolved"),
        Index("ix_difference__open", "id", postgresql_where=literal_column("state = 'open'")),
    )
