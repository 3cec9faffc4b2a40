"""Open and close course runs."""

import uuid
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor, require
from portal.core.errors import N_, Conflict, Invalid
from portal.core.ids import new_id
from portal.credits.operations import wallets
from portal.learning.content.model import Course
from portal.learning.models import CourseRun
from portal.learning.permissions import HOLDERS, Permission
from portal.projects.operations import members, projects
from portal.projects.states import MemberRole, ProjectKind


class EndsBeforeItStarts(Invalid):
    """The last day lies before the first."""

    text = N_("The course would end before it starts.")
    field = "ends_on"


class IsOver(Invalid):
    """Nobody could take part any more."""

    text = N_("The last day has already passed.")
    field = "ends_on"


class NotInThisLanguage(Invalid):
    """The course has no texts in this language."""

    text = N_("The course has no lessons in this language.")
    field = "language"


class RunChanged(Conflict):
    """Somebody else opened or closed the run."""

    text = N_("Somebody has opened or closed this course run in the meantime.")


def open(  # noqa: A001 -- runs.open reads as what it does
    db: Session, *, course: Course, starts_at: datetime, ends_at: datetime, capacity: int, language: str, by: Actor, now: datetime
) -> uuid.UUID:
    """Open a run with its project and its empty wallet, and return its id; who opens it leads the project.

    Raises Refused, EndsBeforeItStarts, IsOver, NotInThisLanguage.
    """
    require(by, Permission.RUN_COURSES, HOLDERS)
    if ends_at <= starts_at:
        raise EndsBeforeItStarts
    if ends_at <= now:
        raise IsOver
    if language not in course.languages:
        raise NotInThisLanguage
    project_id = projects.open(db, kind=ProjectKind.COURSE_RUN, name=course.title[language], by=by, now=now)
    if by.person_id is not None:
        members.add(db, project_id=project_id, person_id=by.person_id, role=MemberRole.LEAD, by=by, now=now)
    wallets.open(db, project_id=project_id, by=by, now=now)
    run = CourseRun(
        id=new_id(),
        course_id=course.id,
        course_revision=course.revision,
        title=dict(course.title),
        language=language,
        project_id=project_id,
        starts_at=starts_at,
        ends_at=ends_at,
        capacity=capacity,
        is_open=True,
        opened_at=now,
    )
    db.add(run)
    db.flush()
    audit.record(db, "opened", "course_run", run.id, by=by, now=now, course=course.slug, revision=course.revision, capacity=capacity)
    return run.id


def close_joining(db: Session, *, run_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Let nobody else join; who is enrolled goes on. The caller has checked that the actor leads the run. Raises RunChanged."""
    _switch(db, run_id, is_open=False, by=by, now=now)


def open_joining(db: Session, *, run_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Let people join again. The caller has checked that the actor leads the run. Raises RunChanged."""
    _switch(db, run_id, is_open=True, by=by, now=now)


def _switch(db: Session, run_id: uuid.UUID, *, is_open: bool, by: Actor, now: datetime) -> None:
    require(by, Permission.RUN_COURSES, HOLDERS)
    change = update(CourseRun).where(CourseRun.id == run_id, CourseRun.is_open.is_not(is_open))
    changed = db.execute(change.values(is_open=is_open, closed_at=None if is_open else now).returning(CourseRun.id)).first()
    if changed is None:
        raise RunChanged
    audit.record(db, "opened joining" if is_open else "closed joining", "course_run", run_id, by=by, now=now)
