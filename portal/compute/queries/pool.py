"""What can be chosen now, and the pool as its staff see it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from portal.compute import rules
from portal.compute.models import ComputeSession, Device, DeviceHold, HubWatch, Node, PriceVersion, Profile, QuarantinedObservation
from portal.compute.queries.windows import kept_until, latest_end
from portal.compute.states import LIVE, SessionState
from portal.core.pages import Page, page_of
from portal.core.quantities import charge_ucr, energy_estimate_wh
from portal.identity import relations as identity
from portal.projects import relations as projects


@dataclass(frozen=True)
class Offer:
    """A profile as somebody may choose it now. next_free_at: when a device is due back at the latest, None when one is free.

    next_ucr, next_price_at: the price that follows, None where none is published.
    """

    slug: str
    name: Mapping[str, str]
    note: Mapping[str, str]
    device_class: str
    charge_class: str
    cpu_cores: int
    memory_limit_bytes: int
    gpu_memory_gb: int
    power_w: int
    rate_ucr_per_hour: int
    next_ucr: int | None
    next_price_at: datetime | None
    free: int
    total: int
    next_free_at: datetime | None
    is_simulated: bool

    def cost_ucr(self, duration_s: int) -> int:
        """Return what a duration costs."""
        return charge_ucr(self.rate_ucr_per_hour, duration_s)

    def energy_wh(self, duration_s: int) -> int:
        """Return the estimated energy of a duration."""
        return energy_estimate_wh(self.power_w, duration_s)


@dataclass(frozen=True)
class DeviceRow:
    """A device of the pool and who holds it."""

    id: uuid.UUID
    name: str
    kind: str
    model: str
    device_class: str
    node: str
    is_open: bool
    held_at: datetime | None
    session_number: int | None
    session_state: SessionState | None
    last_seen_at: datetime | None
    person_name: str | None
    project_name: str | None


@dataclass(frozen=True)
class PoolHealth:
    """How the pool stands: devices, live sessions, the hub's last answer, and what was kept aside in the last day."""

    devices: int
    held: int
    live_sessions: int
    hub_answered_at: datetime | None
    looked_at: datetime | None
    kept_aside: int


def offers(db: Session, *, now: datetime, for_s: int = rules.SHORTEST_S, project_id: uuid.UUID | None = None) -> list[Offer]:
    """Return the profiles that are offered now, with how many devices are free for a time and a project; two statements."""
    is_current = (PriceVersion.starts_at <= now) & (PriceVersion.ends_at.is_(None) | (PriceVersion.ends_at > now))
    following = aliased(PriceVersion)
    priced = (
        select(Profile, PriceVersion.rate_ucr_per_hour, following.rate_ucr_per_hour.label("next_ucr"), following.starts_at.label("next_price_at"))
        .join(PriceVersion, PriceVersion.profile_id == Profile.id)
        .join(following, and_(following.profile_id == Profile.id, following.starts_at == PriceVersion.ends_at), isouter=True)
    )
    rows = db.execute(priced.where(Profile.is_open, is_current).order_by(Profile.position, Profile.slug)).all()
    standing = _standing(db, now=now, for_s=for_s, project_id=project_id)
    return [_offer(row, standing.get(row.Profile.device_class, (0, 0, None, False))) for row in rows]


def _standing(db: Session, *, now: datetime, for_s: int, project_id: uuid.UUID | None) -> dict[str, tuple[int, int, datetime | None, bool]]:
    """Return free and all devices of each class, when the next is due back, and whether they are simulated.

    A device that a window closes before a session of `for_s` would end is not free: it is due back at the window's end.
    """
    kept_at = kept_until(now=now, until=latest_end(now, for_s, rules.START_GIVES_UP), project_id=project_id)
    hold = aliased(DeviceHold)
    begins_at = func.coalesce(ComputeSession.started_at, ComputeSession.starting_at, now)
    due_at = func.greatest(begins_at + func.make_interval(0, 0, 0, 0, 0, 0, ComputeSession.duration_s), now)
    query = (
        select(
            Device.device_class,
            func.count().filter(hold.id.is_(None), kept_at.is_(None)).label("free"),
            func.count().label("total"),
            func.min(func.greatest(due_at, kept_at)).filter(or_(hold.id.is_not(None), kept_at.is_not(None))).label("next_at"),
            func.bool_and(Device.kind == "simulated").label("is_simulated"),
        )
        .join(Node, Node.id == Device.node_id)
        .join(hold, and_(hold.device_id == Device.id, hold.released_at.is_(None)), isouter=True)
        .join(ComputeSession, ComputeSession.id == hold.session_id, isouter=True)
        .where(Device.is_open, Node.is_open)
        .group_by(Device.device_class)
    )
    return {row.device_class: (row.free, row.total, None if row.free else row.next_at, row.is_simulated) for row in db.execute(query)}


