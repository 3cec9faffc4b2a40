"""What people read of a course, and when they are through."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.compute import relations as compute
from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.learning import rules
from portal.learning.content.model import Course
from portal.learning.models import Enrolment, LabLaunch, LessonVisit
from portal.learning.states import ENROLMENT, EnrolmentState

# A page that is read again within this time is the same visit: reading costs no write each time.
SAME_VISIT = timedelta(minutes=10)


def visit(db: Session, *, enrolment_id: uuid.UUID, lesson: str, now: datetime) -> None:
    """Note that a lesson is being read."""
    row = insert(LessonVisit).values(enrolment_id=enrolment_id, lesson=lesson, first_read_at=now, last_read_at=now)
    merged = row.on_conflict_do_update(index_elements=["enrolment_id", "lesson"], set_={"last_read_at": now}, where=LessonVisit.last_read_at < now - SAME_VISIT)
    db.execute(merged)


def finish_lesson(db: Session, *, enrolment_id: uuid.UUID, course: Course, lesson: str, by: Actor, now: datetime) -> None:
    """Note that the actor has read a lesson; the first time counts. Raises NotFound."""
    _lock_own(db, enrolment_id, by)
    if course.lesson(lesson) is None:
        raise NotFound
    row = insert(LessonVisit).values(enrolment_id=enrolment_id, lesson=lesson, first_read_at=now, last_read_at=now, finished_at=now, revision=course.revision)
    merged = row.on_conflict_do_update(
        index_elements=["enrolment_id", "lesson"],
        set_={"finished_at": now, "revision": course.revision},
        where=LessonVisit.finished_at.is_(None),
    )
    db.execute(merged)
    complete_if_through(db, enrolment_id=enrolment_id, course=course, by=by, now=now)


def complete_if_through(db: Session, *, enrolment_id: uuid.UUID, course: Course, by: Actor, now: datetime) -> bool:
    """Complete the enrolment when every lesson is read and a session ran of every lab; return whether it was completed now."""
    # Two last steps at once, a lesson here and a lab there, wait for each other: one of them sees both.
    db.execute(select(Enrolment.id).where(Enrolment.id == enrolment_id).with_for_update())
    finished = db.execute(select(LessonVisit.lesson).where(LessonVisit.enrolment_id == enrolment_id, LessonVisit.finished_at.is_not(None))).scalars()
    session = compute.compute_session.c
    ran = select(LabLaunch.lab).join(compute.compute_session, session.id == LabLaunch.session_id).where(session.started_at.is_not(None))
    opened = db.execute(ran.where(LabLaunch.enrolment_id == enrolment_id)).scalars()
    reached = rules.progress(
        lessons=[lesson.slug for lesson in course.lessons], labs=[lab.slug for lab in course.labs], finished=set(finished), opened=set(opened)
    )
    if not reached.is_complete:
        return False
    change = update(Enrolment).where(Enrolment.id == enrolment_id, Enrolment.state.in_(ENROLMENT.sources("complete")))
    if db.execute(change.values(state=EnrolmentState.COMPLETED.value, completed_at=now).returning(Enrolment.id)).first() is None:
        return False
    audit.record(db, "completed", "enrolment", enrolment_id, by=by, now=now, course=course.slug, revision=course.revision)
    return True


def _lock_own(db: Session, enrolment_id: uuid.UUID, by: Actor) -> None:
    own = select(Enrolment.id).where(Enrolment.id == enrolment_id, Enrolment.person_id == by.id, Enrolment.state != EnrolmentState.LEFT)
    if db.execute(own.with_for_update()).first() is None:
        raise NotFound
