"""Requesting and stopping: what is held, what is refused, what happens twice."""

import threading
import uuid
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from portal.compute.models import ComputeSession, Device, DeviceHold, PriceVersion, Profile
from portal.compute.operations import pool, prices, sessions, tickets
from portal.compute.operations.prices import PriceInThePast
from portal.compute.operations.sessions import BadFiles, NoSuchProfile, ProjectClosed, SessionFile, TooManySessions, TooManyStarts, WrongDuration
from portal.compute.states import SESSION, SessionState, StopCause
from portal.core.errors import NotFound
from portal.core.quantities import credits_ucr
from portal.core.states import WrongState
from portal.credits import queries as ledger
from portal.credits.operations.meters import NoCredit
from portal.identity.operations import people as people_operations
from portal.projects.operations import members, projects
from portal.projects.states import MemberRole
from tests.factories import compute as make
from tests.factories import identity as people


def held(db: Session, by: make.Spender, now: datetime) -> tuple[int, int]:
    """Return what is held and what is free."""
    balance = ledger.balance(db, by.wallet_id, now=now)
    return balance.held_ucr, balance.free_ucr


@pytest.mark.parametrize("name", list(SESSION.transitions))
@pytest.mark.parametrize("state", list(SessionState))
def test_transitions_leave_only_from_their_sources(name: str, state: SessionState) -> None:
    if state in SESSION.transitions[name].sources:
        assert SESSION.target(name, state) is SESSION.transitions[name].target
    else:
        with pytest.raises(WrongState):
            SESSION.target(name, state)


def test_request_holds_the_first_window_and_a_device_and_enqueues_the_start(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)

    session_id = make.requested(db, ada, now=now, label="  Tokeniser\ntraining ")

    row = make.row_of(db, session_id)
    assert (row.state, row.label, row.slug) == ("requested", "Tokeniser training", f"s-{row.number}")
    assert held(db, ada, now) == (credits_ucr(1), credits_ucr(99))
    assert db.execute(select(func.count()).select_from(DeviceHold).where(DeviceHold.session_id == session_id)).scalar_one() == 1
    assert (
        db.execute(
            text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'compute.start_session' AND args->>'session_id' = :id"), {"id": str(session_id)}
        ).scalar_one()
        == 1
    )


def test_request_without_enough_credit_changes_nothing(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now, balance=0)

    with pytest.raises(NoCredit), db.begin_nested():
        make.requested(db, ada, now=now)

    assert db.execute(select(func.count()).select_from(ComputeSession)).scalar_one() == 0
    assert db.execute(select(func.count()).select_from(DeviceHold)).scalar_one() == 0


def test_a_device_is_held_by_one_session_at_a_time_by_constraint(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    first, second = make.requested(db, ada, now=now), make.requested(db, ada, now=now)
    device_id = db.execute(select(DeviceHold.device_id).where(DeviceHold.session_id == first)).scalar_one()

    with pytest.raises(IntegrityError), db.begin_nested():
        db.execute(update(DeviceHold).where(DeviceHold.session_id == second).values(device_id=device_id))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"profile": "h100-eight"}, NoSuchProfile),
        ({"duration_s": 0}, WrongDuration),
        ({"duration_s": 13 * 3600}, WrongDuration),
        ({"files": [SessionFile("../escape.ipynb", b"x")]}, BadFiles),
        ({"files": [SessionFile("/etc/passwd", b"x")]}, BadFiles),
        ({"files": [SessionFile("big.bin", b"x" * 1_000_001)]}, BadFiles),
        ({"files": [SessionFile("a", b"x"), SessionFile("a", b"y")]}, BadFiles),
        ({"open_path": "//evil.example"}, BadFiles),
        ({"open_path": "https://evil.example"}, BadFiles),
        ({"label": "x" * 121}, sessions.LabelTooLong),
    ],
)
def test_request_refuses_what_is_not_offered(db: Session, now: datetime, change: dict[str, object], error: type[Exception]) -> None:
    ada = make.spender(db, now=now)

    with pytest.raises(error):
        make.requested(db, ada, now=now, **change)


def test_a21_request_from_a_project_of_others_is_not_found(db: Session, now: datetime) -> None:
    ada, eve = make.spender(db, now=now), make.spender(db, now=now)

    with pytest.raises(NotFound):
        sessions.request(db, project_id=ada.project_id, profile_slug="h100-slice-10", duration_s=3600, label="", by=eve.actor, now=now)


