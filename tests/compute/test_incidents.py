"""Faults of the hub are made good once, by rule: what each session gets, who confirms, what a second time changes."""

import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, sessionmaker

from portal.compute.models import Device, DeviceHold, Incident, IncidentSession
from portal.compute.operations import endings, incidents, observations, sessions, starts, tickets
from portal.compute.queries.incidents import incident_by_number, page_of_incidents, touched
from portal.compute.states import INCIDENT, Failure, IncidentKind, IncidentState, StopCause
from portal.core.access import Role
from portal.core.database import transaction
from portal.core.ids import new_id
from portal.core.quantities import charge_ucr, credits_ucr
from portal.core.states import WrongState
from portal.credits import queries as ledger
from portal.credits.operations import adjustments, corrections, expiry, grants, meters
from portal.credits.queries.faults import made_good
from portal.credits.rules import faults
from portal.credits.rules.costs import Segment, cost_ucr
from portal.credits.states import FaultRule
from portal.projects.operations import members
from portal.projects.states import MemberRole
from tests.credits.conftest import check
from tests.credits.test_races import in_parallel
from tests.factories import compute as make
from tests.factories import credits as credit
from tests.factories import identity as people
from tests.queries import count_queries

RATE = credits_ucr(4)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _ledger_verifies(request: pytest.FixtureRequest) -> Iterator[None]:
    if "db" not in request.fixturenames:
        yield
        return
    db, now = request.getfixturevalue("db"), request.getfixturevalue("now")
    yield
    check(db, now=now)


def ran(db: Session, by: make.Spender, minutes: int, *, now: datetime, how: str = "stopped", **more: Any) -> uuid.UUID:
    """Let a session run some minutes, and end as its machine's death, or by itself."""
    session_id, plugin = make.running(db, by, now=now, **more)
    end = now + minutes * MINUTE
    make.deliver(db, [plugin.seen(60 * minutes) if how == "lost" else plugin.exited(60 * minutes)], now=end)
    if how == "lost":
        row = make.row_of(db, session_id)
        endings.lose(db, row, observations.lives(db, {row.id: row})[row.id], by=make.TESTS, now=end + 6 * MINUTE)
    return session_id


def gifts(db: Session, session_id: uuid.UUID) -> list[tuple[FaultRule, int, int]]:
    return [(gift.rule, gift.duration_s, gift.amount_ucr) for gift in made_good(db, session_id)]


def letters(db: Session, kind: str = "compute.made_good") -> list[dict[str, Any]]:
    return list(db.execute(text("SELECT context FROM message WHERE kind = :kind ORDER BY id"), {"kind": kind}).scalars())


def opened(db: Session, starts_at: datetime, minutes: int, *, by: people.PersonCard, now: datetime, **more: Any) -> Incident:
    terms = {"kind": IncidentKind.OUTAGE, "node_id": None, "note": "The network was down", "starts_at": starts_at, "ends_at": starts_at + minutes * MINUTE}
    number = incidents.open(db, **terms | more, by=by.actor, now=now)
    return db.execute(select(Incident).where(Incident.number == number)).scalar_one()


def given_all(db: Session, incident: Incident, now: datetime) -> None:
    while incidents.give_next(db, incident_id=incident.id, now=now):
        pass


def total(db: Session, incident: Incident, now: datetime) -> int:
    return sum(row.total_ucr for row in touched(db, incident, now=now))


def staff(db: Session, now: datetime) -> people.PersonCard:
    return people.person(db, roles=[Role.STAFF], now=now)


@pytest.mark.parametrize("name", list(INCIDENT.transitions))
@pytest.mark.parametrize("state", list(IncidentState))
def test_transitions_leave_only_from_their_sources(name: str, state: IncidentState) -> None:
    if state in INCIDENT.transitions[name].sources:
        assert INCIDENT.target(name, state) is INCIDENT.transitions[name].target
    else:
        with pytest.raises(WrongState):
            INCIDENT.target(name, state)


