"""The pool: nodes, devices, profiles and their prices."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.compute.states import NODE, ChargeClass, DeviceKind, NodeState, QuotaScope, WindowKind
from portal.core.database import Base, Number, PrimaryId
from portal.core.states import state_check


class DeviceType(Base):
    """A type of device, named by what profiles ask for (`device_class`): a whole GPU, a slice of one, or a seat without a GPU.

    slices_per_gpu: how many of the type one GPU gives, 1 for a whole one. idle_w and full_w: what one of the type draws
    without and with all its work, the model behind estimates of energy.
    """

    __tablename__ = "device_type"

    id: Mapped[PrimaryId]
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[dict[str, str]]
    memory_gb: Mapped[int]
    mig_profile: Mapped[str | None]
    slices_per_gpu: Mapped[int]
    idle_w: Mapped[int]
    full_w: Mapped[int]

    __table_args__ = (
        CheckConstraint("memory_gb >= 0 AND slices_per_gpu BETWEEN 1 AND 7", name="amounts"),
        CheckConstraint("idle_w >= 0 AND full_w >= idle_w AND full_w > 0", name="power"),
        CheckConstraint("(mig_profile IS NULL) = (slices_per_gpu = 1)", name="slice_has_profile"),
    )


class Node(Base):
    """A machine of the pool. `is_open` says of its state whether sessions start on it."""

    __tablename__ = "compute_node"

    id: Mapped[PrimaryId]
    name: Mapped[str] = mapped_column(unique=True)
    engine: Mapped[str]
    state: Mapped[str] = mapped_column(default=NodeState.OPEN.value, server_default=NodeState.OPEN.value)
    is_open: Mapped[bool] = mapped_column(default=True)
    registered_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("engine IN ('local', 'slurm', 'kubernetes')", name="engine"),
        CheckConstraint(NODE.check(), name="state"),
        CheckConstraint("is_open = (state = 'open')", name="open_is_state"),
    )


class Device(Base):
    """What one session may hold of a node. `device_class` is what profiles ask for; `paths` are device files.

    board: the GPU that it is or is a slice of; open devices of one board are either the whole or slices. failed_starts: how many
    starts in a row failed on it, one person's once (`failed_person_id`: the last); set_aside_at: since when it is closed for that.
    """

    __tablename__ = "compute_device"

    id: Mapped[PrimaryId]
    node_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("compute_node.id"))
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    device_class: Mapped[str] = mapped_column(ForeignKey("device_type.slug"))
    board: Mapped[str | None]
    is_slice: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    model: Mapped[str]
    paths: Mapped[list[str]]
    is_open: Mapped[bool] = mapped_column(default=True)
    failed_starts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    failed_person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    set_aside_at: Mapped[datetime | None]
    registered_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(state_check(DeviceKind, "kind"), name="kind"),
        CheckConstraint("(kind = 'nvidia') = (jsonb_array_length(paths) > 0)", name="paths"),
        CheckConstraint("failed_starts >= 0 AND (set_aside_at IS NULL OR NOT is_open)", name="set_aside_is_closed"),
        CheckConstraint("board IS NOT NULL OR NOT is_slice", name="slice_has_board"),
        ExcludeConstraint(
            (text("node_id"), "="),
            (text("board"), "="),
            (text("(is_slice::integer)"), "<>"),
            where=text("is_open AND board IS NOT NULL"),
            name="ex_compute_device__whole_or_slices",
        ),
        Index("uq_compute_device__whole", "node_id", "board", unique=True, postgresql_where=text("NOT is_slice")),
        Index("ix_compute_device__node", "node_id"),
        Index("ix_compute_device__class", "device_class", "name", postgresql_where=text("is_open")),
    )


class Profile(Base):
    """What a person chooses. The limits are what the hub enforces; `power_w` is the estimate behind energy."""

    __tablename__ = "compute_profile"

    id: Mapped[PrimaryId]
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[dict[str, str]]
    note: Mapped[dict[str, str]]
    device_class: Mapped[str] = mapped_column(ForeignKey("device_type.slug"))
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


class PoolWindow(Base):
    """A time in which a node is maintained, or devices of a type are closed, or kept for one project; until it is cancelled."""

    __tablename__ = "pool_window"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    kind: Mapped[str]
    node_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("compute_node.id"))
    device_class: Mapped[str | None] = mapped_column(ForeignKey("device_type.slug"))
    project_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("project.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    note: Mapped[str]
    planned_at: Mapped[datetime]
    cancelled_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(state_check(WindowKind, "kind"), name="kind"),
        CheckConstraint("ends_at > starts_at", name="interval"),
        CheckConstraint("(kind = 'maintenance') = (node_id IS NOT NULL) AND (kind = 'maintenance') = (device_class IS NULL)", name="subject"),
        CheckConstraint("(kind = 'reserved') = (project_id IS NOT NULL)", name="reserved_has_project"),
        CheckConstraint("length(note) BETWEEN 1 AND 400", name="note_length"),
        ExcludeConstraint(
            (text("node_id"), "="),
            (text("tstzrange(starts_at, ends_at)"), "&&"),
            where=text("cancelled_at IS NULL AND node_id IS NOT NULL"),
            name="ex_pool_window__node",
        ),
        ExcludeConstraint(
            (text("device_class"), "="),
            (text("tstzrange(starts_at, ends_at)"), "&&"),
            where=text("cancelled_at IS NULL AND device_class IS NOT NULL"),
            name="ex_pool_window__type",
        ),
        Index("ix_pool_window__ends", "ends_at", postgresql_where=text("cancelled_at IS NULL")),
    )


class Quota(Base):
    """How many devices of a type a project or a person may hold at once.

    scope says whether of projects or people; without a subject it is the default of everybody who has none. guaranteed: kept for
    the subject. borrowable: how many more it may take of what is left. lendable: how much of the guaranteed others may use meanwhile.
    """

    __tablename__ = "compute_quota"

    id: Mapped[PrimaryId]
    device_class: Mapped[str] = mapped_column(ForeignKey("device_type.slug"))
    scope: Mapped[str]
    project_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("project.id"))
    person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    guaranteed: Mapped[int]
    borrowable: Mapped[int]
    lendable: Mapped[int]
    set_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(state_check(QuotaScope, "scope"), name="scope"),
        CheckConstraint("guaranteed >= 0 AND borrowable >= 0 AND lendable BETWEEN 0 AND guaranteed", name="amounts"),
        CheckConstraint("(scope = 'project' OR project_id IS NULL) AND (scope = 'person' OR person_id IS NULL)", name="subject"),
        CheckConstraint("project_id IS NOT NULL OR guaranteed = 0", name="only_a_project_is_guaranteed"),
        Index("uq_compute_quota__subject", "device_class", "scope", "project_id", "person_id", unique=True, postgresql_nulls_not_distinct=True),
    )
