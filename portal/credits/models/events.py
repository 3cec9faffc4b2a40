"""Tables of what happens to lots beside bookings: revocations, loans, and the hub's faults that were made good."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, literal_column
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Base, Number, PrimaryId
from portal.core.states import state_check
from portal.credits.states import FaultRule, LoanState

ONCE_A_SESSION = "rule IN ('failed_start', 'node_death', 'outage')"


class LotRevocation(Base):
    """A lot that may no longer be spent: what its running windows give back returns to the fund. Never changed."""

    __tablename__ = "lot_revocation"

    lot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("lot.id"), primary_key=True)
    reason: Mapped[str]
    revoked_at: Mapped[datetime]
    revoked_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))

    __table_args__ = (CheckConstraint("reason <> ''", name="has_reason"),)


class CreditLoan(Base):
    """Credits lent to another project: what is left of the lot goes back by itself."""

    __tablename__ = "credit_loan"

    id: Mapped[PrimaryId]
    lot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("lot.id"))
    lender_wallet_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("wallet.id"))
    state: Mapped[str]
    lent_at: Mapped[datetime]
    returns_at: Mapped[datetime]
    returned_at: Mapped[datetime | None]
    returned_ucr: Mapped[int | None]

    __table_args__ = (
        UniqueConstraint("lot_id"),
        CheckConstraint(state_check(LoanState, "state"), name="state"),
        CheckConstraint("lent_at < returns_at", name="times"),
        CheckConstraint("(state = 'returned') = (returned_at IS NOT NULL) AND (returned_at IS NULL) = (returned_ucr IS NULL)", name="returned"),
        Index("ix_credit_loan__due", "returns_at", postgresql_where=literal_column("state = 'lent'")),
        Index("ix_credit_loan__lender", "lender_wallet_id", "id"),
    )


class MakeGood(Base):
    """Credits that were given to one session, or one wallet, for a fault of the hub, by a rule. Never changed.

    incident: the fault, where it is kept; compute's.
    """

    __tablename__ = "make_good"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    rule: Mapped[str]
    incident_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("incident.id"))
    wallet_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("wallet.id"))
    session_id: Mapped[uuid.UUID | None]
    lot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("lot.id"))
    duration_s: Mapped[int]
    amount_ucr: Mapped[int]
    note: Mapped[str]
    recorded_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("lot_id"),
        UniqueConstraint("rule", "session_id"),
        CheckConstraint(state_check(FaultRule, "rule"), name="rule"),
        CheckConstraint("amount_ucr > 0 AND duration_s >= 0", name="amounts"),
        Index("ix_make_good__wallet", "wallet_id", "id"),
        Index("ix_make_good__incident", "incident_id", postgresql_where=literal_column("incident_id IS NOT NULL")),
        # However a fault is named, and whoever noticed it: the seconds of a session are made good once.
        Index("uq_make_good__session", "session_id", unique=True, postgresql_where=literal_column(ONCE_A_SESSION)),
    )
