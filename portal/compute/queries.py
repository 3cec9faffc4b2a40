"""Reads of compute, scoped by actor in SQL. What a session costs comes from credits, for all rows of a page at once."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, false, func, or_, select
from sqlalchemy.orm import Session, aliased

from portal.compute.models import ComputeSession, Device, DeviceHold, HubWatch, Node, PriceVersion, Profile, QuarantinedObservation
from portal.compute.permissions import HOLDERS, Permission
from portal.compute.states import LIVE, Failure, SessionState, StopCause
from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.core.quantities import charge_ucr, energy_estimate_wh
from portal.credits import queries as ledger
from portal.identity import relations as identity
from portal.projects import relations as projects
from portal.projects.states import MemberRole


@dataclass(frozen=True)
class Offer:
    """A profile as somebody may choose it now. next_free_at: when a device is due back at the latest, None when one is free."""

    slug: str
    name: Mapping[str, str]
    note: Mapping[str, str]
    charge_class: str
    cpu_cores: int
    memory_limit_bytes: int
    gpu_memory_gb: int
    power_w: int
    rate_ucr_per_hour: int
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
class SessionView:
    """A session as a page shows it.

    used_s, cost_ucr and energy_wh go up to the read while it runs, and are what is proven once it has ended;
    energy is an estimate. role: the reader's in the project that pays.
    """

    id: uuid.UUID
    number: int
    slug: str
    label: str
    state: SessionState
    person_id: uuid.UUID
    person_slug: str
    person_name: str
    project_id: uuid.UUID
    project_name: str
    project_slug: str
    profile_name: Mapping[str, str]
    profile_slug: str
    gpu_memory_gb: int
    power_w: int
    rate_ucr_per_hour: int
    open_path: str
    duration_s: int
    requested_at: datetime
    starting_at: datetime | None
    redeemed_at: datetime | None
    started_at: datetime | None
    ready_at: datetime | None
    last_seen_at: datetime | None
    credit_warned_at: datetime | None
    stop_asked_at: datetime | None
    ended_at: datetime | None
    stop_cause: StopCause | None
    failure: Failure | None
    proven_s: int
    role: MemberRole | None
    used_s: int = 0
    cost_ucr: int = 0
    window_ends_at: datetime | None = None
    is_own: bool = False
    may_stop: bool = False

    @property
    def sees_wallet(self) -> bool:
        """Return whether the reader may open the wallet that pays: learners do not."""
        return self.role in {MemberRole.LEAD, MemberRole.MEMBER}

    @property
    def is_live(self) -> bool:
        """Return whether the session has not ended."""
        return self.state in LIVE

    @property
    def is_open(self) -> bool:
        """Return whether JupyterLab can be opened."""
        return self.state is SessionState.RUNNING and self.ready_at is not None

    @property
    def is_coming(self) -> bool:
        """Return whether the session is on its way up."""
        return self.state in {SessionState.REQUESTED, SessionState.STARTING} or (self.state is SessionState.RUNNING and self.ready_at is None)

    @property
    def ends_at(self) -> datetime | None:
        """Return when the chosen duration is over."""
        return None if self.started_at is None else self.started_at + timedelta(seconds=self.duration_s)

    @property
    def energy_wh(self) -> int:
        """Return the estimated energy of the time used."""
        return energy_estimate_wh(self.power_w, self.used_s)


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


_STATED = (
    ComputeSession.id,
    ComputeSession.number,
    ComputeSession.slug,
    ComputeSession.label,
    ComputeSession.state,
    ComputeSession.person_id,
    identity.person.c.slug.label("person_slug"),
    identity.person.c.display_name.label("person_name"),
    ComputeSession.project_id,
    projects.project.c.name.label("project_name"),
    projects.project.c.slug.label("project_slug"),
    Profile.name.label("profile_name"),
    Profile.slug.label("profile_slug"),
    Profile.gpu_memory_gb,
    Profile.power_w,
    PriceVersion.rate_ucr_per_hour,
    ComputeSession.open_path,
    ComputeSession.duration_s,
    ComputeSession.requested_at,
    ComputeSession.starting_at,
    ComputeSession.redeemed_at,
    ComputeSession.started_at,
    ComputeSession.ready_at,
    ComputeSession.last_seen_at,
    ComputeSession.credit_warned_at,
    ComputeSession.stop_asked_at,
    ComputeSession.ended_at,
    ComputeSession.stop_cause,
    ComputeSession.failure,
    ComputeSession.proven_s,
)


def _visible(actor: Actor) -> Select[Any]:
    """Select the sessions that an actor may see: their own, those of projects that they lead, all for staff."""
    member = projects.member.c
    own = and_(member.project_id == ComputeSession.project_id, member.person_id == actor.person_id)
    query = (
        select(*_STATED, member.role.label("role"))
        .join(Profile, Profile.id == ComputeSession.profile_id)
        .join(PriceVersion, PriceVersion.id == ComputeSession.price_version_id)
        .join(projects.project, projects.project.c.id == ComputeSession.project_id)
        .join(identity.person, identity.person.c.id == ComputeSession.person_id)
        .join(projects.member, own, isouter=True)
    )
    if actor.has(*HOLDERS[Permission.SEE_ALL_SESSIONS]):
        return query
    is_ones_own = or_(ComputeSession.person_id == actor.person_id, member.role == MemberRole.LEAD.value)
    return query.where(is_ones_own if actor.person_id is not None else false())


def _views(db: Session, rows: Sequence[Row[Any]], actor: Actor, *, now: datetime) -> list[SessionView]:
    costs = ledger.session_costs(db, [row.id for row in rows], now=now) if rows else {}
    stops_any = actor.has(*HOLDERS[Permission.STOP_ANY_SESSION])
    views: list[SessionView] = []
    for row in rows:
        fields = row._asdict()
        fields["role"] = MemberRole(row.role) if row.role else None
        fields["state"] = SessionState(row.state)
        fields["stop_cause"] = StopCause(row.stop_cause) if row.stop_cause else None
        fields["failure"] = Failure(row.failure) if row.failure else None
        is_own = row.person_id == actor.person_id
        view = SessionView(**fields, is_own=is_own, may_stop=is_own or row.role == MemberRole.LEAD.value or stops_any)
        cost = costs.get(row.id)
        views.append(view if cost is None else replace(view, used_s=cost.duration_s, cost_ucr=cost.cost_ucr, window_ends_at=cost.window_ends_at))
    return views


def session_by_number(db: Session, number: int, *, actor: Actor, now: datetime) -> SessionView:
    """Return a session that the actor may see. Raises NotFound."""
    if not 0 < number < 2**63:
        raise NotFound
    row = db.execute(_visible(actor).where(ComputeSession.number == number)).one_or_none()
    if row is None:
        raise NotFound
    return _views(db, [row], actor, now=now)[0]


def session_by_id(db: Session, session_id: uuid.UUID, *, actor: Actor, now: datetime) -> SessionView:
    """Return a session that the actor may see. Raises NotFound."""
    row = db.execute(_visible(actor).where(ComputeSession.id == session_id)).one_or_none()
    if row is None:
        raise NotFound
    return _views(db, [row], actor, now=now)[0]


def live_sessions_of(db: Session, actor: Actor, *, now: datetime) -> list[SessionView]:
    """Return the actor's own live sessions, newest first."""
    query = _visible(actor).where(ComputeSession.person_id == actor.person_id, ComputeSession.state.in_(LIVE))
    return _views(db, db.execute(query.order_by(ComputeSession.id.desc()).limit(20)).all(), actor, now=now)


