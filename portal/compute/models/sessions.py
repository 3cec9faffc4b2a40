"""Compute sessions, the devices that they hold, their files and tickets."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.compute.states import ENDED, LIVE, SESSION, Failure, StopCause
from portal.core.database import Base, Json, Number, PrimaryId
from portal.core.states import state_check

IS_LIVE = "state IN ({})".format(", ".join(f"'{state.value}'" for state in LIVE))
IS_ENDED = "state IN ({})".format(", ".join(f"'{state.value}'" for state in ENDED))


class ComputeSession(Base):
    """One session from request to settlement.

    rank_at: its place while it waits. half_by, most_by: by when it was promised to start, half the time and nine times in ten, and what
    was drawn for it before the calibration. admitted_at: when it got its device.
    price_version: what was agreed at its request. told_price: the latest price after it whose coming the person was told of.
    idle_from: of a session that was stopped for idleness, from when on it is not charged.
    """

    __tablename__ = "compute_session"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    slug: Mapped[str] = mapped_column(Computed("'s-' || number", persisted=True), unique=True)
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("project.id"))
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    profile_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("compute_profile.id"))
    price_version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("price_version.id"))
    told_price_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("price_version.id"))
    generation: Mapped[int] = mapped_column(default=1)
    state: Mapped[str]
    label: Mapped[str]
    open_path: Mapped[str]
    course_context: Mapped[Json | None]
    duration_s: Mapped[int]
    start_attempts: Mapped[int] = mapped_column(default=0)
    requested_at: Mapped[datetime]
    rank_at: Mapped[datetime | None]
    half_by: Mapped[datetime | None]
    most_by: Mapped[datetime | None]
    drawn_half_s: Mapped[int | None]
    drawn_most_s: Mapped[int | None]
    admitted_at: Mapped[datetime | None]
    late_told_at: Mapped[datetime | None]
    starting_at: Mapped[datetime | None]
    redeemed_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ready_at: Mapped[datetime | None]
    last_seen_at: Mapped[datetime | None]
    credit_warned_at: Mapped[datetime | None]
    stop_asked_at: Mapped[datetime | None]
    idle_from_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    stop_cause: Mapped[str | None]
    failure: Mapped[str | None]
    exit_code: Mapped[int | None]
    proven_s: Mapped[int] = mapped_column(default=0)

    __table_args__ = (
        CheckConstraint(SESSION.check(), name="state"),
        CheckConstraint(state_check(StopCause, "stop_cause"), name="stop_cause"),
        CheckConstraint(state_check(Failure, "failure"), name="failure"),
        CheckConstraint(f"({IS_ENDED}) = (ended_at IS NOT NULL)", name="ended_has_time"),
        CheckConstraint("(state = 'failed') = (failure IS NOT NULL)", name="failed_has_reason"),
        CheckConstraint("generation >= 1 AND proven_s >= 0 AND duration_s > 0", name="amounts"),
        CheckConstraint("idle_from_at IS NULL OR stop_cause = 'idle'", name="idle_is_cause"),
        CheckConstraint("length(label) <= 120", name="label_length"),
        CheckConstraint("state <> 'queued' OR rank_at IS NOT NULL", name="queued_has_rank"),
        CheckConstraint(
            "(half_by IS NULL) = (most_by IS NULL) AND (half_by IS NULL) = (drawn_half_s IS NULL) AND (half_by IS NULL) = (drawn_most_s IS NULL)",
            name="promise_is_whole",
        ),
        Index("ix_compute_session__queued", "profile_id", "rank_at", postgresql_where=text("state = 'queued'")),
        Index("ix_compute_session__ended", "profile_id", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        Index("ix_compute_session__promised", "profile_id", "admitted_at", postgresql_where=text("most_by IS NOT NULL")),
        Index("ix_compute_session__person", "person_id", "id"),
        Index("ix_compute_session__project", "project_id", "id"),
        Index("ix_compute_session__live", "id", postgresql_where=text(IS_LIVE)),
    )


class DeviceHold(Base):
    """A session holds a device until `released_at`; the partial unique index lets only one hold it at a time."""

    __tablename__ = "device_hold"

    id: Mapped[PrimaryId]
    device_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("compute_device.id"))
    session_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("compute_session.id"))
    held_at: Mapped[datetime]
    released_at: Mapped[datetime | None]

    __table_args__ = (
        Index("uq_device_hold__current", "device_id", unique=True, postgresql_where=text("released_at IS NULL")),
        Index("ix_device_hold__session", "session_id"),
    )


class SessionFile(Base):
    """A file that is placed in the home before the start; gone once the session has ended."""

    __tablename__ = "session_file"

    session_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("compute_session.id"), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class Ticket(Base):
    """A right to start one session once; only its digest is known here."""

    __tablename__ = "session_ticket"

    token_digest: Mapped[str] = mapped_column(primary_key=True)
    session_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("compute_session.id"))
    generation: Mapped[int]
    username: Mapped[str]
    server: Mapped[str]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (Index("ix_session_ticket__session", "session_id"),)
