"""The pool: nodes, devices, profiles and their prices."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.compute.states import ChargeClass, DeviceKind
from portal.core.database import Base, PrimaryId
from portal.core.states import state_check


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
