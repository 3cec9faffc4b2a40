"""Runs and seats: who may open a run, who gets the last seat, and what leaving and coming back keep."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from portal.core.access import Role
from portal.core.errors import NotFound, Refused
from portal.credits import queries as credit_queries
from portal.learning import queries
from portal.learning.operations import enrolments, runs
from portal.learning.rules import RunPhase
from portal.learning.states import EnrolmentState
from portal.projects import queries as projects
from portal.projects.states import MemberRole
from tests.factories import learning
from tests.factories.identity import person


def test_run_opens_with_project_and_empty_wallet(db: Session, now: datetime) -> None:
    teacher = person(db, roles=[Role.INSTRUCTOR], now=now)

    run = learning.run(db, by=teacher.actor, now=now, credits_given=0)

    assert (run.taken, run.capacity, run.seats_left, run.phase) == (0, 30, 30, RunPhase.RUNNING)
    assert run.title == learning.course().title
    assert projects.require_member(db, run.project_id, teacher.actor, MemberRole.LEAD) is MemberRole.LEAD
    assert credit_queries.balance(db, credit_queries.wallet_of_project(db, run.project_id), now=now).balance_ucr == 0


@pytest.mark.parametrize("roles", [[], [Role.REVIEWER], [Role.FINANCE]])
def test_run_is_not_opened_by_others(db: Session, now: datetime, roles: list[Role]) -> None:
    stranger = person(db, roles=roles, now=now)

    with pytest.raises(Refused):
        learning.run(db, by=stranger.actor, now=now)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [((1, -1, "en"), runs.EndsBeforeItStarts), ((1, 0, "en"), runs.EndsBeforeItStarts), ((-9, 3, "en"), runs.IsOver), ((1, 3, "de"), runs.NotInThisLanguage)],
)
def test_run_with_wrong_dates_or_language_is_refused(db: Session, now: datetime, wrong: tuple[int, int, str], error) -> None:
    starts_in_days, days, language = wrong
    starts_at = now + timedelta(days=starts_in_days)

    with pytest.raises(error):
        runs.open(
            db,
            course=learning.course(),
            starts_at=starts_at,
            ends_at=starts_at + timedelta(days=days),
            capacity=1,
            language=language,
            by=learning.TESTS,
            now=now,
        )


def test_seat_makes_a_learner_and_a_fact_once(db: Session, now: datetime) -> None:
    run, amina = learning.run(db, now=now), person(db, now=now)

    first = learning.learner(db, run.id, amina, now=now)
    again = learning.learner(db, run.id, amina, now=now)

    assert first == again
    assert projects.require_member(db, run.project_id, amina.actor) is MemberRole.LEARNER
    facts = db.execute(text("SELECT subject_id, payload FROM fact WHERE name = 'learning.person_enrolled'")).all()
    assert [(row.subject_id, row.payload) for row in facts] == [(str(first), {"run_id": str(run.id), "person_id": str(amina.id)})]
    assert queries.run_by_id(db, run.id, now=now).taken == 1


def test_full_closed_and_past_runs_take_nobody(db: Session, now: datetime) -> None:
    amina, idriss = person(db, now=now), person(db, now=now)
    full = learning.run(db, now=now, capacity=1)
    learning.learner(db, full.id, amina, now=now)
    with pytest.raises(enrolments.RunFull):
        learning.learner(db, full.id, idriss, now=now)

    closed = learning.run(db, now=now)
    runs.close_joining(db, run_id=closed.id, by=learning.TESTS, now=now)
    with pytest.raises(enrolments.JoiningClosed):
        learning.learner(db, closed.id, idriss, now=now)
    with pytest.raises(runs.RunChanged):
        runs.close_joining(db, run_id=closed.id, by=learning.TESTS, now=now)
    runs.open_joining(db, run_id=closed.id, by=learning.TESTS, now=now)
    learning.learner(db, closed.id, idriss, now=now)

    over = learning.run(db, now=now)
    with pytest.raises(enrolments.JoiningClosed):
        learning.learner(db, over.id, idriss, now=now + timedelta(days=40))


def test_who_leads_a_run_takes_no_seat_in_it(db: Session, now: datetime) -> None:
    teacher = person(db, roles=[Role.INSTRUCTOR], now=now)
    run = learning.run(db, by=teacher.actor, now=now)

    with pytest.raises(enrolments.LeadsTheRun):
        learning.learner(db, run.id, teacher, now=now)

    assert projects.require_member(db, run.project_id, teacher.actor) is MemberRole.LEAD


def test_leaving_frees_the_seat_and_coming_back_keeps_the_enrolment(db: Session, now: datetime) -> None:
    run = learning.run(db, now=now, capacity=1)
    amina, idriss = person(db, now=now), person(db, now=now)
    first = learning.learner(db, run.id, amina, now=now)

    enrolments.leave(db, run_id=run.id, by=amina.actor, now=now)

    assert queries.place_in(db, run.course_id, actor=amina.actor, now=now) is None
    with pytest.raises(NotFound):
        projects.require_member(db, run.project_id, amina.actor)
    with pytest.raises(enrolments.NotEnrolled):
        enrolments.leave(db, run_id=run.id, by=amina.actor, now=now)
    learning.learner(db, run.id, idriss, now=now)
    with pytest.raises(enrolments.RunFull):
        learning.learner(db, run.id, amina, now=now)
    enrolments.leave(db, run_id=run.id, by=idriss.actor, now=now)
    assert learning.learner(db, run.id, amina, now=now) == first
    place = queries.place_in(db, run.course_id, actor=amina.actor, now=now)
    assert place is not None
    assert place.state is EnrolmentState.ENROLLED
    assert place.joined_at == now


def test_unknown_run_is_not_found(db: Session, now: datetime) -> None:
    amina = person(db, now=now)
    with pytest.raises(NotFound):
        learning.learner(db, amina.id, amina, now=now)


def test_last_seats_go_to_as_many_as_there_are(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with own_sessions.begin() as db:
        run = learning.run(db, now=now, capacity=2)
        people = [person(db, now=now) for _ in range(6)]
    barrier, outcomes = threading.Barrier(len(people)), []

    def take(somebody) -> None:
        barrier.wait()
        try:
            with own_sessions.begin() as db:
                learning.learner(db, run.id, somebody, now=now)
            outcomes.append("seat")
        except enrolments.RunFull:
            outcomes.append("full")

    threads = [threading.Thread(target=take, args=(somebody,)) for somebody in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(outcomes) == ["full"] * 4 + ["seat"] * 2
    with own_sessions() as db:
        assert queries.run_by_id(db, run.id, now=now).taken == 2
        assert projects.count_members(db, run.project_id) == 2


def test_same_person_twice_at_once_is_one_seat(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with own_sessions.begin() as db:
        run, amina = learning.run(db, now=now), person(db, now=now)
    barrier, seats = threading.Barrier(4), []

    def take() -> None:
        barrier.wait()
        with own_sessions.begin() as db:
            seats.append(learning.learner(db, run.id, amina, now=now))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(seats) == 4
    assert len(set(seats)) == 1
    with own_sessions() as db:
        assert queries.run_by_id(db, run.id, now=now).taken == 1


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE enrolment SET state = 'left'",
        "UPDATE enrolment SET state = 'gone'",
        "UPDATE enrolment SET completed_at = now()",
        "UPDATE course_run SET ends_at = starts_at",
        "UPDATE course_run SET capacity = 0",
        "UPDATE course_run SET is_open = false",
        "INSERT INTO enrolment (id, run_id, person_id, state, joined_at) SELECT gen_random_uuid(), run_id, person_id, state, joined_at FROM enrolment",
        "UPDATE lesson_visit SET finished_at = now()",
        "UPDATE lesson_visit SET last_read_at = first_read_at - interval '1 second'",
    ],
)
def test_database_refuses(db: Session, now: datetime, change: str) -> None:
    run, amina = learning.run(db, now=now), person(db, now=now)
    enrolment_id = learning.learner(db, run.id, amina, now=now)
    db.execute(
        text("INSERT INTO lesson_visit (enrolment_id, lesson, first_read_at, last_read_at) VALUES (:id, 'x', :now, :now)"), {"id": enrolment_id, "now": now}
    )

    with pytest.raises(IntegrityError), db.begin_nested():
        db.execute(text(change))


def test_next_run_is_one_with_seats_and_the_earliest(db: Session, now: datetime) -> None:
    full = learning.run(db, now=now, capacity=1)
    learning.learner(db, full.id, person(db, now=now), now=now)
    later, sooner = learning.run(db, now=now, starts_in_days=20), learning.run(db, now=now, starts_in_days=10)
    closed = learning.run(db, now=now, starts_in_days=5)
    runs.close_joining(db, run_id=closed.id, by=learning.TESTS, now=now)

    assert queries.next_runs(db, [full.course_id], now=now)[full.course_id].id == sooner.id
    assert queries.next_runs(db, [full.course_id], now=now + timedelta(days=45))[full.course_id].id == later.id
    assert queries.next_runs(db, [full.course_id], now=now + timedelta(days=90)) == {}
