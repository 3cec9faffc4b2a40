"""Tables of metered use: meters, their prices, holds and what lots give to them."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, PrimaryKeyConstraint, UniqueConstraint, column, func, literal_column
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Base, PrimaryId
from portal.core.states import state_check
from portal.credits.rules.costs import MAX_PROVEN_S
from portal.credits.states import HoldState, MeterState

MAX_RATE_UCR_PER_HOUR = 1_000_000_000_000


class Meter(Base):
    """One compute session in one generation. Proven seconds only grow; `due_at` says when it needs work, if ever.

    corrected: what was given back of the seconds from `forgiven_from_s` on, once the meter was settled.
    """

    __tablename__ = "meter"

    id: Mapped[PrimaryId]
    session_id: Mapped[uuid.UUID]
    generation: Mapped[int]
    wallet_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("wallet.id"))
    charge_class: Mapped[str]
    usage_account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ledger_account.id"))
    label: Mapped[str]
    state: Mapped[str]
    authorised_at: Mapped[datetime]
    body_digest: Mapped[str]
    limit_s: Mapped[int | None]
    next_rate_ucr_per_hour: Mapped[int | None]
    started_at: Mapped[datetime | None]
    proven_s: Mapped[int]
    last_seen_at: Mapped[datetime | None]
    recorded_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    void_reason: Mapped[str | None]
    windows_end_at: Mapped[datetime]
    window_count: Mapped[int]
    capture_count: Mapped[int]
    booked_s: Mapped[int]
    booked_ucr: Mapped[int]
    debt_room_ucr: Mapped[int]
    debt_ucr: Mapped[int]
    written_off_ucr: Mapped[int]
    forgiven_from_s: Mapped[int | None]
    corrected_ucr: Mapped[int]
    refused_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("session_id", "generation"),
        CheckConstraint(state_check(MeterState, "state"), name="state"),
        CheckConstraint(f"proven_s BETWEEN 0 AND {MAX_PROVEN_S}", name="proven_range"),
        CheckConstraint("booked_s BETWEEN 0 AND proven_s", name="booked_is_proven"),
        CheckConstraint("proven_s = 0 OR started_at IS NOT NULL", name="proven_is_started"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed_at_of_state"),
        CheckConstraint("state <> 'open' OR due_at IS NOT NULL", name="open_is_due"),
        CheckConstraint("state <> 'voided' OR booked_ucr = 0", name="voided_is_free"),
        CheckConstraint("debt_ucr BETWEEN 0 AND debt_room_ucr", name="debt_within_one_window"),
        CheckConstraint("limit_s IS NULL OR limit_s > 0", name="limit_positive"),
        CheckConstraint("corrected_ucr BETWEEN 0 AND booked_ucr", name="corrected_is_booked"),
        CheckConstraint("(forgiven_from_s IS NULL) = (corrected_ucr = 0) AND forgiven_from_s >= 0", name="corrected_has_second"),
        Index("ix_meter__wallet", "wallet_id", "id"),
        Index("ix_meter__due", "due_at", postgresql_where=literal_column("due_at IS NOT NULL")),
        Index("ix_meter__open", "wallet_id", postgresql_where=literal_column("state = 'open'")),
    )


class MeterSegment(Base):
    """A stretch of a meter under one price, from a session second on; the next segment ends it. Never changed."""

    __tablename__ = "meter_segment"

    meter_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("meter.id"))
    segment: Mapped[int]
    starts_s: Mapped[int]
    rate_ucr_per_hour: Mapped[int]

    __table_args__ = (
        PrimaryKeyConstraint("meter_id", "segment"),
        UniqueConstraint("meter_id", "starts_s"),
        CheckConstraint("starts_s >= 0 AND (segment = 0) = (starts_s = 0)", name="starts_in_order"),
        CheckConstraint(f"rate_ucr_per_hour BETWEEN 1 AND {MAX_RATE_UCR_PER_HOUR}", name="rate_range"),
    )


class Hold(Base):
    """One window of a meter: what it may spend between two instants. `is_late`: made after its time, on evidence."""

    __tablename__ = "hold"

    id: Mapped[PrimaryId]
    meter_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("meter.id"))
    wallet_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("wallet.id"))
    window: Mapped[int] = mapped_column("window_number")
    segment: Mapped[int]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    is_late: Mapped[bool]
    amount_ucr: Mapped[int]
    captured_ucr: Mapped[int]
    released_ucr: Mapped[int]
    state: Mapped[str]
    placed_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("meter_id", "window_number"),
        ExcludeConstraint(
            (column("meter_id"), "="),
            (func.tstzrange(column("starts_at"), column("ends_at")), "&&"),
            where=literal_column("NOT is_late"),
            name="ex_hold__windows_apart",
        ),
        CheckConstraint(state_check(HoldState, "state"), name="state"),
        CheckConstraint("starts_at < ends_at", name="times"),
        CheckConstraint("amount_ucr > 0 AND captured_ucr >= 0 AND released_ucr >= 0", name="amounts"),
        CheckConstraint("captured_ucr + released_ucr <= amount_ucr", name="not_overdrawn"),
        CheckConstraint("(state = 'closed') = (captured_ucr + released_ucr = amount_ucr)", name="closed_when_empty"),
        Index("ix_hold__open", "wallet_id", postgresql_where=literal_column("state = 'open'")),
    )


class HoldShare(Base):
    """What one lot gives to a hold; positions are the recorded order of spending."""

    __tablename__ = "hold_share"

    hold_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("hold.id"))
    position: Mapped[int]
    lot_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("lot.id"))
    amount_ucr: Mapped[int]
    captured_ucr: Mapped[int]
    released_ucr: Mapped[int]

    __table_args__ = (
        PrimaryKeyConstraint("hold_id", "position"),
        UniqueConstraint("hold_id", "lot_id"),
        CheckConstraint("amount_ucr > 0 AND captured_ucr >= 0 AND released_ucr >= 0", name="amounts"),
        CheckConstraint("captured_ucr + released_ucr <= amount_ucr", name="not_overdrawn"),
        Index("ix_hold_share__lot", "lot_id"),
    )
