"""Tables of what is over: blocks of the hash chain over the journal, days, months, and exported statements."""

import uuid
from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, LargeBinary, PrimaryKeyConstraint, UniqueConstraint, literal_column
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Base, Number, PrimaryId
from portal.core.states import state_check
from portal.credits.states import ExportFormat, ExportState, Reconciliation


class LedgerBlock(Base):
    """A block of sealed transactions. digest covers the block before it and every transaction in it. Never changed."""

    __tablename__ = "ledger_block"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    previous_digest: Mapped[str]
    digest: Mapped[str]
    transactions: Mapped[int]
    sealed_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("number > 0 AND transactions > 0", name="numbers"),)


class LedgerSeal(Base):
    """Which block a transaction is in, and where. Never changed."""

    __tablename__ = "ledger_seal"

    transaction_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ledger_transaction.id"), primary_key=True)
    block: Mapped[int] = mapped_column(ForeignKey("ledger_block.number"))
    position: Mapped[int]

    __table_args__ = (UniqueConstraint("block", "position"),)


class ReconciliationRow(Base):
    """The last time that something was compared, and the last time that it agreed: looked and found no problem."""

    __tablename__ = "reconciliation"

    kind: Mapped[str] = mapped_column(primary_key=True)
    looked_at: Mapped[datetime]
    agreed_at: Mapped[datetime | None]
    compared: Mapped[int]
    problems: Mapped[int]

    __table_args__ = (
        CheckConstraint(state_check(Reconciliation, "kind"), name="kind"),
        CheckConstraint("compared >= 0 AND problems >= 0", name="counts"),
    )


class LedgerMonth(Base):
    """A closed month of the hub's zone, by its first day: nothing is booked before `ends_at` any more. Never changed."""

    __tablename__ = "ledger_month"

    month: Mapped[date] = mapped_column(Date, primary_key=True)
    ends_at: Mapped[datetime]
    wallets: Mapped[int]
    opening_ucr: Mapped[int]
    closing_ucr: Mapped[int]
    closed_at: Mapped[datetime]
    closed_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))


class WalletMonth(Base):
    """A wallet's opening and closing of a closed month. Never changed."""

    __tablename__ = "wallet_month"

    month: Mapped[date] = mapped_column(ForeignKey("ledger_month.month"))
    wallet_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("wallet.id"))
    opening_ucr: Mapped[int]
    closing_ucr: Mapped[int]

    __table_args__ = (PrimaryKeyConstraint("wallet_id", "month"), Index("ix_wallet_month__month", "month"))


class SummedDay(Base):
    """A day of the hub's zone whose bookings are summed in `lot_day`. Never changed."""

    __tablename__ = "summed_day"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    summed_at: Mapped[datetime]


class LotDay(Base):
    """What a day's bookings moved on a lot: a projection of the journal, so that charts do not read all of it."""

    __tablename__ = "lot_day"

    lot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("lot.id"))
    day: Mapped[date] = mapped_column(ForeignKey("summed_day.day"))
    came_ucr: Mapped[int]
    used_ucr: Mapped[int]
    total_ucr: Mapped[int]

    __table_args__ = (PrimaryKeyConstraint("lot_id", "day"),)


class StatementExport(Base):
    """A statement that is being written to a file in the background, and the file once it is there."""

    __tablename__ = "statement_export"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    wallet_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("wallet.id"))
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    format: Mapped[str]
    language: Mapped[str]
    first_on: Mapped[date] = mapped_column(Date)
    last_on: Mapped[date] = mapped_column(Date)
    state: Mapped[str]
    lines: Mapped[int | None]
    lines_done: Mapped[int]
    asked_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    content: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)

    __table_args__ = (
        CheckConstraint(state_check(ExportState, "state"), name="state"),
        CheckConstraint(state_check(ExportFormat, "format"), name="format"),
        CheckConstraint("(state = 'done') = (content IS NOT NULL)", name="done_has_content"),
        CheckConstraint("(state IN ('done', 'failed')) = (ended_at IS NOT NULL)", name="ended_has_time"),
        Index("ix_statement_export__wallet", "wallet_id", "id"),
        Index("ix_statement_export__ended", "ended_at", postgresql_where=literal_column("ended_at IS NOT NULL")),
    )
