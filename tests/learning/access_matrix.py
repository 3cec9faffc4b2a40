"""Who may call the pages of learning (tests/architecture/access_matrix.py)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from portal.identity import queries as identity
from portal.learning.permissions import Permission
from tests.architecture.access_matrix import Row
from tests.factories import learning

_ENROLLED = "who is enrolled in a run of the course"
_LEADS = "who leads the run's project; staff and administrators lead all"

ROWS = {
    "learning.catalogue": Row("public"),
    "learning.course": Row("public"),
    "learning.lesson": Row("public", relation=f"the first lesson is open; the others for {_ENROLLED}, and instructors"),
    "learning.offline_lesson": Row("public", relation=f"the first lesson is open; the others for {_ENROLLED}, and instructors"),
    "learning.finish_lesson": Row("signed_in", relation=_ENROLLED, object="lesson", owner_gets=False),
    "learning.ask_to_join": Row("signed_in"),
    "learning.join": Row("signed_in", relation="seats left, and joining open"),
    "learning.leave": Row("signed_in", relation=_ENROLLED, object="seat", owner_gets=False),
    "learning.lab": Row("signed_in", relation="everybody sees the price"),
    "learning.launch": Row("signed_in", relation=f"{_ENROLLED}, while it runs", object="lab", owner_gets=False),
    "learning.notebook": Row("signed_in", relation=f"{_ENROLLED}, and instructors", object="lab"),
    "learning.run_list": Row("permission", permission=Permission.RUN_COURSES, relation=_LEADS),
    "learning.open_run": Row("permission", permission=Permission.RUN_COURSES),
    "learning.run": Row("permission", permission=Permission.RUN_COURSES, relation=_LEADS),
    "learning.set_joining": Row("permission", permission=Permission.RUN_COURSES, relation=_LEADS),
}


def _seat(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    run = learning.run(db, now=now)
    learning.learner(db, run.id, identity.person_by_id(db, owner), now=now)
    return {"run_id": run.id}


def _lesson(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    _seat(db, owner, now)
    return {"slug": learning.SLUG, "lesson_slug": learning.SECOND}


def _lab(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    _seat(db, owner, now)
    return {"slug": learning.SLUG, "lab_slug": learning.LAB}


OBJECTS = {"seat": _seat, "lesson": _lesson, "lab": _lab}
