"""Tables of compute; private to the domain."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Computed, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.compute.states import ENDED, LIVE, SESSION, ChargeClass, DeviceKind, Failure, ObservationKind, Quarantine, StopCause
from portal.core.database import Base, Json, Number, PrimaryId
from portal.core.states import state_check

IS_LIVE = "state IN ({})".format(", ".join(f"'{state.value}'" for state in LIVE))
IS_ENDED = "state IN ({})".format(", ".join(f"'{state.value}'" for state in ENDED))


class Node(Base):
    """A machine of the pool."""

    __tablename__ = "compute_node"

    id: Mapped[PrimaryId]
    name: Mapped[str] = mapped_column(unique=True)
    engine: Mapped[str]
    is_open: Mapped[bool] = mapped_column(default=True)
    registered_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("engine IN ('local', 'slurm', 'kubernetes')", name="engine"),)


class Device(Base):
    """What one session may hold of a node. `device_class` is what profiles ask for; `paths` are device files."""

    __tablename__ = "compute_device"

    id: Mapped[PrimaryId]
    node_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("compute_node.id"))
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    device_class: Mapped[str]
    model: Mapped[str]
    paths: Mapped[list[str]]
    is_open: Mapped[bool] = mapped_column(default=True)
    registered_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(state_check(DeviceKind, "kind"), name="kind"),
        CheckConstraint("(kind = 'nvidia') = (jsonb_array_length(paths) > 0)", name="paths"),
        Index("ix_compute_device__class", "device_class", "name", postgresql_where=text("is_open")),
    )


class Profile(Base):
    """What a person chooses. The limits are what the hub enforces; `power_w` is the estimate behind energy."""

    __tablename__ = "compute_profile"

    id: Mapped[PrimaryId]
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[dict[str, str]]
    note: Mapped[dict[str, str]]
    device_class: Mapped[str]
    charge_class: Mapped[str]
    cpu_millicores: Mapped[int]
    memory_limit_bytes: Mapped[int]
    gpu_memory_gb: Mapped[int]
    power_w: Mapped[int]
    position: Mapped[int]
    is_open: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        CheckConstraint(state_check(ChargeClass, "charge_class"), name="charge_class"),
        CheckConstraint("cpu_millicores > 0 AND memory_limit_bytes > 0 AND gpu_memory_gb >= 0 AND power_w > 0", name="amounts"),
        CheckConstraint("slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name="slug"),
    )


class PriceVersion(Base):
    """A profile's price from `starts_at` until `ends_at`. A trigger lets nothing change but a first `ends_at`."""

    __tablename__ = "price_version"

    id: Mapped[PrimaryId]
    profile_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("compute_profile.id"))
    rate_ucr_per_hour: Mapped[int]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("rate_ucr_per_hour > 0", name="rate"),
        CheckConstraint("ends_at > starts_at", name="interval"),
        ExcludeConstraint((text("profile_id"), "="), (text("tstzrange(starts_at, ends_at)"), "&&"), name="ex_price_version__no_overlap"),
    )


class ComputeSession(Base):
    """One session from request to settlement. Prices and limits are copied: what was agreed does not move."""

    __tablename__ = "compute_session"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    slug: Mapped[str] = mapped_column(Computed("'s-' || number", persisted=True), unique=True)
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("project.id"))
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    profile_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("compute_profile.id"))
    price_version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("price_version.id"))
    generation: Mapped[int] = mapped_column(default=1)
    state: Mapped[str]
    label: Mapped[str]
    open_path: Mapped[str]
    course_context: Mapped[Json | None]
    duration_s: Mapped[int]
    start_attempts: Mapped[int] = mapped_column(default=0)
    requested_at: Mapped[datetime]
    starting_at: Mapped[datetime | None]
    redeemed_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ready_at: Mapped[datetime | None]
    last_seen_at: Mapped[datetime | None]
    credit_warned_at: Mapped[datetime | None]
    stop_asked_at: Mapped[datetime | None]
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
        CheckConstraint("length(label) <= 120", name="label_length"),
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
