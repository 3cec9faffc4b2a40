"""Jobs against a hub in memory: starts, stops, and the reconciler's look each minute."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from portal.compute.hub_gateway import HubRefused
from portal.compute.models import ComputeSession, HubWatch
from portal.compute.operations import sessions, starts
from portal.compute.states import SessionState, StopCause
from portal.core import jobs
from portal.core.jobs import JobContext
from portal.core.quantities import credits_ucr
from portal.credits import queries as ledger
from portal.credits import verify
from portal.identity.operations import people as people_operations
from tests.factories import compute as make
from tests.factories import credits as ledger_make
from tests.fakes.hub_gateway import FakeHub
from tests.queries import count_queries


@pytest.fixture
def work(run_jobs, hub: FakeHub):
    """Give a function that runs compute's waiting jobs with the fake hub."""

    def run(only: str | None = None) -> list[str]:
        return run_jobs(only=only, resources={"hub": hub, "render_mail": None, "carrier": None})

    return run


@pytest.fixture
def reconcile(session_maker, settings, hub: FakeHub):
    """Give the reconciler's look."""

    def run() -> None:
        context = JobContext(sessions=session_maker, settings=settings, resources={"hub": hub})
        jobs.REGISTRY["compute.reconcile"].function(context)

    return run


def started_up(db: Session, by: make.Spender, work, now: datetime, **more: object):
    """Request a session and run its start job; return its id and what the plug-in sees."""
    session_id = make.requested(db, by, now=now, **more)
    db.commit()
    work("compute.start_session")
    plugin = make.Plugin(session_id, begins_at=now)
    make.deliver(db, [plugin.started()], now=now)
    db.commit()
    return session_id, plugin


def free(db: Session, by: make.Spender, now: datetime) -> tuple[int, int]:
    balance = ledger.balance(db, by.wallet_id, now=now)
    return balance.balance_ucr, balance.held_ucr


def assert_sound(db: Session) -> None:
    """Assert that every invariant of the ledger holds."""
    assert [result for result in verify.run(db) if result.first_bad is not None] == []


def test_a_start_makes_the_user_starts_the_server_and_is_ready(db: Session, now: datetime, at, hub: FakeHub, work) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    db.commit()

    work("compute.start_session")

    row = make.row_of(db, session_id)
    assert (row.state, row.redeemed_at, row.ready_at) == ("running", now, now)
    assert hub.users == {ada.person.slug}
    assert set(hub.running) == {(ada.person.slug, row.slug)}


def test_a_slow_start_is_looked_at_until_it_answers(db: Session, now: datetime, at, hub: FakeHub, work) -> None:
    ada = make.spender(db, now=now)
    hub.slow_for = 4
    session_id = make.requested(db, ada, now=now)
    db.commit()

    work("compute.start_session")
    assert make.row_of(db, session_id).ready_at is None
    assert work("compute.watch_start") == ["compute.watch_start"] * 4

    assert make.row_of(db, session_id).ready_at == now


def test_f28_two_start_jobs_start_one_server(db: Session, now: datetime, at, hub: FakeHub, work) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    jobs.enqueue(db, "compute.start_session", session_id=str(session_id))
    db.commit()

    assert work("compute.start_session") == ["compute.start_session"] * 2

    assert len(hub.tickets) == 1


def test_hub_away_at_launch_is_tried_again_then_costs_nothing(db: Session, now: datetime, at, hub: FakeHub, work) -> None:
    ada = make.spender(db, now=now)
    hub.is_away = True
    session_id = make.requested(db, ada, now=now)
    db.commit()

    assert work("compute.start_session") == ["compute.start_session"] * 5

    row = make.row_of(db, session_id)
    assert (row.state, row.failure, row.proven_s) == ("failed", "hub_away", 0)
    assert free(db, ada, now) == (credits_ucr(100), 0)
    assert_sound(db)


def test_hub_back_after_two_attempts_starts_once(db: Session, now: datetime, at, hub: FakeHub, work) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    db.commit()
    calls = iter([True, True, False])
    hub.is_away = True
    original = hub.ensure_user

    def ensure_user(username: str) -> None:
        hub.is_away = next(calls)
        original(username)

    hub.ensure_user = ensure_user  # type: ignore[method-assign]

    work("compute.start_session")

    row = make.row_of(db, session_id)
    assert (row.state, row.start_attempts, len(hub.running)) == ("running", 3, 1)


