"""Queued and periodic work of learning."""

import uuid
from typing import Any

from portal.core import clock
from portal.core.access import Actor
from portal.core.jobs import JobContext, Queue, job
from portal.learning import queries
from portal.learning.catalogue import Shelf
from portal.learning.operations import progress

WORKER = Actor.process("worker")


@job("learning.session_ended", queue=Queue.BULK)
def session_ended(ctx: JobContext, *, subject_id: str, **_: Any) -> None:
    """React to the end of a compute session: the lab that it was opened for may have been the last step of a course."""
    with ctx.transaction() as db:
        found = queries.enrolment_of_session(db, uuid.UUID(subject_id))
        if found is None:
            return
        enrolment_id, course_id = found
        course = Shelf(ctx.settings.courses_dir, is_watching=False).catalogue().by_id(course_id)
        if course is not None:
            progress.complete_if_through(db, enrolment_id=enrolment_id, course=course, by=WORKER, now=clock.now())
