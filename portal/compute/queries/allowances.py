"""What members may still take of their project's credits this week, and what they asked for."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, and_, case, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from portal.compute.models import Allowance, AllowanceAsk, ComputeSession, PriceVersion
from portal.compute.states import UNENDED, AskState
from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.core.quantities import SECONDS_PER_HOUR
from portal.credits import relations as ledger
from portal.credits.calendar import day_start, week_start
from portal.identity import relations as identity
from portal.projects import relations as projects
from portal.projects.queries import ProjectCard
from portal.projects.states import MemberRole


@dataclass(frozen=True)
class WeeklyAllowance:
    """One member's week. used_ucr: what ended sessions cost and what live ones may still cost in their whole duration.

    weekly_ucr is None for a member without a limit; extra_ucr was given for this week alone.
    """

    weekly_ucr: int | None
    is_own: bool
    extra_ucr: int
    used_ucr: int
    renews_at: datetime

    @property
    def total_ucr(self) -> int:
        """Return what this week has in all."""
        return (self.weekly_ucr or 0) + self.extra_ucr

    @property
    def left_ucr(self) -> int:
        """Return what is left of this week."""
        return max(0, self.total_ucr - self.used_ucr)

    def fits(self, cost_ucr: int) -> bool:
        """Return whether a cost stays within the week."""
        return self.weekly_ucr is None or cost_ucr <= self.left_ucr


@dataclass(frozen=True)
class MemberAllowance:
    """A member as the project's lead sees them."""

    person_id: uuid.UUID
    slug: str
    display_name: str
    role: MemberRole
    allowance: WeeklyAllowance


@dataclass(frozen=True)
class AskRow:
    """A request for more."""

    id: uuid.UUID
    number: int
    display_name: str
    asked_ucr: int
    reason: str
    state: AskState
    asked_at: datetime
    given_ucr: int | None
    is_lasting: bool
    answer: str


def allowance_of(db: Session, project_id: uuid.UUID, person_id: uuid.UUID, *, now: datetime) -> WeeklyAllowance:
    """Return a member's week; one statement."""
    member = projects.member.c
    query = select(*_week(member.project_id, member.person_id, member.role, now)).where(member.project_id == project_id, member.person_id == person_id)
    row = db.execute(query).one_or_none()
    return _allowance(row, now) if row is not None else WeeklyAllowance(weekly_ucr=None, is_own=False, extra_ucr=0, used_ucr=0, renews_at=_renews_at(now))


def page_of_members(db: Session, project: ProjectCard, *, mark: str | None, now: datetime) -> Page[MemberAllowance]:
    """Return one page of a project's members with their week; one statement more than the page itself takes for any list."""
    member, person = projects.member.c, identity.person.c
    query = (
        select(person.id.label("id"), person.slug, person.display_name, member.role, *_week(member.project_id, member.person_id, member.role, now))
        .join_from(projects.member, identity.person, person.id == member.person_id)
        .where(member.project_id == project.id)
    )
    page = page_of(db, query, person.id, mark=mark, is_newest_first=False)
    return page.map(lambda row: MemberAllowance(row.id, row.slug, row.display_name, MemberRole(row.role), _allowance(row, now)))


def default_ucr(db: Session, project_id: uuid.UUID) -> int | None:
    """Return the allowance of members who have none of their own, None where they have no limit."""
    return db.execute(select(Allowance.weekly_ucr).where(Allowance.project_id == project_id, Allowance.person_id.is_(None))).scalar_one_or_none()


def own_ucr(db: Session, project_id: uuid.UUID, person_id: uuid.UUID) -> int | None:
    """Return a member's own allowance, None where they have none."""
    return db.execute(select(Allowance.weekly_ucr).where(Allowance.project_id == project_id, Allowance.person_id == person_id)).scalar_one_or_none()


def member_by_slug(db: Session, project_id: uuid.UUID, slug: str) -> tuple[uuid.UUID, str]:
    """Return a current member's id and name. Raises NotFound."""
    member, person = projects.member.c, identity.person.c
    query = select(person.id, person.display_name).join(projects.member, member.person_id == person.id)
    row = db.execute(query.where(member.project_id == project_id, person.slug == slug)).one_or_none()
    if row is None:
        raise NotFound
    return row.id, row.display_name


def open_asks(db: Session, project_id: uuid.UUID, *, mark: str | None) -> Page[AskRow]:
    """Return one page of the requests that wait for an answer, the oldest first."""
    query = _asks().where(AllowanceAsk.project_id == project_id, AllowanceAsk.state == AskState.OPEN.value)
    return page_of(db, query, AllowanceAsk.id, mark=mark, is_newest_first=False).map(_ask)