def page_of_sessions(db: Session, actor: Actor, *, mark: str | None, now: datetime) -> Page[SessionView]:
    """Return one page of the sessions that an actor may see, newest first."""
    page = page_of(db, _visible(actor), ComputeSession.id, mark=mark)
    return Page(_views(db, page.rows, actor, now=now), page.next_mark, page.previous_mark)


def offers(db: Session, *, now: datetime) -> list[Offer]:
    """Return the profiles that are offered now, with how many devices are free; two statements."""
    is_current = (PriceVersion.starts_at <= now) & (PriceVersion.ends_at.is_(None) | (PriceVersion.ends_at > now))
    priced = select(Profile, PriceVersion.rate_ucr_per_hour).join(PriceVersion, PriceVersion.profile_id == Profile.id)
    rows = db.execute(priced.where(Profile.is_open, is_current).order_by(Profile.position, Profile.slug)).all()
    standing = _standing(db, now=now)
    return [_offer(profile, rate, standing.get(profile.device_class, (0, 0, None, False))) for profile, rate in rows]


def _standing(db: Session, *, now: datetime) -> dict[str, tuple[int, int, datetime | None, bool]]:
    """Return free and all devices of each class, when the next is due back, and whether they are simulated."""
    hold = aliased(DeviceHold)
    begins_at = func.coalesce(ComputeSession.started_at, ComputeSession.starting_at, now)
    due_at = func.greatest(begins_at + func.make_interval(0, 0, 0, 0, 0, 0, ComputeSession.duration_s), now)
    query = (
        select(
            Device.device_class,
            func.count().filter(hold.id.is_(None)).label("free"),
            func.count().label("total"),
            func.min(due_at).filter(hold.id.is_not(None)).label("next_at"),
            func.bool_and(Device.kind == "simulated").label("is_simulated"),
        )
        .join(Node, Node.id == Device.node_id)
        .join(hold, and_(hold.device_id == Device.id, hold.released_at.is_(None)), isouter=True)
        .join(ComputeSession, ComputeSession.id == hold.session_id, isouter=True)
        .where(Device.is_open, Node.is_open)
        .group_by(Device.device_class)
    )
    return {row.device_class: (row.free, row.total, None if row.free else row.next_at, row.is_simulated) for row in db.execute(query)}


def _offer(profile: Profile, rate_ucr_per_hour: int, standing: tuple[int, int, datetime | None, bool]) -> Offer:
    free, total, next_free_at, is_simulated = standing
    return Offer(
        slug=profile.slug,
        name=profile.name,
        note=profile.note,
        charge_class=profile.charge_class,
        cpu_cores=max(1, profile.cpu_millicores // 1000),
        memory_limit_bytes=profile.memory_limit_bytes,
        gpu_memory_gb=profile.gpu_memory_gb,
        power_w=profile.power_w,
        rate_ucr_per_hour=rate_ucr_per_hour,
        free=free,
        total=total,
        next_free_at=next_free_at,
        is_simulated=is_simulated,
    )


def servers_to_stop(db: Session, session_ids: Sequence[uuid.UUID]) -> list[tuple[uuid.UUID, str, str]]:
    """Return session, user and server of those sessions that should have no server."""
    person = identity.person.c
    wants_one = [SessionState.REQUESTED, SessionState.STARTING, SessionState.RUNNING]
    query = (
        select(ComputeSession.id, person.slug, ComputeSession.slug.label("server"))
        .join(identity.person, person.id == ComputeSession.person_id)
        .where(ComputeSession.id.in_(session_ids), ComputeSession.state.not_in(wants_one))
        .order_by(ComputeSession.id)
    )
    return [(row.id, row.slug, row.server) for row in db.execute(query)]


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
