"""Reads of learning, scoped by actor in SQL."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, case, exists, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from portal.compute import queries as compute_queries
from portal.compute import relations as compute
from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.credits import queries as credit_queries
from portal.identity import relations as identity
from portal.learning import rules
from portal.learning.content.model import Course, Lab
from portal.learning.models import CourseRun, Enrolment, LabLaunch, LessonVisit
from portal.learning.permissions import HOLDERS, Permission
from portal.learning.rules import RunPhase
from portal.learning.states import SEATED, EnrolmentState
from portal.projects import relations as projects
from portal.projects.states import MemberRole


@dataclass(frozen=True)
class RunCard:
    """A run as everybody may see it."""

    id: uuid.UUID
    number: int
    slug: str
    course_id: uuid.UUID
    title: Mapping[str, str]
    language: str
    project_id: uuid.UUID
    starts_at: datetime
    ends_at: datetime
    capacity: int
    taken: int
    is_open: bool
    phase: RunPhase

    @property
    def last_day(self) -> datetime:
        """Return an instant of the last day: the end is exclusive, at midnight."""
        return self.ends_at - timedelta(seconds=1)

    @property
    def seats_left(self) -> int:
        """Return how many seats are free."""
        return max(0, self.capacity - self.taken)

    @property
    def can_be_joined(self) -> bool:
        """Return whether somebody could take a seat now."""
        return self.is_open and self.phase is not RunPhase.OVER and self.seats_left > 0


@dataclass(frozen=True)
class Place:
    """Somebody's place in a course: their run, and their enrolment in it."""

    enrolment_id: uuid.UUID
    state: EnrolmentState
    joined_at: datetime
    run: RunCard


@dataclass(frozen=True)
class Standing:
    """What somebody read and opened: instants by lesson, sessions by lab, newest first."""

    finished: Mapping[str, datetime]
    read: Mapping[str, datetime]
    sessions: Mapping[str, Sequence["LabSession"]]

    @property
    def opened(self) -> Collection[str]:
        """Return the labs of which a session ran."""
        return [lab for lab, sessions in self.sessions.items() if any(session.started_at for session in sessions)]

    def progress(self, course: Course) -> rules.Progress:
        """Return the progress in the course as it is now."""
        return rules.progress(
            lessons=[lesson.slug for lesson in course.lessons], labs=[lab.slug for lab in course.labs], finished=self.finished, opened=self.opened
        )


NOTHING_READ = Standing({}, {}, {})


@dataclass(frozen=True)
class LabSession:
    """A session that was opened for a lab."""

    number: int
    slug: str
    state: str
    launched_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class LabOffer:
    """What a lab takes, on the machine that it is made for, at today's price. Energy is an estimate.

    machine: the profile's name by language. next_free_at: None when a machine is free, or when none is expected.
    """

    machine: Mapping[str, str]
    duration_s: int
    cost_ucr: int
    energy_wh: int
    is_free: bool
    next_free_at: datetime | None
    is_simulated: bool


@dataclass(frozen=True)
class LearnerRow:
    """A person in a run, as who leads it sees them."""

    display_name: str
    state: EnrolmentState
    joined_at: datetime
    last_read_at: datetime | None
    lessons_done: int
    labs_opened: int


def _taken() -> ColumnElement[int]:
    seats = select(func.count()).where(Enrolment.run_id == CourseRun.id, Enrolment.state.in_(SEATED))
    return seats.correlate(CourseRun).scalar_subquery().label("taken")


def _runs(*more: Any) -> Select[Any]:
    columns: list[Any] = [*_RUN_COLUMNS, _taken(), *more]
    return select(*columns).select_from(CourseRun)


_RUN_COLUMNS = (
    CourseRun.id,
    CourseRun.number,
    CourseRun.slug,
    CourseRun.course_id,
    CourseRun.title,
    CourseRun.language,
    CourseRun.project_id,
    CourseRun.starts_at,
    CourseRun.ends_at,
    CourseRun.capacity,
    CourseRun.is_open,
)


def _card(row: Row[Any], *, now: datetime) -> RunCard:
    values = row._asdict()
    columns = {column.key: values[column.key] for column in _RUN_COLUMNS}
    return RunCard(**columns, taken=values["taken"], phase=rules.phase(values["starts_at"], values["ends_at"], now=now))


