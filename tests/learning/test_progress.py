"""What people read counts once, belongs to them, and completes the course together with its labs."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core.errors import NotFound
from portal.learning import queries
from portal.learning.operations import enrolments, labs, progress
from portal.learning.states import EnrolmentState
from tests.factories import learning
from tests.factories.identity import person


def start(db: Session, now: datetime):
    run, amina = learning.run(db, now=now), person(db, now=now)
    return run, amina, learning.learner(db, run.id, amina, now=now)


def finish(db: Session, enrolment_id, amina, lesson: str, now: datetime) -> None:
    progress.finish_lesson(db, enrolment_id=enrolment_id, course=learning.course(), lesson=lesson, by=amina.actor, now=now)


def test_visit_is_noted_and_renewed_only_after_a_while(db: Session, now: datetime) -> None:
    _, _, enrolment_id = start(db, now)

    for minutes in (0, 5, 11):
        progress.visit(db, enrolment_id=enrolment_id, lesson=learning.FIRST, now=now + timedelta(minutes=minutes))
        seen = queries.standing_of(db, enrolment_id).read[learning.FIRST]
        assert seen == (now + timedelta(minutes=11) if minutes == 11 else now)

    assert queries.standing_of(db, enrolment_id).finished == {}


def test_first_reading_counts_and_keeps_the_revision(db: Session, now: datetime) -> None:
    _, amina, enrolment_id = start(db, now)
    progress.visit(db, enrolment_id=enrolment_id, lesson=learning.FIRST, now=now)

    finish(db, enrolment_id, amina, learning.FIRST, now + timedelta(minutes=3))
    finish(db, enrolment_id, amina, learning.FIRST, now + timedelta(minutes=9))

    standing = queries.standing_of(db, enrolment_id)
    assert standing.finished == {learning.FIRST: now + timedelta(minutes=3)}
    assert standing.progress(learning.course()).done == 1
    assert db.execute(text("SELECT revision FROM lesson_visit")).scalars().all() == [learning.course().revision]


def test_reading_belongs_to_the_person(db: Session, now: datetime) -> None:
    run, amina, enrolment_id = start(db, now)
    idriss = person(db, now=now)
    learning.learner(db, run.id, idriss, now=now)

    with pytest.raises(NotFound):
        finish(db, enrolment_id, idriss, learning.FIRST, now)
    with pytest.raises(NotFound):
        finish(db, enrolment_id, amina, "no-such-lesson", now)
    enrolments.leave(db, run_id=run.id, by=amina.actor, now=now)
    with pytest.raises(NotFound):
        finish(db, enrolment_id, amina, learning.FIRST, now)

    assert queries.standing_of(db, enrolment_id).finished == {}


def test_course_is_complete_with_every_lesson_read_and_a_session_of_every_lab(db: Session, now: datetime, run_jobs) -> None:
    learning.local_pool(db, now=now)
    run, amina, enrolment_id = start(db, now)
    finish(db, enrolment_id, amina, learning.FIRST, now)
    finish(db, enrolment_id, amina, learning.SECOND, now)
    session_id = labs.launch(db, enrolment_id=enrolment_id, course=learning.course(), lab_slug=learning.LAB, language="en", by=amina.actor, now=now)

    def complete() -> bool:
        return progress.complete_if_through(db, enrolment_id=enrolment_id, course=learning.course(), by=amina.actor, now=now)

    assert complete() is False  # asked for, but it never ran
    db.execute(text("UPDATE compute_session SET started_at = :now WHERE id = :id"), {"now": now, "id": session_id})
    assert queries.standing_of(db, enrolment_id).progress(learning.course()).is_complete
    assert complete() is True
    assert complete() is False
    place = queries.place_in(db, run.course_id, actor=amina.actor, now=now)
    assert place is not None
    assert place.state is EnrolmentState.COMPLETED
    with pytest.raises(enrolments.AlreadyCompleted):
        enrolments.leave(db, run_id=run.id, by=amina.actor, now=now)
    acts = db.execute(text("SELECT action FROM audit_event WHERE subject_kind = 'enrolment'")).scalars().all()
    assert acts == ["completed"]


def test_end_of_the_lab_s_session_completes_the_course(db: Session, now: datetime, settings) -> None:
    from portal.core.jobs import REGISTRY, JobContext

    learning.local_pool(db, now=now)
    run, amina, enrolment_id = start(db, now)
    finish(db, enrolment_id, amina, learning.FIRST, now)
    finish(db, enrolment_id, amina, learning.SECOND, now)
    session_id = labs.launch(db, enrolment_id=enrolment_id, course=learning.course(), lab_slug=learning.LAB, language="en", by=amina.actor, now=now)
    db.execute(text("UPDATE compute_session SET started_at = :now WHERE id = :id"), {"now": now, "id": session_id})

    class Same:
        """Hands the test's own session to the job."""

        def __call__(self):
            return self

        def __enter__(self):
            return db

        def __exit__(self, *_):
            return None

    class Context(JobContext):
        def transaction(self):  # type: ignore[override]
            return Same()

    ended = REGISTRY["learning.session_ended"].function
    ended(Context(sessions=None, settings=settings), subject_id=str(run.id), fact_id="x")  # a session of nobody's lab
    ended(Context(sessions=None, settings=settings), subject_id=str(session_id), fact_id="x", person_id="y")

    place = queries.place_in(db, run.course_id, actor=amina.actor, now=now)
    assert place is not None
    assert place.state is EnrolmentState.COMPLETED