def test_a_learner_spends_through_a_course_only(db: Session, now: datetime) -> None:
    learner = make.spender(db, now=now, role=MemberRole.LEARNER)

    with pytest.raises(NotFound):
        make.requested(db, learner, now=now)
    session_id = make.requested(db, learner, now=now, course_context={"lesson": "lab-1"}, files=[SessionFile("lab-1.ipynb", b"{}")])

    assert make.row_of(db, session_id).course_context == {"lesson": "lab-1"}


def test_request_from_a_closed_project_is_refused(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    projects.close(db, project_id=ada.project_id, by=make.TESTS, now=now)

    with pytest.raises(ProjectClosed):
        make.requested(db, ada, now=now)


def test_a_person_has_a_few_sessions_at_a_time(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    make.small_pool(db, now=now, seats=9)
    for _ in range(4):
        make.requested(db, ada, now=now, profile="cpu-notebook")

    with pytest.raises(TooManySessions):
        make.requested(db, ada, now=now, profile="cpu-notebook")


def test_starts_are_limited_within_ten_minutes(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    for _ in range(20):
        sessions.stop(db, session_id=make.requested(db, ada, now=now), by=ada.actor, now=now, cause=StopCause.PERSON)

    with pytest.raises(TooManyStarts):
        make.requested(db, ada, now=now)
    make.requested(db, ada, now=now + timedelta(minutes=11))


def test_stop_before_the_start_gives_everything_back(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)

    sessions.stop(db, session_id=session_id, by=ada.actor, now=now, cause=StopCause.PERSON)

    row = make.row_of(db, session_id)
    assert (row.state, row.ended_at, row.proven_s) == ("stopped", now, 0)
    assert held(db, ada, now) == (0, credits_ucr(100))
    assert db.execute(select(DeviceHold.released_at).where(DeviceHold.session_id == session_id)).scalar_one() == now


def test_f28_stopping_twice_is_stopping_once(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, _ = make.running(db, ada, now=now)

    for minutes in (1, 2):
        sessions.stop(db, session_id=session_id, by=ada.actor, now=now + timedelta(minutes=minutes), cause=StopCause.PERSON)

    row = make.row_of(db, session_id)
    assert (row.state, row.stop_asked_at) == ("stopping", now + timedelta(minutes=1))


@pytest.mark.parametrize("who", ["stranger", "member", "learner"])
def test_a21_stopping_the_session_of_another_is_not_found(db: Session, now: datetime, who: str) -> None:
    ada = make.spender(db, now=now)
    session_id, _ = make.running(db, ada, now=now)
    eve = people.person(db, now=now)
    if who != "stranger":
        members.add(db, project_id=ada.project_id, person_id=eve.id, role=MemberRole(who), by=make.TESTS, now=now)

    with pytest.raises(NotFound):
        sessions.stop(db, session_id=session_id, by=eve.actor, now=now, cause=StopCause.PERSON)

    assert make.row_of(db, session_id).state == "running"


def test_a_lead_of_the_project_stops_a_members_session(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now, role=MemberRole.MEMBER)
    session_id, _ = make.running(db, ada, now=now)
    lead = people.person(db, now=now)
    members.add(db, project_id=ada.project_id, person_id=lead.id, role=MemberRole.LEAD, by=make.TESTS, now=now)

    sessions.stop(db, session_id=session_id, by=lead.actor, now=now, cause=StopCause.PERSON)

    assert make.row_of(db, session_id).state == "stopping"


def test_f35_all_sessions_of_a_suspended_person_stop(db: Session, now: datetime, run_jobs) -> None:
    ada = make.spender(db, now=now)
    first, _ = make.running(db, ada, now=now)
    second = make.requested(db, ada, now=now)
    people_operations.suspend(db, person_id=ada.person.id, by=make.TESTS, now=now)
    db.commit()

    run_jobs(only="desk.react")
    run_jobs(only="compute.stop_sessions_of_person")

    assert [(make.row_of(db, key).state, make.row_of(db, key).stop_cause) for key in (first, second)] == [("stopping", "suspended"), ("stopped", "suspended")]
    assert held(db, ada, now)[0] == credits_ucr(1)


def test_f26_a_second_session_within_a_second_has_its_own_number_hold_and_ticket(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    first, plugin = make.running(db, ada, now=now)
    sessions.stop(db, session_id=first, by=ada.actor, now=now, cause=StopCause.PERSON)
    second = make.requested(db, ada, now=now)
    launch = make.launched(db, second, now=now)

    with pytest.raises(tickets.TicketNotYours):
        tickets.redeem(db, token=launch.ticket, username=launch.username, server=make.row_of(db, first).slug, now=now)
    make.deliver(db, [plugin.exited(30)], now=now + timedelta(seconds=31))

    assert make.row_of(db, first).proven_s == 30
    assert (make.row_of(db, second).state, make.row_of(db, second).proven_s) == ("starting", 0)
    assert held(db, ada, now + timedelta(seconds=31))[0] == credits_ucr(1)


def test_prices_never_overlap_and_never_change(db: Session, now: datetime) -> None:
    make.small_pool(db, now=now)
    profile = db.execute(select(Profile).where(Profile.slug == "h100-full")).scalar_one()

    with pytest.raises(PriceInThePast):
        prices.set_price(db, profile_id=profile.id, rate_ucr_per_hour=1, starts_at=now - timedelta(days=1), by=make.TESTS, now=now)
    prices.set_price(db, profile_id=profile.id, rate_ucr_per_hour=credits_ucr(30), starts_at=now + timedelta(days=1), by=make.TESTS, now=now)

    query = (
        select(PriceVersion.rate_ucr_per_hour, PriceVersion.starts_at, PriceVersion.ends_at)
        .where(PriceVersion.profile_id == profile.id)
        .order_by(PriceVersion.starts_at)
    )
    assert db.execute(query).all() == [(credits_ucr(28), now, now + timedelta(days=1)), (credits_ucr(30), now + timedelta(days=1), None)]
    with pytest.raises(IntegrityError), db.begin_nested():
        db.execute(text("UPDATE price_version SET rate_ucr_per_hour = 1"))
    with pytest.raises(IntegrityError), db.begin_nested():
        db.execute(text("INSERT INTO price_version SELECT gen_random_uuid(), profile_id, 5, starts_at, NULL FROM price_version WHERE ends_at IS NOT NULL"))


def test_ensure_local_pool_twice_keeps_what_is_there(db: Session, now: datetime) -> None:
    make.small_pool(db, now=now)
    db.execute(update(Device).where(Device.name == "seat-0").values(is_open=False))
    before = db.execute(select(func.count()).select_from(Device)).scalar_one()

    make.small_pool(db, now=now)

    assert db.execute(select(func.count()).select_from(Device)).scalar_one() == before
    assert db.execute(select(Device.is_open).where(Device.name == "seat-0")).scalar_one() is False
    assert db.execute(select(func.count()).select_from(PriceVersion)).scalar_one() == 4


@pytest.mark.parametrize(("cores", "memory_gib", "seat_gib", "seats"), [(2, 24, 3, 4), (1, 2, 1, 2), (64, 1024, 32, 16), (128, 8192, 32, 64)])
def test_a_plan_fits_its_machine(cores: int, memory_gib: int, seat_gib: int, seats: int) -> None:
    plan = pool.plan_for(cores=cores, memory_bytes=memory_gib * pool.GIB)

    assert plan.memory_seat_bytes == seat_gib * pool.GIB
    assert sum(device.device_class == pool.SEAT for device in plan.devices) == seats
    assert plan.cpu_millicores == min(cores, 8) * 1000


def test_a_plan_with_gpus_hands_their_files_out(db: Session, now: datetime) -> None:
    plan = pool.plan_for(cores=8, memory_bytes=64 * pool.GIB, gpu_paths=[["/dev/nvidia0", "/dev/nvidiactl"]])
    pool.ensure_local_pool(db, by=make.TESTS, now=now, plan=plan)
    ada = make.spender(db, now=now)
    session_id = sessions.request(db, project_id=ada.project_id, profile_slug="h100-full", duration_s=3600, label="", by=ada.actor, now=now)

    grant = make.started(db, session_id, now=now)

    assert grant.as_json()["devices"] == [{"id": "gpu-0", "kind": "nvidia", "paths": ["/dev/nvidia0", "/dev/nvidiactl"]}]


def test_parallel_requests_of_one_person_keep_to_the_limit(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with own_sessions() as db, db.begin():
        ada = make.spender(db, now=now, balance=1000)
        make.small_pool(db, now=now, seats=16)
    barrier, answers = threading.Barrier(8), []

    def go() -> None:
        barrier.wait()
        try:
            with own_sessions() as db, db.begin():
                answers.append(sessions.request(db, project_id=ada.project_id, profile_slug="cpu-notebook", duration_s=3600, label="", by=ada.actor, now=now))
        except TooManySessions as error:
            answers.append(error)

    threads = [threading.Thread(target=go) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert sorted(type(answer).__name__ for answer in answers) == ["TooManySessions"] * 4 + ["UUID"] * 4
    assert all(isinstance(answer, uuid.UUID | TooManySessions) for answer in answers)
