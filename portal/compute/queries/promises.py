"""Promised against actual: how starts that had to wait came, for everybody to read. No person and no project is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Float, Select, cast, extract, func, select
from sqlalchemy.orm import Session

from portal.compute.models import ComputeSession, Profile
from portal.compute.states import SessionState
from portal.core.pages import Page, page_of
from portal.identity import relations as identity
from portal.projects import relations as projects

COUNTED_D = 30


@dataclass(frozen=True)
class Kept:
    """A machine's starts of the last days: those that began at once, those that waited and were promised, how many of them came in time."""

    name: Mapping[str, str]
    at_once: int
    waited: int
    in_time: int
    by_half: int
    median_wait_s: int | None

    @property
    def share(self) -> float | None:
        """Return which share of the stated instants was kept, None where nobody waited."""
        return self.in_time / self.waited if self.waited else None


@dataclass(frozen=True)
class Start:
    """One start that had to wait."""

    name: Mapping[str, str]
    requested_at: datetime
    half_by: datetime
    most_by: datetime
    admitted_at: datetime

    @property
    def is_in_time(self) -> bool:
        """Return whether it came by the stated instant."""
        return self.admitted_at <= self.most_by


@dataclass(frozen=True)
class QueuedRow:
    """A request that waits, as the staff see it."""

    number: int
    name: Mapping[str, str]
    person_name: str
    project_name: str
    duration_s: int
    requested_at: datetime
    most_by: datetime | None


def first_in_queue(db: Session, *, limit: int = 50) -> list[QueuedRow]:
    """Return who waits, machine by machine, in the order in which they are served; the first of each queue first."""
    person, project = identity.person.c, projects.project.c
    query = (
        select(ComputeSession.number, Profile.name, person.display_name.label("person_name"), project.name.label("project_name"))
        .add_columns(ComputeSession.duration_s, ComputeSession.requested_at, ComputeSession.most_by)
        .join(Profile, Profile.id == ComputeSession.profile_id)
        .join(identity.person, person.id == ComputeSession.person_id)
        .join(projects.project, project.id == ComputeSession.project_id)
        .where(ComputeSession.state == SessionState.QUEUED)
        .order_by(Profile.position, ComputeSession.rank_at, ComputeSession.id)
        .limit(limit)
    )
    return [QueuedRow(**row._asdict()) for row in db.execute(query)]


def kept(db: Session, *, now: datetime) -> list[Kept]:
    """Return each machine's promises of the last days; one statement.

    Whoever still waits, or left, after the stated instant counts as late: else the worst waits would not be counted.
    """
    wait_s = cast(extract("epoch", ComputeSession.admitted_at - ComputeSession.requested_at), Float)
    at_once = ComputeSession.most_by.is_(None) & ComputeSession.admitted_at.is_not(None)
    is_over = ComputeSession.admitted_at.is_not(None) | (func.coalesce(ComputeSession.ended_at, now) > ComputeSession.most_by)
    waited = ComputeSession.most_by.is_not(None) & is_over
    query = (
        select(
            Profile.name,
            func.count().filter(at_once).label("at_once"),
            func.count().filter(waited).label("waited"),
            func.count().filter(ComputeSession.admitted_at <= ComputeSession.most_by).label("in_time"),
            func.count().filter(ComputeSession.admitted_at <= ComputeSession.half_by).label("by_half"),
            func.percentile_cont(0.5).within_group(wait_s).filter(waited).label("median_wait_s"),
        )
        .join(Profile, Profile.id == ComputeSession.profile_id)
        .where(ComputeSession.requested_at > now - timedelta(days=COUNTED_D), at_once | waited)
        .group_by(Profile.id, Profile.name, Profile.position)
        .order_by(Profile.position)
    )
    return [_kept(row) for row in db.execute(query)]


def _kept(row: Any) -> Kept:
    wait_s = None if row.median_wait_s is None else round(row.median_wait_s)
    return Kept(row.name, row.at_once, row.waited, row.in_time, row.by_half, wait_s)


def page_of_starts(db: Session, *, mark: str | None) -> Page[Start]:
    """Return one page of the starts that had to wait, newest request first."""
    query: Select[Any] = (
        select()
        .add_columns(ComputeSession.id, Profile.name, ComputeSession.requested_at, ComputeSession.half_by, ComputeSession.most_by, ComputeSession.admitted_at)
        .join(Profile, Profile.id == ComputeSession.profile_id)
        .where(ComputeSession.most_by.is_not(None), ComputeSession.admitted_at.is_not(None))
    )
    return page_of(db, query, ComputeSession.id, mark=mark).map(lambda row: Start(row.name, row.requested_at, row.half_by, row.most_by, row.admitted_at))
