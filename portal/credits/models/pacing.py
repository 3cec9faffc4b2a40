"""Tables of warnings: what people want to hear about a wallet, what they were told, and their daily mail."""

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, PrimaryKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Base, PrimaryId
from portal.credits.rules.thresholds import KIND_CHECK, MOST_DAYS, MOST_IDLE_DAYS


class CreditWatch(Base):
    """The warnings that a person chose for a wallet; without a row leads have the usual ones and others none."""

    __tablename__ = "credit_watch"

    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    wallet_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("wallet.id"))
    below_ucr: Mapped[int | None]
    days_left: Mapped[int | None]
    lot_days: Mapped[int | None]
    lot_over_ucr: Mapped[int | None]
    used_percent: Mapped[int | None]
    idle_days: Mapped[int | None]
    set_at: Mapped[datetime]

    __table_args__ = (
        PrimaryKeyConstraint("person_id", "wallet_id"),
        CheckConstraint("below_ucr > 0 AND lot_over_ucr >= 0", name="amounts"),
        CheckConstraint(f"days_left BETWEEN 1 AND {MOST_DAYS} AND lot_days BETWEEN 1 AND {MOST_DAYS}", name="days"),
        CheckConstraint(f"idle_days BETWEEN 1 AND {MOST_IDLE_DAYS}", name="idle_days"),
        CheckConstraint("used_percent BETWEEN 1 AND 100", name="used_percent"),
        CheckConstraint("(lot_days IS NULL) = (lot_over_ucr IS NULL)", name="lot_has_both"),
    )


class CreditWarning(Base):
    """A threshold that is crossed and was told; it goes when the wallet has recovered, so that it can be told again."""

    __tablename__ = "credit_warning"

    id: Mapped[PrimaryId]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    wallet_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("wallet.id"))
    kind: Mapped[str]
    lot_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("lot.id"))
    told_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(KIND_CHECK, name="kind"),
        CheckConstraint("(kind = 'lot_ending') = (lot_id IS NOT NULL)", name="lot_of_kind"),
        Index("uq_credit_warning__once", "person_id", "wallet_id", "kind", "lot_id", unique=True, postgresql_nulls_not_distinct=True),
    )


class CreditDigest(Base):
    """A person's daily mail: the last local day that was looked at for it, and whether they switched it off."""

    __tablename__ = "credit_digest"

    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    last_on: Mapped[date | None] = mapped_column(Date)
    is_off: Mapped[bool]
