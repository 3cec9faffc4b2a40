"""Tables of the cash memorandum: the money side of purchases, in minor units, linked to the credits by purchase."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, literal_column
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Base, PrimaryId
from portal.core.states import state_check
from portal.credits.states import CashAccount, Currency


class CashTransaction(Base):
    """One booking of money, with its idempotency key. A trigger refuses UPDATE, DELETE and TRUNCATE."""

    __tablename__ = "cash_transaction"

    id: Mapped[PrimaryId]
    key: Mapped[str]
    operation: Mapped[str]
    body_digest: Mapped[str]
    currency: Mapped[str]
    purchase_id: Mapped[uuid.UUID | None]
    reference: Mapped[str]
    booked_at: Mapped[datetime]
    actor_id: Mapped[uuid.UUID | None]
    actor_label: Mapped[str]

    __table_args__ = (
        UniqueConstraint("key"),
        CheckConstraint(
            "operation IN ('payment', 'fee', 'refund', 'refund_failed', 'dispute', 'dispute_won', 'payout', 'revenue', 'correction')", name="operation"
        ),
        CheckConstraint(state_check(Currency, "currency"), name="currency"),
        Index("ix_cash_transaction__purchase", "purchase_id", "id", postgresql_where=literal_column("purchase_id IS NOT NULL")),
        Index("ix_cash_transaction__booked", "booked_at", "id"),
    )


class CashEntry(Base):
    """One side of a booking of money; a transaction's entries sum to zero."""

    __tablename__ = "cash_entry"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    transaction_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cash_transaction.id"))
    account: Mapped[str]
    amount_minor: Mapped[int]

    __table_args__ = (
        UniqueConstraint("transaction_id", "account"),
        CheckConstraint(state_check(CashAccount, "account"), name="account"),
        CheckConstraint("amount_minor <> 0", name="amount_not_zero"),
        Index("ix_cash_entry__account", "account", "id"),
    )
