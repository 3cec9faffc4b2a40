"""What finance changes by hand, with its reason, and who was the second person where it takes two."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, literal_column
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Base, Number, PrimaryId
from portal.core.states import state_check
from portal.credits.states import ADJUSTMENT, AdjustmentKind


class Adjustment(Base):
    """A charge given back from a second on, a debt written off, or a lot's later end; asked for, then booked or not.

    amount: what it was about when somebody asked; once it is booked, what it came to. takes_two: it is booked only when another person approves.
    """

    __tablename__ = "adjustment"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    kind: Mapped[str]
    wallet_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("wallet.id"))
    meter_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("meter.id"))
    from_s: Mapped[int | None]
    lot_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("lot.id"))
    expires_at: Mapped[datetime | None]
    amount_ucr: Mapped[int]
    reason: Mapped[str]
    takes_two: Mapped[bool]
    state: Mapped[str]
    asked_at: Mapped[datetime]
    asked_by_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))

    __table_args__ = (
        CheckConstraint(state_check(AdjustmentKind, "kind"), name="kind"),
        CheckConstraint(ADJUSTMENT.check(), name="state"),
        CheckConstraint("(kind = 'correction') = (meter_id IS NOT NULL) AND (meter_id IS NULL) = (from_s IS NULL) AND from_s >= 0", name="correction"),
        CheckConstraint("(kind = 'extension') = (lot_id IS NOT NULL) AND (lot_id IS NULL) = (expires_at IS NULL)", name="extension"),
        CheckConstraint("amount_ucr > 0", name="amount_positive"),
        CheckConstraint("reason <> ''", name="has_reason"),
        CheckConstraint("(state = 'waiting') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by_id IS NULL)", name="decision"),
        CheckConstraint("state <> 'booked' OR NOT takes_two OR decided_by_id <> asked_by_id", name="second_person"),
        Index("ix_adjustment__wallet", "wallet_id", "id"),
        Index("ix_adjustment__waiting", "id", postgresql_where=literal_column("state = 'waiting'")),
    )