def _offer(row: Any, standing: tuple[int, int, datetime | None, bool]) -> Offer:
    profile: Profile = row.Profile
    free, total, next_free_at, is_simulated = standing
    return Offer(
        slug=profile.slug,
        name=profile.name,
        note=profile.note,
        device_class=profile.device_class,
        charge_class=profile.charge_class,
        cpu_cores=max(1, profile.cpu_millicores // 1000),
        memory_limit_bytes=profile.memory_limit_bytes,
        gpu_memory_gb=profile.gpu_memory_gb,
        power_w=profile.power_w,
        rate_ucr_per_hour=row.rate_ucr_per_hour,
        next_ucr=row.next_ucr,
        next_price_at=row.next_price_at,
        free=free,
        total=total,
        next_free_at=next_free_at,
        is_simulated=is_simulated,
    )


def page_of_devices(db: Session, *, mark: str | None) -> Page[DeviceRow]:
    """Return one page of the pool's devices and who holds them."""
    hold = aliased(DeviceHold)
    query = (
        select(Device.id, Device.name, Device.kind, Device.model, Device.device_class, Node.name.label("node"), Device.is_open, hold.held_at)
        .add_columns(ComputeSession.number.label("session_number"), ComputeSession.state.label("session_state"), ComputeSession.last_seen_at)
        .add_columns(identity.person.c.display_name.label("person_name"), projects.project.c.name.label("project_name"))
        .join(Node, Node.id == Device.node_id)
        .join(hold, and_(hold.device_id == Device.id, hold.released_at.is_(None)), isouter=True)
        .join(ComputeSession, ComputeSession.id == hold.session_id, isouter=True)
        .join(identity.person, identity.person.c.id == ComputeSession.person_id, isouter=True)
        .join(projects.project, projects.project.c.id == ComputeSession.project_id, isouter=True)
    )
    page = page_of(db, query, Device.id, mark=mark, size=50, is_newest_first=False)
    return page.map(lambda row: DeviceRow(**{**row._asdict(), "session_state": SessionState(row.session_state) if row.session_state else None}))


def pool_health(db: Session, *, now: datetime) -> PoolHealth:
    """Return how the pool stands."""
    counts = select(
        select(func.count()).select_from(Device).scalar_subquery().label("devices"),
        select(func.count()).select_from(DeviceHold).where(DeviceHold.released_at.is_(None)).scalar_subquery().label("held"),
        select(func.count()).select_from(ComputeSession).where(ComputeSession.state.in_(LIVE)).scalar_subquery().label("live_sessions"),
        select(HubWatch.answered_at).scalar_subquery().label("hub_answered_at"),
        select(HubWatch.looked_at).scalar_subquery().label("looked_at"),
        select(func.count())
        .select_from(QuarantinedObservation)
        .where(QuarantinedObservation.received_at > now - timedelta(days=1))
        .scalar_subquery()
        .label("kept_aside"),
    )
    return PoolHealth(**db.execute(counts).one()._asdict())


def hub_answered_at(db: Session) -> tuple[datetime | None, datetime | None]:
    """Return when the hub was last looked at and when it last answered, both None before the first look."""
    row = db.execute(select(HubWatch.looked_at, HubWatch.answered_at)).one_or_none()
    return (None, None) if row is None else (row.looked_at, row.answered_at)


def profile_id_of(db: Session, slug: str) -> uuid.UUID | None:
    """Return the id of a profile, None where there is none of that name."""
    return db.execute(select(Profile.id).where(Profile.slug == slug)).scalar_one_or_none()