@given(
    charged_s=st.integers(0, 10_000),
    begins_s=st.integers(-5000, 12_000),
    lasts_s=st.integers(1, 8000),
    rates=st.lists(st.integers(1, 10**9), min_size=1, max_size=3),
)
def test_no_rule_gives_more_than_was_charged_nor_for_time_outside(charged_s: int, begins_s: int, lasts_s: int, rates: list[int]) -> None:
    segments = [Segment(place, 700 * place, rate) for place, rate in enumerate(rates)]
    struck = faults.Struck(charged_s, segments)
    ends_s = begins_s + lasts_s
    outage, death = faults.for_outage(struck, begins_s=begins_s, ends_s=ends_s), faults.for_death(struck)
    for gift in (outage, death):
        assert 0 <= gift.amount_ucr <= cost_ucr(segments, charged_s)
        assert 0 <= gift.duration_s <= charged_s
    assert death.duration_s == min(900, charged_s)
    disturbed_s = max(0, min(ends_s, charged_s) - max(begins_s, 0))
    assert outage.duration_s == (min(ends_s, charged_s) - max(0, begins_s - 900) if disturbed_s else 0)


def test_f06_a_dead_machine_gives_the_last_window_back_for_fourteen_days(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id = ran(db, ada, 40, now=now, how="lost")
    after = now + 47 * MINUTE
    before_ucr = ledger.balance(db, ada.wallet_id, now=after).free_ucr

    ids = {incidents.note_end(db, session_id=session_id, now=after) for _ in range(3)}

    amount_ucr = charge_ucr(RATE, 2400) - charge_ucr(RATE, 1500)
    assert len(ids - {None}) == 1
    assert gifts(db, session_id) == [(FaultRule.NODE_DEATH, 900, amount_ucr)]
    assert ledger.balance(db, ada.wallet_id, now=after).free_ucr == before_ucr + amount_ucr
    assert ledger.balance(db, ada.wallet_id, now=after + timedelta(days=14)).free_ucr == before_ucr
    assert [(letter["kind"], letter["amount_ucr"]) for letter in letters(db)] == [("node_death", amount_ucr)]


def test_the_end_of_a_session_makes_it_good_through_its_fact(db: Session, now: datetime, run_jobs, at) -> None:  # type: ignore[no-untyped-def]
    ada = make.spender(db, now=now)
    session_id = ran(db, ada, 40, now=now, how="lost")
    stopped = ran(db, ada, 20, now=now)
    db.commit()
    at.move_to(now + 47 * MINUTE)
    for _ in range(2):
        run_jobs(only="desk.react", resources={})
        run_jobs(only="compute.make_good_end", resources={})
    db.expire_all()
    assert (len(gifts(db, session_id)), gifts(db, stopped)) == (1, [])


def test_sessions_that_a_node_takes_with_it_are_one_incident_of_that_node(db: Session, now: datetime) -> None:
    ada, ben = make.spender(db, now=now), make.spender(db, now=now)
    lost = [ran(db, ada, 20, now=now, how="lost"), ran(db, ben, 25, now=now, how="lost")]
    much_later = ran(db, ada, 20, now=now + timedelta(hours=3), how="lost")
    ids = [incidents.note_end(db, session_id=session_id, now=now + timedelta(hours=4)) for session_id in [*lost, much_later]]
    assert ids[0] == ids[1] != ids[2]
    node_id = db.execute(select(Device.node_id).limit(1)).scalar_one()
    assert set(db.execute(select(Incident.node_id, Incident.state)).all()) == {(node_id, "made_good")}


def test_an_end_that_was_asked_for_or_seen_is_nobodys_fault(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    by_itself = ran(db, ada, 20, now=now)
    asked, plugin = make.running(db, ada, now=now)
    make.deliver(db, [plugin.seen(1200)], now=now + 20 * MINUTE)
    sessions.stop(db, session_id=asked, by=ada.actor, now=now + 20 * MINUTE, cause=StopCause.PERSON)
    row = make.row_of(db, asked)
    endings.lose(db, row, observations.lives(db, {asked: row})[asked], by=make.TESTS, now=now + 30 * MINUTE)
    for session_id in (by_itself, asked):
        assert incidents.note_end(db, session_id=session_id, now=now + 40 * MINUTE) is None
    assert db.execute(select(func.count()).select_from(Incident)).scalar_one() == 0


@pytest.mark.parametrize(
    ("failure", "waited_s", "is_redeemed", "given_s"),
    [
        (Failure.HUB_AWAY, 59, False, 0),
        (Failure.HUB_AWAY, 60, False, 60),
        (Failure.HUB_REFUSED, 170, True, 170),
        (Failure.DID_NOT_START, 180, False, 180),
        (Failure.DID_NOT_START, 180, True, 0),
        (Failure.HUB_AWAY, 5000, False, 900),
        (Failure.PERSON_INACTIVE, 500, False, 0),
    ],
)
def test_a_start_that_the_hub_failed_gives_the_price_of_the_wait(
    db: Session, now: datetime, failure: Failure, waited_s: int, is_redeemed: bool, given_s: int
) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    launch = make.launched(db, session_id, now=now)
    if is_redeemed:
        tickets.redeem(db, token=launch.ticket, username=launch.username, server=launch.server, now=now)
    later = now + timedelta(seconds=waited_s)
    endings.fail(db, make.row_of(db, session_id), failure, by=make.TESTS, now=later)
    incidents.note_end(db, session_id=session_id, now=later)
    assert gifts(db, session_id) == ([(FaultRule.FAILED_START, given_s, charge_ucr(RATE, given_s))] if given_s else [])


def test_f34_starts_that_fail_in_a_loop_earn_one_wait_a_day(db: Session, now: datetime) -> None:
    ada, given = make.spender(db, now=now), []
    for n in range(4):
        began = now + n * 15 * MINUTE
        session_id = make.requested(db, ada, now=began)
        make.launched(db, session_id, now=began)
        endings.fail(db, make.row_of(db, session_id), Failure.HUB_AWAY, by=make.TESTS, now=began + 2 * MINUTE)
        incidents.note_end(db, session_id=session_id, now=began + 2 * MINUTE)
        given += gifts(db, session_id)
    assert given == [(FaultRule.FAILED_START, 120, charge_ucr(RATE, 120))]


def test_a_failed_start_that_was_charged_gets_all_of_it_back(db: Session, now: datetime) -> None:
    """The hub says that the server is gone after minutes that were proven: evidence of use is charged, so it is made good."""
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    make.started(db, session_id, now=now, is_ready=False)
    plugin = make.Plugin(session_id, begins_at=now)
    make.deliver(db, [plugin.started(), plugin.seen(200)], now=now + 4 * MINUTE)
    starts.give_up(db, session_id=session_id, failure=Failure.HUB_REFUSED, by=make.TESTS, now=now + 4 * MINUTE)
    incidents.note_end(db, session_id=session_id, now=now + 4 * MINUTE)
    assert gifts(db, session_id) == [(FaultRule.FAILED_START, 200, charge_ucr(RATE, 200))]


def test_credit_released_after_its_lot_ended_through_our_fault_is_made_good(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now, balance=0)
    credit.lot(db, ada.wallet_id, now=now, amount_ucr=credits_ucr(10), expires_at=now + 15 * MINUTE)
    session_id, plugin = make.running(db, ada, now=now)
    make.deliver(db, [plugin.seen(300)], now=now + 5 * MINUTE)
    row, late = make.row_of(db, session_id), now + 16 * MINUTE
    endings.lose(db, row, observations.lives(db, {row.id: row})[row.id], by=make.TESTS, now=late)
    for _ in range(2):
        incidents.note_end(db, session_id=session_id, now=late)
    used_ucr = charge_ucr(RATE, 300)
    assert gifts(db, session_id) == [(FaultRule.NODE_DEATH, 300, used_ucr), (FaultRule.RELEASED_TOO_LATE, 0, credits_ucr(1) - used_ucr)]
    assert ledger.balance(db, ada.wallet_id, now=late).free_ucr == credits_ucr(1)
    assert expiry.sweep(db, now=late) == 1


def test_credit_that_ended_while_nobody_was_at_fault_is_gone(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now, balance=0)
    credit.lot(db, ada.wallet_id, now=now, amount_ucr=credits_ucr(10), expires_at=now + 15 * MINUTE)
    session_id, plugin = make.running(db, ada, now=now)
    sessions.stop(db, session_id=session_id, by=ada.actor, now=now + 5 * MINUTE, cause=StopCause.PERSON)
    make.deliver(db, [plugin.exited(300)], now=now + 16 * MINUTE)
    incidents.note_end(db, session_id=session_id, now=now + 16 * MINUTE)
    assert gifts(db, session_id) == []


def test_an_outage_is_looked_at_and_gives_its_time_and_the_window_before(db: Session, now: datetime) -> None:
    ada, ben, officer = make.spender(db, now=now), make.spender(db, now=now), staff(db, now)
    whole, short = ran(db, ada, 60, now=now), ran(db, ben, 10, now=now)
    running, plugin = make.running(db, ben, now=now + 25 * MINUTE, profile="h100-full")
    make.deliver(db, [plugin.seen(1200)], now=now + 45 * MINUTE)
    after = now + 61 * MINUTE
    incident = opened(db, now + 20 * MINUTE, 10, by=officer, now=after)

    dry = {row.id: (row.duration_s, row.amount_ucr) for row in touched(db, incident, now=after)}

    full = charge_ucr(credits_ucr(28), 300)
    assert dry == {whole: (1500, charge_ucr(RATE, 1800) - charge_ucr(RATE, 300)), running: (300, full)}, "of the time outside nothing, of the window before all"
    assert (gifts(db, whole), letters(db)) == ([], [])
    state = incidents.confirm(db, incident_id=incident.id, seen_ucr=sum(amount for _, amount in dry.values()), by=officer.actor, now=after)
    assert state is IncidentState.GIVING
    given_all(db, incident, after)
    assert incident_by_number(db, incident.number).state is IncidentState.MADE_GOOD
    assert {session_id: gifts(db, session_id) for session_id in (whole, short, running)} == {
        whole: [(FaultRule.OUTAGE, *dry[whole])],
        short: [],
        running: [(FaultRule.OUTAGE, *dry[running])],
    }
    assert {letter["note"] for letter in letters(db)} == {"The network was down"}


def test_what_a_rule_or_another_incident_made_good_is_not_given_again(db: Session, now: datetime) -> None:
    ada, officer = make.spender(db, now=now), staff(db, now)
    lost, other = ran(db, ada, 40, now=now, how="lost"), ran(db, ada, 40, now=now)
    after = now + 60 * MINUTE
    incidents.note_end(db, session_id=lost, now=after)
    first, second = (opened(db, now + 10 * MINUTE, 20, by=officer, now=after) for _ in range(2))
    assert [row.id for row in touched(db, first, now=after)] == [other]
    seen_ucr = total(db, first, after)
    incidents.confirm(db, incident_id=first.id, seen_ucr=seen_ucr, by=officer.actor, now=after)
    with pytest.raises(incidents.NothingTouched):
        incidents.confirm(db, incident_id=second.id, seen_ucr=seen_ucr, by=officer.actor, now=after)
    given_all(db, first, after)
    assert (len(gifts(db, lost)), len(gifts(db, other))) == (1, 1)
    incidents.dismiss(db, incident_id=second.id, by=officer.actor, now=after)
    with pytest.raises(WrongState):
        incidents.confirm(db, incident_id=second.id, seen_ucr=0, by=officer.actor, now=after)


def test_seconds_that_finance_gave_back_are_not_given_twice(db: Session, now: datetime) -> None:
    ada, officer = make.spender(db, now=now), staff(db, now)
    session_id = ran(db, ada, 40, now=now)
    corrections.forgive_from(db, session_id=session_id, generation=1, from_s=1260, reason="Slow", by=make.TESTS, now=now + 50 * MINUTE)
    incident = opened(db, now + 20 * MINUTE, 10, by=officer, now=now + 50 * MINUTE)
    assert [(row.duration_s, row.amount_ucr) for row in touched(db, incident, now=now + 50 * MINUTE)] == [(960, charge_ucr(RATE, 1260) - charge_ucr(RATE, 300))]


def test_an_incident_of_one_node_strikes_its_sessions_alone(db: Session, now: datetime) -> None:
    ada, officer = make.spender(db, now=now), staff(db, now)
    session_id = ran(db, ada, 40, now=now)
    node_id = db.execute(select(Device.node_id).join(DeviceHold).where(DeviceHold.session_id == session_id)).scalar_one()
    other_id = db.execute(
        text("INSERT INTO compute_node (id, name, engine, is_open, registered_at) VALUES (gen_random_uuid(), 'node-b', 'local', true, :now) RETURNING id"),
        {"now": now},
    ).scalar_one()
    after = now + 50 * MINUTE
    here, there = (opened(db, now + 10 * MINUTE, 5, by=officer, now=after, node_id=node) for node in (node_id, other_id))
    assert ([row.id for row in touched(db, here, now=after)], touched(db, there, now=after)) == ([session_id], [])
    died = opened(db, now + 38 * MINUTE, 5, by=officer, now=after, node_id=node_id, kind=IncidentKind.NODE_DEATH)
    assert [row.duration_s for row in touched(db, died, now=after)] == [900]


@pytest.mark.parametrize(
    ("begins", "minutes", "note", "error"),
    [(20, -5, "x", incidents.BadSpan), (20, 0, "x", incidents.BadSpan), (50, 30, "x", incidents.BadSpan), (20, 5, "  ", incidents.NoNote)],
)
def test_an_incident_is_a_time_that_is_over_with_a_sentence(db: Session, now: datetime, begins: int, minutes: int, note: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        opened(db, now + begins * MINUTE, minutes, by=staff(db, now), now=now + 60 * MINUTE, note=note)


def test_above_the_limit_and_for_ones_own_project_another_person_approves(db: Session, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, one, two = make.spender(db, now=now), staff(db, now), staff(db, now)
    ran(db, ada, 40, now=now)
    after = now + 50 * MINUTE
    incident = opened(db, now + 20 * MINUTE, 10, by=one, now=after)
    seen_ucr = total(db, incident, after)
    with pytest.raises(incidents.FiguresChanged):
        incidents.confirm(db, incident_id=incident.id, seen_ucr=seen_ucr - 1, by=one.actor, now=after)
    monkeypatch.setattr(incidents, "ALONE_UCR", seen_ucr - 1)
    assert incidents.confirm(db, incident_id=incident.id, seen_ucr=seen_ucr, by=one.actor, now=after) is IncidentState.WAITING
    for refused in (incidents.approve, incidents.decline):
        with pytest.raises(incidents.SamePerson):
            refused(db, incident_id=incident.id, by=one.actor, now=after)
    with pytest.raises(incidents.NotYours):
        incidents.withdraw(db, incident_id=incident.id, by=two.actor, now=after)
    incidents.withdraw(db, incident_id=incident.id, by=one.actor, now=after)

    monkeypatch.setattr(incidents, "ALONE_UCR", grants.ALONE_UCR)
    members.add(db, project_id=ada.project_id, person_id=two.id, role=MemberRole.MEMBER, by=make.TESTS, now=after)
    assert incidents.confirm(db, incident_id=incident.id, seen_ucr=seen_ucr, by=two.actor, now=after) is IncidentState.WAITING
    members.add(db, project_id=ada.project_id, person_id=one.id, role=MemberRole.MEMBER, by=make.TESTS, now=after)
    with pytest.raises(grants.OwnProject):
        incidents.approve(db, incident_id=incident.id, by=one.actor, now=after)
    incidents.approve(db, incident_id=incident.id, by=staff(db, now).actor, now=after)
    given_all(db, incident, after)
    assert db.execute(select(func.sum(IncidentSession.amount_ucr)).where(IncidentSession.given_at.is_not(None))).scalar_one() == seen_ucr


def test_f28_the_same_end_and_the_same_confirmation_many_times_at_once_have_one_effect(own_sessions: sessionmaker[Session], now: datetime) -> None:
    after = now + 60 * MINUTE
    with transaction(own_sessions) as db:
        ada, officer = make.spender(db, now=now), staff(db, now)
        lost, other = ran(db, ada, 40, now=now, how="lost"), ran(db, ada, 40, now=now)
        incident = opened(db, now + 20 * MINUTE, 10, by=officer, now=after)
        # The lost session is struck too, until its own end is noticed.
        incident_id, seen_ucr = incident.id, next(row.total_ucr for row in touched(db, incident, now=after) if row.id == other)
    ends = [lambda db: incidents.note_end(db, session_id=lost, now=after)] * 12
    results = in_parallel(own_sessions, ends)  # type: ignore[arg-type]
    assert sum(isinstance(result, uuid.UUID) for result in results) == 1
    confirms = [lambda db: incidents.confirm(db, incident_id=incident_id, seen_ucr=seen_ucr, by=officer.actor, now=after)] * 6
    answers = in_parallel(own_sessions, confirms)  # type: ignore[arg-type]
    assert sum(answer is IncidentState.GIVING for answer in answers) == 1
    in_parallel(own_sessions, [lambda db: incidents.give_next(db, incident_id=incident_id, now=after)] * 12)  # type: ignore[arg-type]
    with transaction(own_sessions) as db:
        assert (len(gifts(db, lost)), len(gifts(db, other))) == (1, 1)
        assert db.execute(text("SELECT count(*) FROM make_good")).scalar_one() == 2
        check(db, now=after)


def test_the_charge_and_the_lot_say_what_came_back_and_why(client: FlaskClient, db: Session, now: datetime) -> None:
    ada, corrector = make.spender(db, now=now), people.person(db, roles=[Role.FINANCE], now=now)
    lost = ran(db, ada, 40, now=now, how="lost", label="Tokeniser")
    incidents.note_end(db, session_id=lost, now=now + 50 * MINUTE)
    what = {"session_id": lost, "generation": 1, "from_s": 60, "reason": "A slow disk"}
    adjustments.correct(db, adjustment_id=new_id(), **what, by=corrector.actor, now=now + 60 * MINUTE)
    number = db.execute(text("SELECT number FROM lot WHERE origin = 'make_good'")).scalar_one()
    db.commit()
    people.sign_in(client, ada.person)
    page = client.get(f"/sessions/charges/{lost}").text
    assert "A slow disk" in page
    assert "Made good: a machine that failed" in page
    assert f"/sessions/charges/{lost}" in client.get(f"/wallets/{ada.wallet_id}/lots/{number}").text
    assert "Given by the hub." in client.get(f"/wallets/{ada.wallet_id}").text
    people.sign_in(client, corrector)
    meter_id = db.execute(text("SELECT id FROM meter WHERE session_id = :id"), {"id": lost}).scalar_one()
    assert "Made good: a machine that failed" in client.get(f"/wallets/{ada.wallet_id}/charges/{meter_id}/correct").text


@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
def test_letters_are_read_in_the_language_of_whoever_gets_them(db: Session, now: datetime, run_jobs, lang: str) -> None:  # type: ignore[no-untyped-def]
    ada = make.spender(db, now=now)
    db.execute(text("UPDATE person SET language = :lang WHERE id = :id"), {"lang": lang, "id": ada.person.id})
    lost = ran(db, ada, 40, now=now, how="lost", label="Tokeniser")
    incidents.note_end(db, session_id=lost, now=now + 50 * MINUTE)
    idle, plugin = make.running(db, ada, now=now + 60 * MINUTE, label="Tokeniser")
    sessions.stop(db, session_id=idle, by=ada.actor, now=now + 90 * MINUTE, cause=StopCause.IDLE, idle_since=now + 60 * MINUTE)
    make.deliver(db, [plugin.exited(1800)], now=now + 90 * MINUTE)
    corrector, meter = people.person(db, roles=[Role.FINANCE], now=now), {"session_id": lost, "generation": 1, "from_s": 60}
    adjustments.correct(db, adjustment_id=new_id(), **meter, reason="A slow disk", by=corrector.actor, now=now + 90 * MINUTE)
    db.commit()
    run_jobs(only="notifications.deliver")
    db.expire_all()
    sent = db.execute(text("SELECT kind, subject, body FROM message WHERE state = 'sent' ORDER BY kind")).all()
    assert [row.kind for row in sent] == ["compute.idle_refunded", "compute.made_good", "credits.adjusted"]
    english = {"Your session was idle and is stopped", "Credits for a fault of ours", "Darija speech got credits back"}
    assert len({row.subject for row in sent} & english) == (3 if lang == "en" else 0)
    assert all("Tokeniser" in row.body and "/" in row.body for row in sent)


def test_a_list_of_three_incidents_takes_as_many_statements_as_one(db: Session, now: datetime) -> None:
    officer, ada = staff(db, now), make.spender(db, now=now)
    counts = []
    for rows in (1, 2):
        for _ in range(rows):
            opened(db, now, 5, by=officer, now=now + 60 * MINUTE)
            ran(db, ada, 10, now=now)
        incident = db.execute(select(Incident).limit(1)).scalar_one()
        db.flush()
        with count_queries() as counted:
            assert len(page_of_incidents(db, mark=None).rows) == (1 if rows == 1 else 3)
            assert len(touched(db, incident, now=now + 60 * MINUTE)) == (1 if rows == 1 else 3)
        counts.append(len(counted))
    assert counts[0] == counts[1]


def test_staff_open_look_at_and_confirm_an_outage_in_the_browser(client: FlaskClient, db: Session, now: datetime, run_jobs, at) -> None:  # type: ignore[no-untyped-def]
    ada, officer = make.spender(db, now=now), staff(db, now)
    session_id = ran(db, ada, 40, now=now, label="Tokeniser")
    number = make.row_of(db, session_id).number
    db.commit()
    at.move_to(now + 90 * MINUTE)
    people.sign_in(client, officer)
    sent = {"kind": "outage", "node": "", "on": "2026-11-23", "begins": "10:20", "ends": "10:30", "note": "The network was down"}
    assert client.post("/sessions/incidents/new", data=people.csrf(client) | sent | {"ends": "11:45"}).status_code == 422
    answer = client.post("/sessions/incidents/new", data=people.csrf(client) | sent)
    assert answer.status_code == 303
    url = answer.headers["Location"]
    page = client.get(url).text
    seen = re.search(r'name="seen" value="(\d+)"', page)
    assert seen is not None
    assert "Tokeniser" in page
    assert client.post(f"{url}/confirm", data=people.csrf(client) | {"seen": "1"}).status_code == 409
    for _ in range(2):
        assert client.post(f"{url}/confirm", data=people.csrf(client) | {"seen": seen[1]}).status_code in {303, 409}
    run_jobs(only="compute.make_good_incident", resources={})
    assert "Made good" in client.get(url).text
    people.sign_in(client, ada.person)
    assert "Made good: an outage" in client.get(f"/sessions/{number}").text
    assert client.get(url).status_code == 403


@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
def test_the_pages_speak_every_language(client: FlaskClient, db: Session, now: datetime, lang: str) -> None:
    officer, ada = staff(db, now), make.spender(db, now=now)
    ran(db, ada, 40, now=now)
    incident = opened(db, now + 20 * MINUTE, 10, by=officer, now=now + 50 * MINUTE)
    db.commit()
    client.set_cookie("lang", lang, domain="127.0.0.1")
    people.sign_in(client, officer)
    for path in ("", "/new", f"/{incident.number}"):
        assert client.get(f"/sessions/incidents{path}").status_code == 200, path
    meters.roll_due(db, now=now)