def test_f34_a_spawn_that_fails_20_times_leaves_the_balance_as_it_was(db: Session, now: datetime, at, hub: FakeHub, work) -> None:
    ada = make.spender(db, now=now)

    def fail(username: str, server: str, ticket: str) -> None:
        raise HubRefused(500, "the spawner broke")

    hub.on_start = fail
    for _ in range(20):
        make.requested(db, ada, now=now)
        db.commit()
        work("compute.start_session")

    states = db.execute(select(ComputeSession.state, ComputeSession.failure).where(ComputeSession.person_id == ada.person.id)).all()
    assert states == [("failed", "hub_refused")] * 20
    assert free(db, ada, now) == (credits_ucr(100), 0)
    with pytest.raises(sessions.TooManyStarts):
        make.requested(db, ada, now=now)
    assert_sound(db)


def test_a_spawn_that_fails_after_its_process_began_costs_nothing(db: Session, now: datetime, at, hub: FakeHub, work) -> None:
    ada = make.spender(db, now=now)
    redeem = hub.on_start
    session_id = make.requested(db, ada, now=now)
    db.commit()

    def crash(username: str, server: str, ticket: str) -> None:
        assert redeem is not None
        redeem(username, server, ticket)
        plugin = make.Plugin(session_id, begins_at=now)
        make.deliver(db, [plugin.started()], now=now)
        db.commit()
        raise HubRefused(500, "the server did not answer")

    hub.on_start = crash
    work("compute.start_session")

    assert (make.row_of(db, session_id).state, make.row_of(db, session_id).failure) == ("failed", "hub_refused")
    assert free(db, ada, now) == (credits_ucr(100), 0)
    assert_sound(db)


def test_f03_a_start_whose_job_died_is_given_back(db: Session, now: datetime, at, hub: FakeHub, reconcile) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    db.commit()

    at.move_to(now + timedelta(seconds=170))
    reconcile()
    assert make.row_of(db, session_id).state == "requested"
    at.move_to(now + timedelta(seconds=200))
    reconcile()

    assert make.row_of(db, session_id).state == "failed"
    assert free(db, ada, now + timedelta(seconds=200)) == (credits_ucr(100), 0)
    assert_sound(db)


def test_f03_a_ticket_spent_without_a_server_is_given_back_once_the_hub_says_so(db: Session, now: datetime, at, hub: FakeHub, reconcile) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    make.started(db, session_id, now=now, is_ready=False)
    db.commit()

    for minute in range(1, 7):
        at.move_to(now + timedelta(minutes=minute))
        reconcile()

    assert (make.row_of(db, session_id).state, make.row_of(db, session_id).failure) == ("failed", "did_not_start")
    assert free(db, ada, now + timedelta(minutes=6)) == (credits_ucr(100), 0)


def test_f03_with_the_hub_away_the_lease_runs_out_and_the_hold_comes_back(db: Session, now: datetime, at, hub: FakeHub, reconcile) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    make.started(db, session_id, now=now, is_ready=False)
    db.commit()
    hub.is_away = True

    for minute in range(1, 18):
        at.move_to(now + timedelta(minutes=minute))
        reconcile()

    assert make.row_of(db, session_id).state == "failed"
    assert free(db, ada, now + timedelta(minutes=17)) == (credits_ucr(100), 0)
    assert_sound(db)


