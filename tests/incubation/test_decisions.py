"""Decisions and awards: prepared, released once, within seats and budgets; all of it or nothing."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from portal.core import clock, database
from portal.core.access import Role
from portal.core.errors import DomainError
from portal.core.quantities import credits_ucr
from portal.core.states import WrongState
from portal.credits import verify
from portal.credits.operations.grants import OverBudget
from portal.incubation.operations import decisions
from portal.incubation.queries import applications as queries
from portal.incubation.states import Outcome
from portal.projects import queries as project_queries
from tests.conftest import RunJobs
from tests.factories import identity as people
from tests.factories import incubation as make
from tests.incubation.browser import tokens


@pytest.fixture
def now() -> datetime:
    return clock.now()


@pytest.fixture
def world(db: Session, now: datetime) -> make.CallWorld:
    return make.call(db, now=now)


@pytest.fixture
def lead(db: Session, now: datetime) -> people.PersonCard:
    return people.person(db, language="fr", now=now)


def count(db: Session, table: str) -> int:
    return db.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


def state_of(db: Session, number: int) -> str:
    return db.execute(text("SELECT state FROM program_application WHERE number = :n"), {"n": number}).scalar_one()


def test_release_admits_grants_and_writes_in_one_act(db: Session, world: make.CallWorld, lead: people.PersonCard, now: datetime, run_jobs: RunJobs) -> None:
    number = make.reviewed(db, world, lead, now=now)
    decision = make.prepared(db, world, number, now=now, awarded=200)

    decisions.release(db, decision_ids=[decision], by=world.staff.actor, now=now)
    db.commit()

    assert state_of(db, number) == "accepted"
    [project] = project_queries.projects_of(db, lead.id)
    assert (project.kind, project.name, project.role) == ("venture", "Vine Watch", "lead")
    lot = db.execute(text("SELECT issued_ucr, fund_id, expires_at FROM lot")).one()
    assert (lot.issued_ucr, lot.fund_id, lot.expires_at) == (credits_ucr(200), world.fund_id, now + timedelta(days=365))
    card = queries.decision_of(db, make.id_of(db, number), is_released=True)
    assert (card.asked_ucr, card.awarded_ucr, card.lines[0].why) == (credits_ucr(320), credits_ucr(200), "A smaller first step.")
    assert db.execute(text("SELECT count(*) FROM fact WHERE name = 'incubation.venture_admitted'")).scalar_one() == 1
    run_jobs(only="notifications.deliver")
    letter = db.execute(text("SELECT subject, body, language FROM message WHERE kind = 'incubation.decision_accepted'")).one()
    assert letter.language == "fr"
    assert "200,00" in letter.body
    assert "A clear need and measured results." in letter.body


@pytest.mark.parametrize(("outcome", "state"), [(Outcome.DECLINE, "declined"), (Outcome.WAITLIST, "waitlisted")])
def test_other_outcomes_move_the_state_and_write_but_give_nothing(
    db: Session, world: make.CallWorld, lead: people.PersonCard, now: datetime, outcome: Outcome, state: str
) -> None:
    number = make.reviewed(db, world, lead, now=now)

    decisions.release(db, decision_ids=[make.prepared(db, world, number, now=now, outcome=outcome)], by=world.staff.actor, now=now)

    assert state_of(db, number) == state
    assert (count(db, "venture"), count(db, "lot")) == (0, 0)
    assert db.execute(text("SELECT kind FROM message WHERE kind LIKE 'incubation.decision%'")).scalar_one() == f"incubation.decision_{state}"


def test_a_waiting_application_can_be_accepted_later(db: Session, world: make.CallWorld, lead: people.PersonCard, now: datetime) -> None:
    number = make.reviewed(db, world, lead, now=now)
    decisions.release(db, decision_ids=[make.prepared(db, world, number, now=now, outcome=Outcome.WAITLIST)], by=world.staff.actor, now=now)

    later = now + timedelta(days=3)
    decisions.release(db, decision_ids=[make.prepared(db, world, number, now=later)], by=world.staff.actor, now=later)

    assert state_of(db, number) == "accepted"
    assert queries.decision_of(db, make.id_of(db, number), is_released=True).outcome is Outcome.ACCEPT


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"reason": "  "}, decisions.ReasonMissing),
        ({"awarded_ucr": credits_ucr(321)}, decisions.AwardTooLarge),
        ({"awarded_ucr": -1}, decisions.AwardTooLarge),
        ({"awarded_ucr": credits_ucr(10), "why": ""}, decisions.CutNeedsReason),
        ({"credits_expire_at": None}, decisions.ExpiryNeeded),
        ({"credits_expire_at": datetime(2020, 1, 1, tzinfo=UTC)}, decisions.ExpiryNeeded),
        ({"venture_name": ""}, decisions.NameNeeded),
        ({"venture_name": "n" * 201}, decisions.NameNeeded),
    ],
)
def test_a_decision_that_says_too_little_is_not_prepared(
    db: Session, world: make.CallWorld, lead: people.PersonCard, now: datetime, change: dict[str, object], refused: type[DomainError]
) -> None:
    number = make.reviewed(db, world, lead, now=now)

    with pytest.raises(refused):
        make.prepared(db, world, number, now=now, **change)
    assert count(db, "decision") == 0


def test_preparing_again_replaces_what_was_prepared(db: Session, world: make.CallWorld, lead: people.PersonCard, now: datetime) -> None:
    number = make.reviewed(db, world, lead, now=now)
    old = make.prepared(db, world, number, now=now)

    make.prepared(db, world, number, now=now, outcome=Outcome.DECLINE)

    assert queries.decision_of(db, make.id_of(db, number), is_released=False).outcome is Outcome.DECLINE
    with pytest.raises(decisions.NotFound):
        decisions.release(db, decision_ids=[old], by=world.staff.actor, now=now)


def test_release_waits_for_the_reviews(db: Session, world: make.CallWorld, lead: people.PersonCard, now: datetime) -> None:
    number = make.application(db, world, lead, now=now)
    one, two = make.reviewer(db, now=now), make.reviewer(db, now=now)
    first, _ = make.in_review(db, world, number, [one, two], now=now)
    make.sent_review(db, first, one, now=now)
    decision = make.prepared(db, world, number, now=now)

    with pytest.raises(decisions.ReviewsMissing) as refused:
        decisions.release(db, decision_ids=[decision], by=world.staff.actor, now=now)
    assert refused.value.params == {"sent": 1, "needed": 2}


def test_release_happens_once(db: Session, world: make.CallWorld, lead: people.PersonCard, now: datetime) -> None:
    decision = make.prepared(db, world, make.reviewed(db, world, lead, now=now), now=now)
    decisions.release(db, decision_ids=[decision], by=world.staff.actor, now=now)

    with pytest.raises(decisions.AlreadyReleased):
        decisions.release(db, decision_ids=[decision], by=world.staff.actor, now=now)
    assert (count(db, "venture"), count(db, "lot")) == (1, 1)


def test_a_withdrawn_application_gets_no_decision(db: Session, world: make.CallWorld, lead: people.PersonCard, now: datetime) -> None:
    number = make.reviewed(db, world, lead, now=now)
    decision = make.prepared(db, world, number, now=now)
    make.applications.withdraw(db, number=number, by=lead.actor, now=now)

    with pytest.raises(WrongState):
        decisions.release(db, decision_ids=[decision], by=world.staff.actor, now=now)


def test_seats_are_not_passed(db: Session, now: datetime) -> None:
    world = make.call(db, now=now, seats=1)
    both = [make.prepared(db, world, make.reviewed(db, world, people.person(db, now=now), now=now), now=now) for _ in range(2)]
    decisions.release(db, decision_ids=both[:1], by=world.staff.actor, now=now)

    with pytest.raises(decisions.SeatsTaken):
        decisions.release(db, decision_ids=both[1:], by=world.staff.actor, now=now)


def test_the_calls_budget_is_not_passed_and_a_batch_is_all_or_nothing(db: Session, now: datetime) -> None:
    world = make.call(db, now=now, budget=500)
    both = [make.prepared(db, world, make.reviewed(db, world, people.person(db, now=now), now=now), now=now) for _ in range(2)]

    with pytest.raises(decisions.CallBudgetPassed) as refused, db.begin_nested():
        decisions.release(db, decision_ids=both, by=world.staff.actor, now=now)

    assert refused.value.params == {"left": 180}
    assert (count(db, "venture"), count(db, "lot"), count(db, "wallet")) == (0, 0, 0)


def test_the_funds_budget_is_not_passed_and_nothing_stays(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now, fund_budget=300)
    number = make.reviewed(db, world, people.person(db, now=now), now=now)
    decision = make.prepared(db, world, number, now=now)
    db.commit()

    with pytest.raises(OverBudget), db.begin_nested():
        decisions.release(db, decision_ids=[decision], by=world.staff.actor, now=now)
    people.sign_in(client, world.staff)
    shown = client.post(f"/programme/applications/{number}/release", data=tokens(client) | {"decision": str(decision)}, follow_redirects=True)

    assert "The fund has" in shown.text
    assert state_of(db, number) == "in_review"
    assert (count(db, "venture"), count(db, "project"), count(db, "lot")) == (0, 0, 0)
    assert count(db, "message WHERE kind LIKE 'incubation.decision%'") == 0


def test_a27_a_large_award_takes_a_second_person(db: Session, now: datetime) -> None:
    form = make.defaults.FORM | {"questions": [one | ({"most": 9000} if one["key"] == "gpu_credits" else {}) for one in make.defaults.FORM["questions"]]}
    world = make.call(db, now=now, form=form)
    number = make.reviewed(db, world, people.person(db, now=now), now=now, gpu_credits="6000")
    decision = make.prepared(db, world, number, now=now, awarded=5001)

    with pytest.raises(decisions.SecondPersonNeeded), db.begin_nested():
        decisions.release(db, decision_ids=[decision], by=world.staff.actor, now=now)
    second = people.person(db, roles=[Role.STAFF], now=now)
    decisions.release(db, decision_ids=[decision], by=second.actor, now=now)

    assert db.execute(text("SELECT issued_ucr FROM lot")).scalar_one() == credits_ucr(5001)


def test_a_released_decision_never_changes(db: Session, world: make.CallWorld, lead: people.PersonCard, now: datetime) -> None:
    decision = make.prepared(db, world, make.reviewed(db, world, lead, now=now), now=now)
    decisions.release(db, decision_ids=[decision], by=world.staff.actor, now=now)

    for statement in ("UPDATE decision SET reason = 'x'", "DELETE FROM decision", "UPDATE award_line SET why = 'x'", "DELETE FROM award_line"):
        with pytest.raises(IntegrityError), db.begin_nested():
            db.execute(text(statement))


def test_an_award_of_nothing_admits_without_credits(db: Session, world: make.CallWorld, lead: people.PersonCard, now: datetime) -> None:
    number = make.reviewed(db, world, lead, now=now)
    decisions.release(db, decision_ids=[make.prepared(db, world, number, now=now, awarded=0)], by=world.staff.actor, now=now)

    assert (count(db, "venture"), count(db, "wallet"), count(db, "lot")) == (1, 1, 0)


def race(sessions: sessionmaker[Session], ids: list[object], staff: people.PersonCard, now: datetime) -> list[object]:
    """Release each decision on a connection of its own, all at once; return what came of each."""
    outcomes: list[object] = [None] * len(ids)
    barrier = threading.Barrier(len(ids))

    def one(index: int) -> None:
        barrier.wait()
        try:
            with database.transaction(sessions) as db:
                decisions.release(db, decision_ids=[ids[index]], by=staff.actor, now=now)
            outcomes[index] = "released"
        except DomainError as error:
            outcomes[index] = type(error)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(ids))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_f38_two_calls_release_the_last_budget_of_one_fund_and_one_succeeds(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with database.transaction(own_sessions) as db:
        first = make.call(db, now=now, fund_budget=500)
        second = make.call(db, now=now, fund_id=first.fund_id, staff=first.staff)
        ids = [make.prepared(db, one, make.reviewed(db, one, people.person(db, now=now), now=now), now=now) for one in (first, second)]

    outcomes = race(own_sessions, ids, first.staff, now)

    assert sorted(map(str, outcomes)) == sorted(["released", str(OverBudget)])
    with database.transaction(own_sessions) as db:
        assert (count(db, "lot"), count(db, "venture"), count(db, "project")) == (1, 1, 1)
        assert [result.name for result in verify.run(db) if result.first_bad] == []


def test_two_releases_of_the_last_seat_and_one_succeeds(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with database.transaction(own_sessions) as db:
        world = make.call(db, now=now, seats=1)
        ids = [make.prepared(db, world, make.reviewed(db, world, people.person(db, now=now), now=now), now=now) for _ in range(2)]

    outcomes = race(own_sessions, ids, world.staff, now)

    assert sorted(map(str, outcomes)) == sorted(["released", str(decisions.SeatsTaken)])


def test_one_decision_released_by_two_people_at_once_has_one_effect(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with database.transaction(own_sessions) as db:
        world = make.call(db, now=now)
        decision = make.prepared(db, world, make.reviewed(db, world, people.person(db, now=now), now=now), now=now)

    outcomes = race(own_sessions, [decision, decision, decision], world.staff, now)

    assert outcomes.count("released") == 1
    assert outcomes.count(decisions.AlreadyReleased) == 2
    with database.transaction(own_sessions) as db:
        assert (count(db, "lot"), count(db, "venture")) == (1, 1)
