"""The queue: places, admission by the decision, credits held at admission alone, nobody given what another has."""

import threading
import uuid
from datetime import datetime, timedelta

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, sessionmaker

from portal.compute import waits as waits_module
from portal.compute.models import ComputeSession, DeviceHold
from portal.compute.operations import promises, sessions, waiting, watch
from portal.compute.operations.waiting import NoMachine
from portal.compute.queries import promises as promise_reads
from portal.compute.queries import waiting as reads
from portal.compute.rules import admission
from portal.compute.states import SessionState, StopCause
from portal.core.access import Role
from portal.core.quantities import credits_ucr
from portal.credits import queries as ledger
from portal.credits import verify
from portal.credits.operations import revocations
from portal.credits.operations.meters import NoCredit
from tests.compute.test_pool import maintain, set_quota, slug_of
from tests.conftest import RunJobs
from tests.factories import compute as make
from tests.factories import identity as people
from tests.queries import count_queries

FULL = "h100-full"
HOUR = timedelta(hours=1)
Sessions = sessionmaker[Session]


def state(db: Session, session_id: uuid.UUID) -> SessionState:
    return SessionState(make.row_of(db, session_id).state)


def held(db: Session, by: make.Spender, now: datetime) -> int:
    return ledger.balance(db, by.wallet_id, now=now).held_ucr


def ended(db: Session, session_id: uuid.UUID, now: datetime) -> None:
    """Let a session that has just been requested be cancelled, which frees its device."""
    row = make.row_of(db, session_id)
    sessions.stop_rows(db, [row], by=make.TESTS, now=now, cause=StopCause.STAFF)


def kinds(db: Session) -> list[str]:
    return list(db.execute(text("SELECT kind FROM message ORDER BY id")).scalars())


def sound(db: Session, now: datetime) -> None:
    assert [result.first_bad for result in verify.run(db, now=now) if not result.holds] == []


def test_who_comes_when_all_is_held_waits_with_a_promise_and_holds_nothing(db: Session, now: datetime) -> None:
    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    make.requested(db, ada, now=now, profile=FULL, duration_s=7200)
    waits = make.requested(db, ben, now=now, profile=FULL)
    row = make.row_of(db, waits)
    assert row.state == SessionState.QUEUED
    assert held(db, ben, now) == 0
    assert row.half_by is not None
    assert row.most_by is not None
    assert now <= row.half_by <= row.most_by <= now + timedelta(seconds=7200)
    assert db.execute(select(func.count()).select_from(DeviceHold)).scalar_one() == 1
    sound(db, now)


def test_a_device_that_falls_free_goes_to_whoever_is_next(db: Session, run_jobs: RunJobs, now: datetime) -> None:
    ada, ben, eve = (make.spender(db, now=now) for _ in range(3))
    first = make.requested(db, ada, now=now, profile=FULL)
    second = make.requested(db, ben, now=now + timedelta(seconds=1), profile=FULL)
    third = make.requested(db, eve, now=now + timedelta(seconds=2), profile=FULL)
    ended(db, first, now + timedelta(minutes=1))
    db.commit()
    assert "compute.admit" in run_jobs(only="compute.admit")
    db.expire_all()
    assert (state(db, second), state(db, third)) == (SessionState.REQUESTED, SessionState.QUEUED)
    assert held(db, ben, now + timedelta(minutes=1)) == credits_ucr(7)
    assert held(db, eve, now + timedelta(minutes=1)) == 0
    assert make.row_of(db, second).admitted_at is not None
    assert kinds(db) == ["compute.queue_over"]
    sound(db, now + timedelta(minutes=1))


def test_leaving_the_queue_costs_nothing_and_can_be_done_twice(db: Session, now: datetime) -> None:
    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    make.requested(db, ada, now=now, profile=FULL)
    waits = make.requested(db, ben, now=now, profile=FULL)
    for _ in range(2):
        sessions.stop(db, session_id=waits, by=ben.actor, now=now, cause=StopCause.PERSON)
    assert state(db, waits) is SessionState.STOPPED
    assert held(db, ben, now) == 0
    assert make.requested(db, ben, now=now, profile="h100-slice-10"), "a failed choice never blocks the next start"
    sound(db, now)


