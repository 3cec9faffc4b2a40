"""Labs are opened on the pool, paid by the course run."""

import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.compute.operations import sessions
from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, NotFound, Refused
from portal.learning import rules
from portal.learning.content import notebooks
from portal.learning.content.model import Course, Lab
from portal.learning.models import CourseRun, Enrolment, LabLaunch
from portal.learning.rules import RunPhase
from portal.learning.states import EnrolmentState


class NotYet(Refused):
    """The run has not started."""

    text = N_("The labs open on the first day of the course.")


class RunOver(Refused):
    """The run is over, and with it what it pays."""

    text = N_("The course run is over, so it pays no more labs.")


def launch(db: Session, *, enrolment_id: uuid.UUID, course: Course, lab_slug: str, language: str, by: Actor, now: datetime) -> uuid.UUID:
    """Request a compute session for a lab, with its notebook in place, and return the session's id.

    The notebook is put there in `language` unless the person has one there already: their work is never overwritten.
    Raises NotFound, NotYet, RunOver, and what compute refuses (no credit, no device, too many sessions).
    """
    row = db.execute(
        select(Enrolment.id, CourseRun.id.label("run_id"), CourseRun.project_id, CourseRun.starts_at, CourseRun.ends_at)
        .join(CourseRun, CourseRun.id == Enrolment.run_id)
        .where(Enrolment.id == enrolment_id, Enrolment.person_id == by.id, Enrolment.state != EnrolmentState.LEFT, CourseRun.course_id == course.id)
        .with_for_update(of=Enrolment)
    ).one_or_none()
    lab = course.lab(lab_slug)
    if row is None or lab is None:
        raise NotFound
    phase = rules.phase(row.starts_at, row.ends_at, now=now)
    if phase is RunPhase.COMING:
        raise NotYet
    if phase is RunPhase.OVER:
        raise RunOver
    spoken = course.language_for(language)
    path = rules.notebook_path(course.slug, lab.slug, spoken)
    session_id: uuid.UUID = sessions.request(
        db,
        project_id=row.project_id,
        profile_slug=lab.profile,
        duration_s=lab.duration_s,
        label=lab.title[spoken][:120],
        by=by,
        now=now,
        files=[sessions.SessionFile(path=path, content=notebook(course, lab, spoken))],
        open_path=f"/lab/tree/{path}",
        course_context={"course": course.slug, "run": str(row.run_id), "lab": lab.slug, "revision": course.revision},
    )
    db.add(LabLaunch(session_id=session_id, enrolment_id=enrolment_id, lab=lab.slug, language=spoken, revision=course.revision, launched_at=now))
    db.flush()
    audit.record(db, "launched", "lab", f"{course.slug}/{lab.slug}", by=by, now=now, session_id=str(session_id), enrolment_id=str(enrolment_id))
    return session_id


def notebook(course: Course, lab: Lab, language: str) -> bytes:
    """Return a lab's notebook in one language."""
    return notebooks.build(lab.cells, language=language, metadata={"course": course.slug, "lab": lab.slug, "revision": course.revision})
