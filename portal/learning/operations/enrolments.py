"""People join course runs, leave them and complete them."""

import uuid
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.core import audit, facts
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, NotFound, Refused
from portal.core.ids import new_id
from portal.learning.models import CourseRun, Enrolment
from portal.learning.states import ENROLMENT, SEATED, EnrolmentState
from portal.projects import relations as projects
from portal.projects.operations import members
from portal.projects.states import MemberRole


class RunFull(Refused):
    """No seat is left."""

    text = N_("All %(capacity)s seats of this course run are taken.")


class JoiningClosed(Refused):
    """The run takes nobody any more."""

    text = N_("This course run takes nobody any more.")


class LeadsTheRun(Refused):
    """Who leads the run does not take a seat in it."""

    text = N_("You lead this course run, so you cannot take a seat in it.")


class NotEnrolled(NotFound):
    """The person has no place in the run."""


class AlreadyCompleted(Conflict):
    """A completed course stays completed."""

    text = N_("You have completed this course. There is nothing to leave.")


def join(db: Session, *, run_id: uuid.UUID, by: Actor, now: datetime) -> uuid.UUID:
    """Give the actor a seat and return the enrolment's id; joining again changes nothing.

    Raises NotFound, JoiningClosed, RunFull, LeadsTheRun.
    """
    # The run's row is the lock: two people who take the last seat at once would otherwise both count it as free.
    run = db.execute(select(CourseRun).where(CourseRun.id == run_id).with_for_update()).scalar_one_or_none()
    if run is None:
        raise NotFound
    known = db.execute(select(Enrolment).where(Enrolment.run_id == run_id, Enrolment.person_id == by.id)).scalar_one_or_none()
    if known is not None and known.state in SEATED:
        return known.id
    if not run.is_open or now >= run.ends_at:
        raise JoiningClosed
    taken = db.execute(select(func.count()).where(Enrolment.run_id == run_id, Enrolment.state.in_(SEATED))).scalar_one()
    if taken >= run.capacity:
        raise RunFull(capacity=run.capacity)
    _refuse_leads(db, run, by)
    enrolment = known or Enrolment(id=new_id(), run_id=run_id, person_id=by.id, joined_at=now, state=EnrolmentState.ENROLLED.value)
    if known is not None:
        known.state = ENROLMENT.target("return", EnrolmentState(known.state)).value
        known.left_at = None
    db.add(enrolment)
    db.flush()
    members.add(db, project_id=run.project_id, person_id=by.id, role=MemberRole.LEARNER, by=by, now=now)
    audit.record(db, "joined", "course_run", run_id, by=by, now=now, enrolment_id=str(enrolment.id))
    facts.write(db, "learning.person_enrolled", enrolment.id, now=now, run_id=str(run_id), person_id=str(by.id))
    return enrolment.id


def _refuse_leads(db: Session, run: CourseRun, by: Actor) -> None:
    member = projects.member.c
    if db.execute(select(member.role).where(member.project_id == run.project_id, member.person_id == by.id)).first() is not None:
        raise LeadsTheRun


def leave(db: Session, *, run_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Give the actor's seat back; what was read stays. Raises NotEnrolled, AlreadyCompleted."""
    run = db.execute(select(CourseRun).where(CourseRun.id == run_id).with_for_update()).scalar_one_or_none()
    enrolment = db.execute(select(Enrolment).where(Enrolment.run_id == run_id, Enrolment.person_id == by.id)).scalar_one_or_none()
    if run is None or enrolment is None or enrolment.state == EnrolmentState.LEFT:
        raise NotEnrolled
    if enrolment.state == EnrolmentState.COMPLETED:
        raise AlreadyCompleted
    enrolment.state = ENROLMENT.target("leave", EnrolmentState(enrolment.state)).value
    enrolment.left_at = now
    members.remove(db, project_id=run.project_id, person_id=by.id, by=by, now=now)
    audit.record(db, "left", "course_run", run_id, by=by, now=now, enrolment_id=str(enrolment.id))
    db.flush()
