"""Sessions as pages show them, scoped by actor in SQL. What they cost comes from credits, for all rows of a page at once."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, false, or_, select
from sqlalchemy.orm import Session, aliased

from portal.compute.models import ComputeSession, PriceVersion, Profile
from portal.compute.permissions import HOLDERS, Permission
from portal.compute.states import UNENDED, Failure, SessionState, StopCause
from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.core.quantities import energy_estimate_wh
from portal.credits import queries as ledger
from portal.identity import relations as identity
from portal.projects import relations as projects
from portal.projects.states import MemberRole

_told = aliased(PriceVersion)
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
    _told.rate_ucr_per_hour.label("told_ucr"),
    _told.starts_at.label("told_at"),
    ComputeSession.open_path,
    ComputeSession.duration_s,
    ComputeSession.requested_at,
    ComputeSession.half_by,
    ComputeSession.most_by,
    ComputeSession.admitted_at,
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


@dataclass(frozen=True)
class SessionView:
    """A session as a page shows it.

    used_s, cost_ucr and energy_wh go up to the read while it runs, and are what is proven once it has ended;
    energy is an estimate. role: the reader's in the project that pays. told: the latest price that was announced to its
    person. given_back: what went back of the cost. next: the price that begins at next_price_at. prices: the seconds used, by price.
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
    told_ucr: int | None
    told_at: datetime | None
    open_path: str
    duration_s: int
    requested_at: datetime
    half_by: datetime | None
    most_by: datetime | None
    admitted_at: datetime | None
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
    given_back_ucr: int = 0
    window_ends_at: datetime | None = None
    prices: tuple[ledger.PricePart, ...] = ()
    next_ucr: int | None = None
    next_price_at: datetime | None = None
    is_own: bool = False
    may_stop: bool = False

    @property
    def sees_wallet(self) -> bool:
        """Return whether the reader may open the wallet that pays: learners do not."""
        return self.role in {MemberRole.LEAD, MemberRole.MEMBER}

    @property
    def is_live(self) -> bool:
        """Return whether the session has not ended."""
        return self.state in UNENDED

    @property
    def is_queued(self) -> bool:
        """Return whether it waits for a device."""
        return self.state is SessionState.QUEUED

    @property
    def came_late(self) -> bool:
        """Return whether it began later than had been stated."""
        return self.most_by is not None and self.admitted_at is not None and self.admitted_at > self.most_by

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
    def price_changed_at(self) -> datetime | None:
        """Return since when the present price holds, None where no other came before."""
        before_s = sum(part.duration_s for part in self.prices[:-1])
        return self.started_at + timedelta(seconds=before_s) if self.started_at and before_s else None

    @property
    def energy_wh(self) -> int:
        """Return the estimated energy of the time used."""
        return energy_estimate_wh(self.power_w, self.used_s)


def _visible(actor: Actor) -> Select[Any]:
    """Select the sessions that an actor may see: their own, those of projects that they lead, all for staff."""
    member = projects.member.c
    own = and_(member.project_id == ComputeSession.project_id, member.person_id == actor.person_id)
    query = (
        select(*_STATED, member.role.label("role"))
        .join(Profile, Profile.id == ComputeSession.profile_id)
        .join(PriceVersion, PriceVersion.id == ComputeSession.price_version_id)
        .join(_told, _told.id == ComputeSession.told_price_id, isouter=True)
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
        views.append(view if cost is None else _with_cost(view, cost, now))
    return views


def _with_cost(view: SessionView, cost: ledger.SessionCost, now: datetime) -> SessionView:
    next_ucr, next_price_at = cost.next_rate_ucr_per_hour, cost.next_rate_at
    if next_ucr is None and view.is_live and view.told_at is not None and view.told_at > now and view.told_ucr != cost.rate_ucr_per_hour:
        next_ucr, next_price_at = view.told_ucr, view.told_at
    return replace(
        view,
        used_s=cost.duration_s,
        cost_ucr=cost.cost_ucr,
        given_back_ucr=cost.given_back_ucr,
        window_ends_at=cost.window_ends_at,
        rate_ucr_per_hour=cost.rate_ucr_per_hour,
        prices=cost.prices,
        next_ucr=next_ucr,
        next_price_at=next_price_at,
    )


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


@dataclass(frozen=True)
class ChargedSession:
    """What a charge's page says of its session. is_visible: the reader may open the session's own page."""

    number: int
    slug: str
    profile_name: Mapping[str, str]
    power_w: int
    is_visible: bool

    def energy_wh(self, duration_s: int) -> int:
        """Return the estimated energy of some seconds."""
        return energy_estimate_wh(self.power_w, duration_s)


def charged_session(db: Session, session_id: uuid.UUID, *, actor: Actor) -> ChargedSession:
    """Return the session of a charge, for whoever may see the wallet that pays. Raises NotFound."""
    is_visible = select(_visible(actor).where(ComputeSession.id == session_id).exists()).scalar_subquery()
    query = select(ComputeSession.number, ComputeSession.slug, Profile.name.label("profile_name"), Profile.power_w, is_visible.label("is_visible"))
    row = db.execute(query.join(Profile, Profile.id == ComputeSession.profile_id).where(ComputeSession.id == session_id)).one_or_none()
    if row is None:
        raise NotFound
    return ChargedSession(**row._asdict())


def live_sessions_of(db: Session, actor: Actor, *, now: datetime) -> list[SessionView]:
    """Return the actor's own live sessions, newest first."""
    query = _visible(actor).where(ComputeSession.person_id == actor.person_id, ComputeSession.state.in_(UNENDED))
    return _views(db, db.execute(query.order_by(ComputeSession.id.desc()).limit(20)).all(), actor, now=now)


def page_of_sessions(db: Session, actor: Actor, *, mark: str | None, now: datetime) -> Page[SessionView]:
    """Return one page of the sessions that an actor may see, newest first."""
    page = page_of(db, _visible(actor), ComputeSession.id, mark=mark)
    return Page(_views(db, page.rows, actor, now=now), page.next_mark, page.previous_mark)


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
