"""Course runs and people in them, made by the real operations, over the course that the house ships."""

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from sqlalchemy.orm import Session

from portal.compute.operations import pool
from portal.core.access import Actor
from portal.core.quantities import credits_ucr
from portal.credits import queries as credit_queries
from portal.identity.queries import PersonCard
from portal.learning import catalogue, queries
from portal.learning.content.model import Course
from portal.learning.operations import enrolments, runs
from portal.learning.queries import RunCard
from tests.factories import credits as credit_factories

TESTS = Actor.process("tests")
COURSES = Path(__file__).resolve().parent.parent.parent / "courses"
SLUG = "gpu-from-zero"
FIRST, SECOND, LAB = "what-a-gpu-does", "measure-before-believing", "measure-it"


@cache
def course() -> Course:
    """Return the course of the house."""
    return catalogue.read(COURSES).courses[SLUG]


def course_without_labs() -> Course:
    """Return it with lessons alone."""
    return replace(course(), labs=())


def run(db: Session, *, now: datetime, capacity: int = 30, starts_in_days: float = -1, days: float = 30, by: Actor = TESTS, credits_given: int = 20) -> RunCard:
    """Open a run, by default since yesterday and with 20 credits."""
    starts_at = now + timedelta(days=starts_in_days)
    run_id = runs.open(db, course=course(), starts_at=starts_at, ends_at=starts_at + timedelta(days=days), capacity=capacity, language="en", by=by, now=now)
    card = queries.run_by_id(db, run_id, now=now)
    if credits_given:
        wallet_id = credit_queries.wallet_of_project(db, card.project_id)
        credit_factories.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(credits_given))
    return card


def learner(db: Session, run_id: uuid.UUID, person: PersonCard, *, now: datetime) -> uuid.UUID:
    """Give a person a seat and return the enrolment's id."""
    return enrolments.join(db, run_id=run_id, by=person.actor, now=now)


def local_pool(db: Session, *, now: datetime) -> None:
    """Register simulated devices, profiles and prices."""
    pool.ensure_local_pool(db, by=TESTS, now=now)