def next_runs(db: Session, course_ids: Collection[uuid.UUID], *, now: datetime) -> dict[uuid.UUID, RunCard]:
    """Return for each course the run that people can join first; one with seats before one without. One statement."""
    taken = _taken()
    query = _runs().where(CourseRun.course_id.in_(course_ids), CourseRun.is_open, CourseRun.ends_at > now)
    ordered = query.order_by(CourseRun.course_id, case((taken < CourseRun.capacity, 0), else_=1), CourseRun.starts_at, CourseRun.id)
    cards = [_card(row, now=now) for row in db.execute(ordered.ext(distinct_on(CourseRun.course_id)))]
    return {card.course_id: card for card in cards}


def place_in(db: Session, course_id: uuid.UUID, *, actor: Actor, now: datetime) -> Place | None:
    """Return the actor's place in a course: the latest run that they are in and have not left."""
    if not actor.is_signed_in:
        return None
    extra = (Enrolment.id.label("enrolment_id"), Enrolment.state, Enrolment.joined_at)
    query = (
        _runs(*extra)
        .join(Enrolment, Enrolment.run_id == CourseRun.id)
        .where(CourseRun.course_id == course_id, Enrolment.person_id == actor.person_id, Enrolment.state != EnrolmentState.LEFT)
        .order_by(CourseRun.ends_at.desc(), CourseRun.id)
        .limit(1)
    )
    row = db.execute(query).one_or_none()
    return None if row is None else Place(row.enrolment_id, EnrolmentState(row.state), row.joined_at, _card(row, now=now))


def places_of(db: Session, person_id: uuid.UUID, *, now: datetime, most: int = 20) -> list[Place]:
    """Return a person's places in runs that are not over, the latest to end first: for the catalogue and the home page."""
    extra = (Enrolment.id.label("enrolment_id"), Enrolment.state, Enrolment.joined_at)
    query = (
        _runs(*extra)
        .join(Enrolment, Enrolment.run_id == CourseRun.id)
        .where(Enrolment.person_id == person_id, Enrolment.state != EnrolmentState.LEFT, CourseRun.ends_at > now)
        .order_by(CourseRun.ends_at, CourseRun.id)
        .limit(most)
    )
    return [Place(row.enrolment_id, EnrolmentState(row.state), row.joined_at, _card(row, now=now)) for row in db.execute(query)]


def standing_of(db: Session, enrolment_id: uuid.UUID) -> Standing:
    """Return what somebody read and which labs they opened. Two statements."""
    visits = db.execute(select(LessonVisit.lesson, LessonVisit.last_read_at, LessonVisit.finished_at).where(LessonVisit.enrolment_id == enrolment_id)).all()
    session = compute.compute_session.c
    launches = (
        select(LabLaunch.lab, LabLaunch.launched_at, session.number, session.slug, session.state, session.started_at, session.ended_at)
        .join(compute.compute_session, session.id == LabLaunch.session_id)
        .where(LabLaunch.enrolment_id == enrolment_id)
        .order_by(LabLaunch.session_id.desc())
        .limit(50)
    )
    sessions: dict[str, list[LabSession]] = {}
    for row in db.execute(launches):
        sessions.setdefault(row.lab, []).append(LabSession(row.number, row.slug, row.state, row.launched_at, row.started_at, row.ended_at))
    finished = {row.lesson: row.finished_at for row in visits if row.finished_at is not None}
    return Standing(finished, {row.lesson: row.last_read_at for row in visits}, sessions)


def _led(actor: Actor) -> Select[Any]:
    """Select the runs that an actor may lead: their own, or all for who sees all."""
    if actor.has(*HOLDERS[Permission.SEE_ALL_RUNS]):
        return _runs()
    member = projects.member.c
    own = exists().where(member.project_id == CourseRun.project_id, member.person_id == actor.person_id, member.role == MemberRole.LEAD)
    return _runs().where(own)