def test_whoever_cannot_pay_at_admission_leaves_and_the_next_one_starts(db: Session, now: datetime) -> None:
    ada, ben, eve = (make.spender(db, now=now) for _ in range(3))
    first = make.requested(db, ada, now=now, profile=FULL)
    poor = make.requested(db, ben, now=now, profile=FULL)
    following = make.requested(db, eve, now=now + timedelta(seconds=1), profile=FULL)
    lot_id = db.execute(text("SELECT id FROM lot WHERE wallet_id = :id"), {"id": ben.wallet_id}).scalar_one()
    revocations.revoke(db, lot_id=lot_id, reason="Ended", by=make.TESTS, now=now)
    ended(db, first, now + HOUR / 2)
    started = waiting.admit(db, _class(db), now=now + HOUR / 2)
    assert started == [following]
    row = make.row_of(db, poor)
    assert (row.state, row.stop_cause) == (SessionState.STOPPED, StopCause.CREDIT)
    assert sorted(kinds(db)) == ["compute.queue_left", "compute.queue_over"]
    sound(db, now + HOUR / 2)


def _class(db: Session, profile: str = FULL) -> str:
    return str(db.execute(text("SELECT device_class FROM compute_profile WHERE slug = :slug"), {"slug": profile}).scalar_one())


def test_who_could_not_pay_now_does_not_wait(db: Session, now: datetime) -> None:
    ada, poor = make.spender(db, now=now), make.spender(db, now=now, balance=0)
    make.requested(db, ada, now=now, profile=FULL)
    with pytest.raises(NoCredit), db.begin_nested():
        make.requested(db, poor, now=now, profile=FULL)
    assert db.execute(select(func.count()).select_from(ComputeSession)).scalar_one() == 1