def ask_by_number(db: Session, project_id: uuid.UUID, number: int) -> AskRow:
    """Return a request of a project. Raises NotFound."""
    row = db.execute(_asks().where(AllowanceAsk.project_id == project_id, AllowanceAsk.number == number)).one_or_none()
    if row is None:
        raise NotFound
    return _ask(row)


def latest_ask(db: Session, project_id: uuid.UUID, actor: Actor, *, now: datetime) -> AskRow | None:
    """Return what the actor asked for last, while it waits or was answered in this week."""
    is_recent = or_(AllowanceAsk.state == AskState.OPEN.value, AllowanceAsk.answered_at >= day_start(week_start(now)))
    query = _asks().where(AllowanceAsk.project_id == project_id, AllowanceAsk.person_id == actor.id, is_recent)
    row = db.execute(query.order_by(AllowanceAsk.id.desc()).limit(1)).one_or_none()
    return _ask(row) if row is not None else None


def count_open_asks(db: Session, project_ids: Sequence[uuid.UUID]) -> int:
    """Return how many requests wait in some projects."""
    query = select(func.count()).select_from(_asks().where(AllowanceAsk.project_id.in_(project_ids), AllowanceAsk.state == AskState.OPEN.value).subquery())
    return db.execute(query).scalar_one()


def _asks() -> Select[Any]:
    """Select requests of people who are still members."""
    member, person = projects.member.c, identity.person.c
    return (
        select(AllowanceAsk.id, AllowanceAsk.number, person.display_name, AllowanceAsk.asked_ucr, AllowanceAsk.reason, AllowanceAsk.state)
        .add_columns(AllowanceAsk.asked_at, AllowanceAsk.given_ucr, AllowanceAsk.is_lasting, AllowanceAsk.answer)
        .join(identity.person, person.id == AllowanceAsk.person_id)
        .join(projects.member, and_(member.project_id == AllowanceAsk.project_id, member.person_id == AllowanceAsk.person_id))
    )


def _ask(row: Any) -> AskRow:
    given_ucr = row.given_ucr
    return AskRow(row.id, row.number, row.display_name, row.asked_ucr, row.reason, AskState(row.state), row.asked_at, given_ucr, row.is_lasting, row.answer)


def _week(project_id: ColumnElement[Any], person_id: ColumnElement[Any], role: ColumnElement[Any], now: datetime) -> list[ColumnElement[Any]]:
    """Return the columns of a member's week, as subqueries on the row that names project, person and role."""
    on = week_start(now)
    own = select(Allowance.weekly_ucr).where(Allowance.project_id == project_id, Allowance.person_id == person_id)
    default = select(Allowance.weekly_ucr).where(Allowance.project_id == project_id, Allowance.person_id.is_(None))
    given = select(func.coalesce(func.sum(AllowanceAsk.given_ucr), 0)).where(
        AllowanceAsk.project_id == project_id, AllowanceAsk.person_id == person_id, AllowanceAsk.week_on == on, AllowanceAsk.is_lasting.is_(False)
    )
    charge = ledger.session_charge.c
    charged = select(func.coalesce(func.sum(charge.charged_ucr), 0)).where(charge.session_id == ComputeSession.id).scalar_subquery()
    # A price that came meanwhile counts for the whole of a session that lives, when it is the higher one.
    told = aliased(PriceVersion)
    committed = func.greatest(PriceVersion.rate_ucr_per_hour, told.rate_ucr_per_hour) * ComputeSession.duration_s // SECONDS_PER_HOUR
    cost = case((ComputeSession.state.in_(UNENDED), committed), else_=charged)
    used = (
        select(func.coalesce(func.sum(cost), 0))
        .select_from(ComputeSession)
        .join(PriceVersion, PriceVersion.id == ComputeSession.price_version_id)
        .join(told, told.id == ComputeSession.told_price_id, isouter=True)
        .where(ComputeSession.project_id == project_id, ComputeSession.person_id == person_id, ComputeSession.requested_at >= day_start(on))
    )
    is_bound = role != MemberRole.LEAD.value
    return [
        own.scalar_subquery().label("own_ucr"),
        case((is_bound, default.scalar_subquery())).label("default_ucr"),
        cast(given.scalar_subquery(), BigInteger).label("extra_ucr"),
        cast(used.scalar_subquery(), BigInteger).label("used_ucr"),
    ]


def _allowance(row: Any, now: datetime) -> WeeklyAllowance:
    is_own = row.own_ucr is not None
    return WeeklyAllowance(row.own_ucr if is_own else row.default_ucr, is_own, row.extra_ucr, row.used_ucr, _renews_at(now))


def _renews_at(now: datetime) -> datetime:
    return day_start(week_start(now) + timedelta(days=7))
