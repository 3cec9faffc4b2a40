"""What was seen of sessions, and how far each observer is known."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.compute.states import ObservationKind, Quarantine
from portal.core.database import Base, Json, PrimaryId
from portal.core.states import state_check


class Observation(Base):
    """What the plug-in saw. A trigger refuses UPDATE and DELETE; the same sight twice is one row."""

    __tablename__ = "observation"

    id: Mapped[PrimaryId]
    agent: Mapped[str]
    agent_offset: Mapped[int]
    session_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("compute_session.id"))
    generation: Mapped[int]
    kind: Mapped[str]
    boot_id: Mapped[str]
    pid: Mapped[int]
    process_started_ticks: Mapped[int]
    monotonic_ns: Mapped[int]
    process_age_ns: Mapped[int | None]
    observed_at: Mapped[datetime]
    received_at: Mapped[datetime]
    exit_code: Mapped[int | None]

    __table_args__ = (
        CheckConstraint(state_check(ObservationKind, "kind"), name="kind"),
        UniqueConstraint("agent", "agent_offset", name="uq_observation__agent_offset"),
        UniqueConstraint("session_id", "generation", "boot_id", "pid", "process_started_ticks", "monotonic_ns", "kind", name="uq_observation__content"),
    )


class QuarantinedObservation(Base):
    """What was received but is not believed, as it came, for a person to look at."""

    __tablename__ = "quarantined_observation"

    id: Mapped[PrimaryId]
    agent: Mapped[str]
    agent_offset: Mapped[int]
    reason: Mapped[str]
    raw: Mapped[Json]
    received_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(state_check(Quarantine, "reason"), name="reason"),
        UniqueConstraint("agent", "agent_offset", name="uq_quarantined_observation__agent_offset"),
    )


class ServerProcess(Base):
    """What the observations of one process prove: a span, kept as the observations come (see `rules`)."""

    __tablename__ = "server_process"

    session_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    generation: Mapped[int] = mapped_column(primary_key=True)
    boot_id: Mapped[str] = mapped_column(primary_key=True)
    pid: Mapped[int] = mapped_column(primary_key=True)
    started_ticks: Mapped[int] = mapped_column(primary_key=True)
    agent: Mapped[str]
    begins_ns: Mapped[int]
    ends_ns: Mapped[int]
    anchor_ns: Mapped[int]
    anchor_at: Mapped[datetime]
    has_ended: Mapped[bool]
    exit_code: Mapped[int | None]

    __table_args__ = (
        ForeignKeyConstraint(["session_id"], ["compute_session.id"]),
        CheckConstraint("ends_ns >= begins_ns AND begins_ns >= 0", name="span"),
        Index("ix_server_process__agent", "agent", "session_id"),
    )


class HubAgent(Base):
    """How far a plug-in's observations are known without a gap, and from where it was last asked to send again."""

    __tablename__ = "hub_agent"

    agent: Mapped[str] = mapped_column(primary_key=True)
    contiguous_offset: Mapped[int]
    asked_offset: Mapped[int | None]
    received_at: Mapped[datetime]


class HubWatch(Base):
    """One row: since when the reconciler has been watching without a gap, and when the hub last answered it."""

    __tablename__ = "hub_watch"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    watching_since: Mapped[datetime]
    looked_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    answering_since: Mapped[datetime | None]

    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)