def test_stop_ends_the_server_and_settles_when_its_exit_arrives(db: Session, now: datetime, at, hub: FakeHub, work) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = started_up(db, ada, work, now)
    at.move_to(now + timedelta(seconds=300))
    sessions.stop(db, session_id=session_id, by=ada.actor, now=now + timedelta(seconds=300), cause=StopCause.PERSON)
    db.commit()

    work("compute.stop_servers")
    assert hub.running == {}
    make.deliver(db, [plugin.exited(301)], now=now + timedelta(seconds=302))

    row = make.row_of(db, session_id)
    assert (row.state, row.stop_cause, row.proven_s) == ("stopped", "person", 301)
    assert free(db, ada, now + timedelta(hours=1)) == (credits_ucr(100) - credits_ucr(4) * 301 // 3600, 0)
    assert_sound(db)


def test_stop_with_the_hub_away_is_repeated_by_the_next_look(db: Session, now: datetime, at, hub: FakeHub, work, reconcile) -> None:
    ada = make.spender(db, now=now)
    session_id, _ = started_up(db, ada, work, now)
    hub.is_away = True
    sessions.stop(db, session_id=session_id, by=ada.actor, now=now, cause=StopCause.PERSON)
    db.commit()
    work("compute.stop_servers")
    assert len(hub.running) == 1

    hub.is_away = False
    reconcile()
    work("compute.stop_servers")

    assert hub.running == {}


def test_windows_roll_while_there_is_credit(db: Session, now: datetime, at, hub: FakeHub, work, reconcile) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = started_up(db, ada, work, now, duration_s=7200)

    for minute in range(1, 41):
        at.move_to(now + timedelta(minutes=minute))
        make.deliver(db, [plugin.seen(minute * 60)], now=now + timedelta(minutes=minute))
        db.commit()
        reconcile()

    cost = ledger.session_costs(db, [session_id], now=now + timedelta(minutes=40))[session_id]
    assert make.row_of(db, session_id).state == "running"
    assert cost.window_ends_at == now + timedelta(minutes=60)
    assert cost.cost_ucr == credits_ucr(4) * 2400 // 3600
    assert_sound(db)


def test_f33_when_credit_ends_the_person_is_warned_and_the_server_stops_within_the_window(
    db: Session, now: datetime, at, hub: FakeHub, work, reconcile
) -> None:
    ada = make.spender(db, now=now, balance=0)
    ledger_make.lot(db, ada.wallet_id, now=now, amount_ucr=credits_ucr(1))
    session_id, plugin = started_up(db, ada, work, now)

    for minute in range(1, 12):
        at.move_to(now + timedelta(minutes=minute))
        make.deliver(db, [plugin.seen(minute * 60)], now=now + timedelta(minutes=minute))
        db.commit()
        reconcile()
    assert make.row_of(db, session_id).credit_warned_at == now + timedelta(minutes=10)
    letters = db.execute(text("SELECT kind, context->>'project' FROM message")).all()
    assert letters == [("compute.credit_ending", "Darija speech")]
    due = db.execute(text("SELECT scheduled_at FROM procrastinate_jobs WHERE task_name = 'compute.stop_due' ORDER BY scheduled_at")).scalars().all()
    assert due[0] == now + timedelta(minutes=15, seconds=-12)

    at.move_to(due[0])
    jobs.REGISTRY["compute.stop_due"].function(JobContext(sessions=_maker(db), settings=None, resources={"hub": hub}))  # type: ignore[arg-type]
    work("compute.stop_servers")
    make.deliver(db, [plugin.exited(892)], now=now + timedelta(seconds=893))

    row = make.row_of(db, session_id)
    assert (row.state, row.stop_cause, row.proven_s) == ("stopped", "credit", 892)
    balance = ledger.balance(db, ada.wallet_id, now=now + timedelta(minutes=20))
    assert (balance.debt_ucr, balance.held_ucr, balance.free_ucr) == (0, 0, credits_ucr(1) - credits_ucr(4) * 892 // 3600)
    kinds = db.execute(text("SELECT kind FROM message ORDER BY queued_at, kind")).scalars().all()
    assert kinds == ["compute.credit_ending", "compute.session_ended_by_credit"]
    assert_sound(db)


def _maker(db: Session):
    from sqlalchemy.orm import sessionmaker

    return sessionmaker(db.get_bind(), expire_on_commit=False, join_transaction_mode="create_savepoint")


def test_credit_that_arrives_in_time_takes_the_warning_back(db: Session, now: datetime, at, hub: FakeHub, work, reconcile) -> None:
    ada = make.spender(db, now=now, balance=0)
    ledger_make.lot(db, ada.wallet_id, now=now, amount_ucr=credits_ucr(1))
    session_id, plugin = started_up(db, ada, work, now)
    for minute in (10, 11):
        at.move_to(now + timedelta(minutes=minute))
        make.deliver(db, [plugin.seen(minute * 60)], now=now + timedelta(minutes=minute))
        db.commit()
        reconcile()
        if minute == 10:
            ledger_make.lot(db, ada.wallet_id, now=now + timedelta(minutes=10), amount_ucr=credits_ucr(10))
            db.commit()

    at.move_to(now + timedelta(minutes=14, seconds=50))
    reconcile()

    row = make.row_of(db, session_id)
    assert (row.state, row.credit_warned_at) == ("running", None)


def test_a_session_stops_when_its_duration_is_over(db: Session, now: datetime, at, hub: FakeHub, work) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = started_up(db, ada, work, now, duration_s=600)
    due = db.execute(text("SELECT scheduled_at FROM procrastinate_jobs WHERE task_name = 'compute.stop_due'")).scalars().all()
    assert due == [now + timedelta(seconds=588)]

    at.move_to(now + timedelta(seconds=587))
    work("compute.stop_due")
    assert make.row_of(db, session_id).state == "running"
    jobs.enqueue(db, "compute.stop_due")
    db.commit()
    at.move_to(due[0])
    work("compute.stop_due")
    work("compute.stop_servers")
    make.deliver(db, [plugin.exited(590)], now=now + timedelta(seconds=590))

    row = make.row_of(db, session_id)
    assert (row.state, row.stop_cause, row.proven_s) == ("stopped", "duration", 590)


def test_f06_a_session_whose_server_vanished_is_billed_to_its_last_sight(db: Session, now: datetime, at, hub: FakeHub, work, reconcile) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = started_up(db, ada, work, now)
    make.deliver(db, [plugin.seen(120)], now=now + timedelta(seconds=120))
    db.commit()
    hub.running.clear()

    for minute in range(1, 7):
        at.move_to(now + timedelta(minutes=minute))
        reconcile()
    assert make.row_of(db, session_id).state == "running"
    at.move_to(now + timedelta(minutes=7, seconds=1))
    reconcile()

    row = make.row_of(db, session_id)
    assert (row.state, row.proven_s, row.ended_at) == ("lost", 120, now + timedelta(seconds=120))
    assert free(db, ada, now + timedelta(minutes=8)) == (credits_ucr(100) - credits_ucr(4) * 120 // 3600, 0)
    assert_sound(db)


def test_a_lost_session_whose_end_is_found_is_charged_to_its_end(db: Session, now: datetime, at, hub: FakeHub, work, reconcile) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = started_up(db, ada, work, now)
    hub.running.clear()
    for minute in range(1, 8):
        at.move_to(now + timedelta(minutes=minute))
        reconcile()
    assert make.row_of(db, session_id).state == "lost"

    make.deliver(db, [plugin.exited(240)], now=now + timedelta(minutes=8))

    row = make.row_of(db, session_id)
    assert (row.state, row.proven_s) == ("stopped", 240)
    assert free(db, ada, now + timedelta(minutes=8)) == (credits_ucr(100) - credits_ucr(4) * 240 // 3600, 0)
    assert_sound(db)


def test_f07_after_an_absence_of_the_portal_the_spool_gets_time_to_arrive(db: Session, now: datetime, at, hub: FakeHub, work, reconcile) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = started_up(db, ada, work, now, duration_s=12 * 3600)
    reconcile()
    later = now + timedelta(hours=1)
    at.move_to(later)
    reconcile()
    assert make.row_of(db, session_id).state in {"running", "stopping"}

    make.deliver(db, [plugin.seen(3000), plugin.exited(3300)], now=later)

    assert (make.row_of(db, session_id).state, make.row_of(db, session_id).proven_s) == ("stopped", 3300)
    assert_sound(db)


def test_a_server_without_a_session_is_stopped(db: Session, now: datetime, at, hub: FakeHub, work, reconcile) -> None:
    ada = make.spender(db, now=now)
    session_id, _ = started_up(db, ada, work, now)
    mine = (ada.person.slug, make.row_of(db, session_id).slug)
    hub.running |= {("u-99999", mine[1]): 0, (ada.person.slug, "s-99999"): 0, (ada.person.slug, ""): 0}

    reconcile()

    assert set(hub.running) == {mine}


def test_a47_a_server_without_evidence_is_stopped(db: Session, now: datetime, at, hub: FakeHub, work, reconcile) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = started_up(db, ada, work, now, duration_s=7200)
    for minute in range(1, 26):
        at.move_to(now + timedelta(minutes=minute))
        if minute <= 5:
            make.deliver(db, [plugin.seen(minute * 60)], now=now + timedelta(minutes=minute))
            db.commit()
        reconcile()

    row = make.row_of(db, session_id)
    assert (row.state, row.stop_cause, row.stop_asked_at) == ("stopping", "no_evidence", now + timedelta(minutes=20))


def test_with_the_hub_away_for_hours_unseen_sessions_are_settled(db: Session, now: datetime, at, hub: FakeHub, work, reconcile) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = started_up(db, ada, work, now, duration_s=12 * 3600)
    make.deliver(db, [plugin.seen(60)], now=now + timedelta(seconds=60))
    db.commit()
    hub.is_away = True

    at.move_to(now + timedelta(minutes=119))
    reconcile()
    assert make.row_of(db, session_id).state == "running"
    at.move_to(now + timedelta(minutes=122))
    reconcile()

    assert (make.row_of(db, session_id).state, make.row_of(db, session_id).proven_s) == ("lost", 60)
    assert_sound(db)


def test_f16_the_reconciler_twice_does_everything_once(db: Session, now: datetime, at, hub: FakeHub, work, reconcile) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = started_up(db, ada, work, now, duration_s=600)
    at.move_to(now + timedelta(seconds=595))
    make.deliver(db, [plugin.seen(595)], now=now + timedelta(seconds=595))
    db.commit()

    reconcile()
    first = db.execute(text("SELECT count(*) FROM audit_event WHERE subject_id = :id"), {"id": str(session_id)}).scalar_one()
    reconcile()

    assert db.execute(text("SELECT count(*) FROM audit_event WHERE subject_id = :id"), {"id": str(session_id)}).scalar_one() == first


def test_a_server_found_ready_by_the_reconciler_can_be_opened(db: Session, now: datetime, at, hub: FakeHub, reconcile) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    make.started(db, session_id, now=now, is_ready=False)
    db.commit()
    hub.running[ada.person.slug, make.row_of(db, session_id).slug] = 0

    reconcile()

    assert (make.row_of(db, session_id).state, make.row_of(db, session_id).ready_at) == ("running", now)


def test_a_suspended_person_is_not_started(db: Session, now: datetime, at, hub: FakeHub, work) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    people_operations.suspend(db, person_id=ada.person.id, by=make.TESTS, now=now)
    db.commit()

    work("compute.start_session")

    assert (make.row_of(db, session_id).failure, hub.tickets) == ("person_inactive", [])
    assert free(db, ada, now) == (credits_ucr(100), 0)


def test_the_hub_forgets_the_name_of_an_ended_session(db: Session, now: datetime, at, hub: FakeHub, work) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = started_up(db, ada, work, now)
    make.deliver(db, [plugin.exited(200)], now=now + timedelta(seconds=200))
    db.commit()

    work("compute.stop_servers")

    assert hub.stopped == [(ada.person.slug, make.row_of(db, session_id).slug)]


def test_note_look_begins_anew_after_a_gap(db: Session, now: datetime) -> None:
    from portal.compute.operations import watch

    for seconds, answered in ((0, True), (60, True), (120, False), (180, True), (900, True)):
        watch.note_look(db, did_answer=answered, now=now + timedelta(seconds=seconds))
        row = db.execute(select(HubWatch).execution_options(populate_existing=True)).scalar_one()
        if seconds == 60:
            assert (row.watching_since, row.answering_since) == (now, now)
        if seconds == 180:
            assert (row.watching_since, row.answering_since) == (now, now + timedelta(seconds=180))

    assert (row.watching_since, row.answering_since, row.answered_at) == (now + timedelta(seconds=900),) * 3


def test_a_look_costs_the_same_statements_for_one_session_and_for_three(db: Session, now: datetime, at, hub: FakeHub, work, reconcile) -> None:
    counts = []
    for number in (1, 2):
        for _ in range(number):
            make.small_pool(db, now=now, slices=8)
            started_up(db, make.spender(db, now=now), work, now)
        reconcile()
        with count_queries() as queries:
            reconcile()
        counts.append(len(queries))

    assert counts[0] == counts[1]


@pytest.mark.parametrize("state", [SessionState.STOPPED, SessionState.STOPPING, SessionState.FAILED])
def test_a_late_start_job_does_nothing(db: Session, now: datetime, at, hub: FakeHub, work, state: SessionState) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    if state is not SessionState.STOPPED:
        make.launched(db, session_id, now=now)
    if state is SessionState.FAILED:
        starts.give_up(db, session_id=session_id, failure=starts.Failure.HUB_REFUSED, by=make.TESTS, now=now)
    else:
        sessions.stop(db, session_id=session_id, by=ada.actor, now=now, cause=StopCause.PERSON)
    db.commit()

    work("compute.start_session")

    assert (make.row_of(db, session_id).state, hub.tickets) == (state.value, [])
