"""One running course with learners, paid by the education fund."""

import uuid
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.ids import new_id
from portal.core.quantities import credits_ucr
from portal.credits import queries as credit
from portal.credits.operations import grants
from portal.demo import people
from portal.demo.people import Cast
from portal.learning import queries
from portal.learning.catalogue import Shelf
from portal.learning.operations import enrolments, progress, runs

DEMO = Actor.process("demo")
COURSE = "gpu-from-zero"


def build(db: Session, cast: Cast, *, courses_dir: Path, fund_id: uuid.UUID, began_at: datetime, now: datetime) -> None:
    """Open a run, pay for it, and let two people join."""
    course = Shelf(courses_dir, is_watching=False).catalogue().courses[COURSE]
    opened_at = now - timedelta(days=16)
    run_id = runs.open(
        db,
        course=course,
        starts_at=now - timedelta(days=14),
        ends_at=now + timedelta(days=60),
        capacity=30,
        language="ar",
        by=cast[people.INSTRUCTOR],
        now=opened_at,
    )
    project_id = queries.run_by_id(db, run_id, now=opened_at).project_id
    grants.give(
        db,
        grant_id=new_id(),
        wallet_id=credit.wallet_of_project(db, project_id),
        fund_id=fund_id,
        amount_ucr=credits_ucr(600),
        purpose=f"Course run: {course.title['en']}",
        classes=None,
        effective_at=opened_at,
        expires_at=now + timedelta(days=75),
        by=DEMO,
        now=opened_at,
    )
    student = cast[people.STUDENT]
    enrolment_id = enrolments.join(db, run_id=run_id, by=student, now=now - timedelta(days=13))
    progress.visit(db, enrolment_id=enrolment_id, lesson=course.lessons[0].slug, now=now - timedelta(days=12))
    progress.finish_lesson(db, enrolment_id=enrolment_id, course=course, lesson=course.lessons[0].slug, by=student, now=now - timedelta(days=12))
    enrolments.join(db, run_id=run_id, by=cast[people.SECOND_STUDENT], now=now - timedelta(days=1))