def test_a_class_without_an_open_machine_is_refused_at_once(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    make.small_pool(db, now=now)
    db.execute(text("UPDATE compute_device SET is_open = false WHERE device_class = :name"), {"name": _class(db)})
    with pytest.raises(NoMachine), db.begin_nested():
        make.requested(db, ada, now=now, profile=FULL)


def test_the_minute_finds_what_a_lost_job_would_have_admitted(db: Session, run_jobs: RunJobs, now: datetime) -> None:
    from portal.core import jobs

    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    first = make.requested(db, ada, now=now, profile=FULL)
    waits = make.requested(db, ben, now=now, profile=FULL)
    ended(db, first, now)
    db.execute(text("DELETE FROM procrastinate_jobs"))
    jobs.enqueue(db, "compute.reconcile")
    db.commit()

    class Hub:
        def servers(self) -> list[object]:
            return []

    run_jobs(only="compute.reconcile", resources={"hub": Hub()})
    db.expire_all()
    assert state(db, waits) is SessionState.REQUESTED


def test_a_suspended_person_leaves_the_queue(db: Session, now: datetime) -> None:
    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    make.requested(db, ada, now=now, profile=FULL)
    waits = make.requested(db, ben, now=now, profile=FULL)
    assert sessions.stop_all_of_person(db, person_id=ben.person.id, by=make.TESTS, now=now, cause=StopCause.SUSPENDED) == 1
    assert state(db, waits) is SessionState.STOPPED


def test_whoever_waits_for_hours_is_not_taken_for_a_start_that_failed(db: Session, now: datetime) -> None:
    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    first = make.requested(db, ada, now=now, profile=FULL)
    waits = make.requested(db, ben, now=now, profile=FULL)
    later = now + 5 * HOUR
    ended(db, first, later)
    watch.stop_over(db, by=make.TESTS, now=later)
    assert state(db, waits) is SessionState.QUEUED
    waiting.admit(db, _class(db), now=later)
    watch.stop_over(db, by=make.TESTS, now=later + timedelta(seconds=30))
    watch.settle_unseen(db, by=make.TESTS, now=later + timedelta(seconds=30))
    assert state(db, waits) is SessionState.REQUESTED


def test_fair_share_puts_a_heavy_user_behind_but_never_beyond_the_limit(db: Session, now: datetime) -> None:
    heavy, light, other = (make.spender(db, now=now - 3 * HOUR, balance=1000) for _ in range(3))
    for by, minutes in ((heavy, 100), (light, 5), (other, 5)):
        session_id, plugin = make.running(db, by, now=now - 2 * HOUR, profile=FULL, duration_s=7200)
        make.deliver(db, [plugin.exited(minutes * 60)], now=now - 2 * HOUR + timedelta(minutes=minutes))
        assert state(db, session_id) is SessionState.STOPPED
    make.requested(db, other, now=now, profile=FULL)
    first = make.requested(db, heavy, now=now, profile=FULL)
    second = make.requested(db, light, now=now + timedelta(minutes=5), profile=FULL)
    ranks = [make.row_of(db, session_id).rank_at for session_id in (first, second)]
    assert ranks[0] is not None
    assert ranks[1] is not None
    assert ranks[1] < ranks[0] <= now + timedelta(seconds=admission.MOST_DELAY_S)
    assert ranks[1] == now + timedelta(minutes=5)


def test_a_short_one_starts_at_once_where_it_delays_nobody(db: Session, now: datetime) -> None:
    ada, ben, eve = (make.spender(db, now=now) for _ in range(3))
    make.small_pool(db, now=now, full=1)
    make.requested(db, ada, now=now, profile=FULL, duration_s=7200)
    stand = reads.standing(db, _class(db), now=now)
    waits = make.requested(db, ben, now=now, profile=FULL, duration_s=3600)
    assert [waiter.session_id for waiter in reads.standing(db, _class(db), now=now).waiters] == [waits]
    assert stand.capacity == 1
    late = make.requested(db, eve, now=now + timedelta(seconds=5), profile=FULL, duration_s=60)
    assert state(db, late) is SessionState.QUEUED, "no device is free, however short it is"


def test_parallel_requests_for_the_last_device_give_one_session_and_a_queue(own_sessions: Sessions, now: datetime) -> None:
    with own_sessions() as db, db.begin():
        spenders = [make.spender(db, now=now) for _ in range(8)]
        make.small_pool(db, now=now, full=1)
    barrier = threading.Barrier(8)

    def go(by: make.Spender) -> None:
        barrier.wait()
        with own_sessions() as db, db.begin():
            sessions.request(db, project_id=by.project_id, profile_slug=FULL, duration_s=3600, label="", by=by.actor, now=now)

    threads = [threading.Thread(target=go, args=[by]) for by in spenders]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    with own_sessions() as db:
        states = list(db.execute(select(ComputeSession.state)).scalars())
        assert sorted(states) == ["queued"] * 7 + ["requested"]
        assert sum(ledger.balance(db, by.wallet_id, now=now).held_ucr for by in spenders) == credits_ucr(7)
        sound(db, now)


def test_workers_that_admit_together_give_no_device_twice(own_sessions: Sessions, now: datetime) -> None:
    with own_sessions() as db, db.begin():
        make.small_pool(db, now=now, full=5)
        holders = [make.requested(db, make.spender(db, now=now), now=now, profile=FULL) for _ in range(5)]
        for place in range(12):
            make.requested(db, make.spender(db, now=now), now=now + timedelta(seconds=place), profile=FULL)
    with own_sessions() as db, db.begin():
        for session_id in holders:
            ended(db, session_id, now + HOUR / 2)
        name = _class(db)
    barrier, started = threading.Barrier(4), []

    def go() -> None:
        barrier.wait()
        with own_sessions() as db, db.begin():
            started.extend(waiting.admit(db, name, now=now + HOUR / 2))

    threads = [threading.Thread(target=go) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(started) == len(set(started)) == 5
    with own_sessions() as db:
        ranked = select(ComputeSession.id).where(ComputeSession.rank_at.is_not(None), ComputeSession.id.not_in(holders)).order_by(ComputeSession.rank_at)
        assert set(started) == set(list(db.execute(ranked).scalars())[:5])
        current = select(func.count()).select_from(DeviceHold).where(DeviceHold.released_at.is_(None))
        assert db.execute(current).scalar_one() == 5
        sound(db, now + HOUR / 2)


def test_admission_costs_the_same_statements_with_three_and_with_thirty_waiting(db: Session, now: datetime) -> None:
    counts = []
    for profile, many in (("h100-slice-10", 3), (FULL, 30)):
        make.small_pool(db, now=now, slices=1, full=1)
        make.requested(db, make.spender(db, now=now), now=now, profile=profile)
        for _ in range(many):
            make.requested(db, make.spender(db, now=now), now=now, profile=profile)
        with count_queries() as seen:
            waiting.admit(db, _class(db, profile), now=now + timedelta(minutes=1))
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 5


def test_a_start_later_than_stated_makes_the_first_quarter_of_an_hour_free(db: Session, run_jobs: RunJobs, now: datetime) -> None:
    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    first = make.requested(db, ada, now=now, profile=FULL)
    late = make.requested(db, ben, now=now, profile=FULL)
    begins = now + timedelta(hours=9)
    ended(db, first, begins)
    assert waiting.admit(db, _class(db), now=begins) == [late]
    row = make.row_of(db, late)
    assert row.most_by is not None
    assert row.admitted_at is not None
    assert row.admitted_at > row.most_by
    make.started(db, late, now=begins)
    plugin = make.Plugin(late, begins_at=begins)
    make.deliver(db, [plugin.started()], now=begins)
    make.deliver(db, [plugin.exited(3000)], now=begins + timedelta(seconds=3000))
    db.commit()
    run_jobs(only="compute.make_good_end")
    for _ in range(2):
        promises.make_late_good(db, session_id=late, now=begins + HOUR)
    given = db.execute(text("SELECT rule, amount_ucr, duration_s FROM make_good WHERE session_id = :id"), {"id": late}).all()
    assert [tuple(gift) for gift in given] == [("late_start", credits_ucr(7), 900)]
    assert kinds(db).count("compute.made_good") == 1
    sound(db, begins + HOUR)


def test_a_start_in_time_gives_nothing(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now, profile=FULL)
    make.deliver(db, [plugin.exited(600)], now=now + timedelta(seconds=600))
    assert promises.make_late_good(db, session_id=session_id, now=now + HOUR) is None


def test_why_not_me_and_what_would_help(db: Session, now: datetime) -> None:
    ada, ben, eve = (make.spender(db, now=now) for _ in range(3))
    make.requested(db, ada, now=now, profile=FULL, duration_s=7200)
    waits = make.requested(db, ben, now=now, profile=FULL)
    asked = waits_module.wait_if_asked(db, _class(db), eve.project_id, 3600, now=now)
    assert asked is not None
    assert (asked.ahead, asked.total, asked.free, asked.kept_until, asked.shorter_s) == (1, 1, 0, None, None)
    found = waits_module.wait_of(db, waits, FULL, now=now)
    assert found is not None
    assert (found.ahead, found.total) == (0, 1)
    assert found.alternatives[0].slug == "h100-slice-10"
    assert waits_module.wait_if_asked(db, _class(db, "h100-slice-10"), eve.project_id, 3600, now=now) is None
    assert waits_module.wait_of(db, uuid.uuid4(), FULL, now=now) is None


def test_promises_are_counted_by_machine(db: Session, now: datetime) -> None:
    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    first = make.requested(db, ada, now=now, profile=FULL)
    make.requested(db, ben, now=now, profile=FULL)
    ended(db, first, now + timedelta(minutes=1))
    waiting.admit(db, _class(db), now=now + timedelta(minutes=1))
    found = {row.name["en"]: row for row in promise_reads.kept(db, now=now + HOUR)}
    full = next(row for name, row in found.items() if "Full" in name)
    assert (full.at_once, full.waited, full.in_time, full.median_wait_s) == (1, 1, 1, 60)
    starts = promise_reads.page_of_starts(db, mark=None).rows
    assert [start.is_in_time for start in starts] == [True]


def test_whoever_still_waits_after_the_stated_instant_counts_as_late(db: Session, now: datetime) -> None:
    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    make.requested(db, ada, now=now, profile=FULL)
    waits = make.requested(db, ben, now=now, profile=FULL)
    most_by = make.row_of(db, waits).most_by
    assert most_by is not None
    for at, counted in ((most_by - timedelta(seconds=1), (0, 0)), (most_by + timedelta(seconds=1), (1, 0))):
        full = next(row for row in promise_reads.kept(db, now=at) if "Full" in row.name["en"])
        assert (full.waited, full.in_time) == counted


@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
def test_pages_of_the_queue_in_every_language(client: FlaskClient, db: Session, now: datetime, lang: str) -> None:
    ada, ben, eve = (make.spender(db, now=now) for _ in range(3))
    first = make.requested(db, ada, now=now, profile=FULL, duration_s=7200)
    waits = make.requested(db, ben, now=now, profile=FULL)
    db.commit()
    number = make.row_of(db, waits).number
    client.set_cookie("lang", lang, domain="127.0.0.1")
    with time_machine.travel(now + timedelta(seconds=30), tick=False):
        people.sign_in(client, ben.person)
        page = client.get(f"/sessions/{number}")
        panel = client.get(f"/sessions/{number}/panel")
        again = client.get(f"/sessions/{number}/panel", headers={"If-None-Match": panel.headers["ETag"]})
        with count_queries() as seen:
            client.get(f"/sessions/{number}")
        assert client.get("/sessions/promises").status_code == 200
        people.sign_out(client)
        people.sign_in(client, people.person(db, roles=[Role.STAFF], now=now))
        staff = client.get("/sessions/pool")
        assert f"/sessions/{number}" in staff.text
        people.sign_out(client)
        people.sign_in(client, eve.person)
        launch = client.get("/sessions/new?profile=h100-full")
    assert (page.status_code, panel.status_code, again.status_code, launch.status_code) == (200, 200, 304, 200)
    assert len(seen) <= 12
    assert f"/sessions/{number}/stop" in page.text
    ended(db, first, now + timedelta(minutes=1))
    waiting.admit(db, _class(db), now=now + timedelta(minutes=1))
    db.commit()
    with time_machine.travel(now + timedelta(minutes=2), tick=False):
        assert client.get("/sessions/promises").status_code == 200


def test_the_launch_page_takes_a_place_in_the_queue(client: FlaskClient, db: Session, now: datetime) -> None:
    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    make.requested(db, ada, now=now, profile=FULL, duration_s=7200)
    db.commit()
    slug = db.execute(text("SELECT slug FROM project WHERE id = :id"), {"id": ben.project_id}).scalar_one()
    with time_machine.travel(now, tick=False):
        people.sign_in(client, ben.person)
        with client.application.app_context():
            hidden = people.csrf(client)
        answer = client.post("/sessions/new", data={"profile": FULL, "hours": "1", "project": slug, "label": "", **hidden})
    assert answer.status_code == 303
    states = list(db.execute(select(ComputeSession.state).order_by(ComputeSession.number)).scalars())
    assert states == ["requested", "queued"]


def test_a_window_keeps_a_device_from_whoever_would_be_admitted_into_it(db: Session, now: datetime) -> None:
    ada, ben, eve = (make.spender(db, now=now) for _ in range(3))
    first = make.requested(db, ada, now=now, profile=FULL)
    long_ = make.requested(db, ben, now=now, profile=FULL, duration_s=4 * 3600)
    short = make.requested(db, eve, now=now + timedelta(seconds=1), profile=FULL, duration_s=3600)
    maintain(db, now, starts_at=now + 3 * HOUR)
    ended(db, first, now)
    assert waiting.admit(db, _class(db), now=now) == [short]
    assert state(db, long_) is SessionState.QUEUED


def test_a_quota_that_was_reached_meanwhile_keeps_its_project_waiting_and_nobody_else(db: Session, now: datetime) -> None:
    ada, ben, eve = (make.spender(db, now=now) for _ in range(3))
    first, _ = make.requested(db, ada, now=now), make.requested(db, ada, now=now)
    mine = make.requested(db, ben, now=now)
    set_quota(db, now, project=slug_of(db, ben))
    ended(db, first, now)
    assert waiting.admit(db, _class(db, "h100-slice-10"), now=now) == []
    assert state(db, mine) is SessionState.QUEUED
    theirs = make.requested(db, eve, now=now + timedelta(seconds=1))
    assert state(db, theirs) is SessionState.QUEUED
    assert waiting.admit(db, _class(db, "h100-slice-10"), now=now + timedelta(seconds=2)) == [theirs]