def page_of_runs(db: Session, *, actor: Actor, mark: str | None, now: datetime) -> Page[RunCard]:
    """Return one page of the runs that an actor leads or may see, newest first."""
    return page_of(db, _led(actor), CourseRun.id, mark=mark).map(lambda row: _card(row, now=now))


def run_led(db: Session, slug: str, *, actor: Actor, now: datetime) -> RunCard:
    """Return a run that the actor leads or may see. Raises NotFound."""
    row = db.execute(_led(actor).where(CourseRun.slug == slug)).one_or_none()
    if row is None:
        raise NotFound
    return _card(row, now=now)


def run_by_id(db: Session, run_id: uuid.UUID, *, now: datetime) -> RunCard:
    """Return a run as everybody may see it. Raises NotFound."""
    row = db.execute(_runs().where(CourseRun.id == run_id)).one_or_none()
    if row is None:
        raise NotFound
    return _card(row, now=now)


def page_of_learners(db: Session, run_id: uuid.UUID, *, mark: str | None) -> Page[LearnerRow]:
    """Return one page of the people of a run with what they did, in the order they joined. One statement."""
    person, session = identity.person.c, compute.compute_session.c
    visits = (
        select(
            LessonVisit.enrolment_id,
            func.count(LessonVisit.finished_at).label("lessons_done"),
            func.max(LessonVisit.last_read_at).label("last_read_at"),
        )
        .group_by(LessonVisit.enrolment_id)
        .subquery()
    )
    labs = (
        select(LabLaunch.enrolment_id, func.count(LabLaunch.lab.distinct()).label("labs_opened"))
        .join(compute.compute_session, session.id == LabLaunch.session_id)
        .where(session.started_at.is_not(None))
        .group_by(LabLaunch.enrolment_id)
        .subquery()
    )
    query = (
        select(
            Enrolment.id,
            Enrolment.state,
            Enrolment.joined_at,
            person.display_name,
            func.coalesce(visits.c.lessons_done, 0).label("lessons_done"),
            func.coalesce(labs.c.labs_opened, 0).label("labs_opened"),
            visits.c.last_read_at,
        )
        .join(identity.person, person.id == Enrolment.person_id)
        .join(visits, visits.c.enrolment_id == Enrolment.id, isouter=True)
        .join(labs, labs.c.enrolment_id == Enrolment.id, isouter=True)
        .where(Enrolment.run_id == run_id)
    )
    page = page_of(db, query, Enrolment.id, mark=mark, is_newest_first=False)
    return page.map(lambda row: LearnerRow(row.display_name, EnrolmentState(row.state), row.joined_at, row.last_read_at, row.lessons_done, row.labs_opened))


def enrolment_of_session(db: Session, session_id: uuid.UUID) -> tuple[uuid.UUID, uuid.UUID] | None:
    """Return the enrolment and the course that a compute session was opened for, None for other sessions."""
    query = (
        select(Enrolment.id, CourseRun.course_id)
        .join(LabLaunch, LabLaunch.enrolment_id == Enrolment.id)
        .join(CourseRun, CourseRun.id == Enrolment.run_id)
        .where(LabLaunch.session_id == session_id)
    )
    row = db.execute(query).one_or_none()
    return (row.id, row.course_id) if row else None


def lab_offers(db: Session, labs: Collection[Lab], *, now: datetime) -> dict[str, LabOffer]:
    """Return what each lab takes; a lab whose machine the hub does not offer now is missing. At most two statements."""
    if not labs:
        return {}
    offers = {offer.slug: offer for offer in compute_queries.offers(db, now=now)}
    return {
        lab.slug: LabOffer(
            machine=offer.name,
            duration_s=lab.duration_s,
            cost_ucr=offer.cost_ucr(lab.duration_s),
            energy_wh=offer.energy_wh(lab.duration_s),
            is_free=offer.free > 0,
            next_free_at=offer.next_free_at,
            is_simulated=offer.is_simulated,
        )
        for lab in labs
        if (offer := offers.get(lab.profile)) is not None
    }


def free_credits_ucr(db: Session, project_id: uuid.UUID, *, now: datetime) -> int:
    """Return the free credits of a run. Raises NotFound for a project without a wallet."""
    return credit_queries.balance_of_project(db, project_id, now=now).free_ucr
