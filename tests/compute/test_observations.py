"""Receiving observations: what is kept, what is put aside, what is billed."""

import json
import random
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from portal.compute import rules
from portal.compute.models import Observation, QuarantinedObservation, ServerProcess
from portal.compute.operations import sessions
from portal.compute.operations.observations import MalformedDelivery
from portal.compute.protocol import MOST_OBSERVATIONS, parse
from portal.compute.states import StopCause
from portal.core.ids import new_id
from portal.core.quantities import credits_ucr
from portal.credits import queries as ledger
from tests.factories import compute as make
from tests.queries import count_queries


def after(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


def cost(db: Session, session_id, now: datetime) -> int:
    return ledger.session_costs(db, [session_id], now=now)[session_id].cost_ucr


def reasons(db: Session) -> list[str]:
    return list(db.execute(select(QuarantinedObservation.reason).order_by(QuarantinedObservation.agent_offset)).scalars())


def test_the_first_observation_makes_a_starting_session_run_from_its_process_start(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    make.started(db, session_id, now=after(now, 1), is_ready=False)
    plugin = make.Plugin(session_id, begins_at=after(now, 2))

    receipt = make.deliver(db, [started := plugin.started(1.5)], now=after(now, 4))

    row = make.row_of(db, session_id)
    assert (row.state, row.started_at, row.proven_s) == ("running", after(now, 2), 1)
    assert receipt.acknowledged_offset == started["offset"]
    assert receipt.leases[session_id].held_until == after(now, 900)
    assert receipt.leases[session_id].stop is False


def test_an_exit_settles_to_the_second_and_gives_the_rest_back(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)

    make.deliver(db, [plugin.seen(60), plugin.exited(125.9, exit_code=0)], now=after(now, 126))

    row = make.row_of(db, session_id)
    assert (row.state, row.proven_s, row.stop_cause, row.exit_code) == ("stopped", 125, "itself", 0)
    assert row.ended_at == after(now, 125)
    assert cost(db, session_id, after(now, 9999)) == credits_ucr(4) * 125 // 3600
    balance = ledger.balance(db, ada.wallet_id, now=after(now, 130))
    assert (balance.held_ucr, balance.free_ucr) == (0, credits_ucr(100) - credits_ucr(4) * 125 // 3600)
    facts = db.execute(text("SELECT payload FROM fact WHERE name = 'compute.session_ended'")).scalars().all()
    assert [(fact["state"], fact["proven_s"], fact["number"]) for fact in facts] == [("stopped", 125, row.number)]


def test_f18_the_same_observation_a_hundred_times_is_one_charge(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)
    seen = plugin.seen(600)

    for _ in range(50):
        make.deliver(db, [seen], now=after(now, 600))
    make.deliver(db, [seen | {"offset": 9_000_000 + n} for n in range(50)], now=after(now, 600))

    assert db.execute(select(func.count()).select_from(Observation).where(Observation.session_id == session_id)).scalar_one() == 2
    assert make.row_of(db, session_id).proven_s == 600
    assert ledger.session_costs(db, [session_id], now=after(now, 600))[session_id].proven_s == 600


@pytest.mark.parametrize("seed", range(6))
def test_f19_any_order_and_repetition_gives_the_same_balance(db: Session, now: datetime, seed: int) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now, duration_s=7200)
    make.started(db, session_id, now=now)
    plugin = make.Plugin(session_id, begins_at=now)
    items = [plugin.started(0.5), *(plugin.seen(minute * 60) for minute in range(1, 10)), plugin.exited(555.5)]
    shuffled = list(reversed(items))
    if seed:
        dice = random.Random(seed)  # noqa: S311 -- an order to try
        shuffled += dice.choices(items, k=5)
        dice.shuffle(shuffled)

    for item in shuffled:
        make.deliver(db, [item], now=after(now, 600))

    assert make.row_of(db, session_id).proven_s == 555
    assert make.row_of(db, session_id).state == "stopped"
    assert cost(db, session_id, after(now, 600)) == credits_ucr(4) * 555 // 3600
    assert ledger.balance(db, ada.wallet_id, now=after(now, 600)).balance_ucr == credits_ucr(100) - credits_ucr(4) * 555 // 3600


def test_what_the_table_keeps_equals_the_pure_rule(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)
    other = make.Plugin(session_id, begins_at=now, begins_ns=plugin.begins_ns + 40 * 10**9)
    items = [plugin.started(1), plugin.seen(60), other.started(5), other.seen(200), plugin.seen(100)]
    random.Random(7).shuffle(items)  # noqa: S311 -- an order to try

    for item in items:
        make.deliver(db, [item], now=after(now, 300))

    life = rules.proven(rules.spans(parse(item).sight for item in items).values())
    assert life is not None
    assert make.row_of(db, session_id).proven_s == life.proven_s == 240


def test_f04_silence_is_proven_by_the_next_sight_of_the_same_process(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)

    make.deliver(db, [plugin.seen(60)], now=after(now, 60))
    make.deliver(db, [plugin.seen(700)], now=after(now, 700))

    assert make.row_of(db, session_id).proven_s == 700


def test_f25_two_agents_that_see_one_server_count_each_second_once(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)

    make.deliver(db, [plugin.seen(100)], now=after(now, 100), agent="hub-1")
    make.deliver(db, [plugin.seen(40), plugin.seen(160)], now=after(now, 160), agent="node-1")

    assert make.row_of(db, session_id).proven_s == 160


@pytest.mark.parametrize(("minutes", "aside"), [(4, []), (6, ["future"])])
def test_f22_an_observation_from_the_future_is_put_aside_past_five_minutes(db: Session, now: datetime, minutes: int, aside: list[str]) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    make.started(db, session_id, now=now)
    plugin = make.Plugin(session_id, begins_at=now + timedelta(minutes=minutes))

    receipt = make.deliver(db, [item := plugin.started()], now=now)

    assert reasons(db) == aside
    assert (make.row_of(db, session_id).started_at is None) is bool(aside)
    assert receipt.acknowledged_offset == item["offset"]


@pytest.mark.parametrize(("age", "aside"), [(timedelta(hours=2), []), (timedelta(days=3), []), (timedelta(days=34), []), (timedelta(days=36), ["too_old"])])
def test_f21_late_observations_count_for_35_days(db: Session, now: datetime, age: timedelta, aside: list[str]) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)

    make.deliver(db, [plugin.seen(300)], now=now + timedelta(seconds=300) + age)

    assert reasons(db) == aside
    assert make.row_of(db, session_id).proven_s == (0 if aside else 300)


def test_f23_a_jump_of_the_hubs_clock_is_billed_by_the_boots_clock(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)
    ahead, back = after(now, 60 + 3600).isoformat(), after(now, 120 - 3600).isoformat()

    make.deliver(db, [plugin.seen(60, observed_at=ahead), plugin.seen(120, observed_at=back)], now=after(now, 120))

    assert reasons(db) == []
    assert (make.row_of(db, session_id).proven_s, make.row_of(db, session_id).started_at) == (120, now)


@pytest.mark.parametrize(
    "change",
    [
        {"session_id": "no-uuid"},
        {"kind": "slept"},
        {"generation": 0},
        {"generation": "1"},
        {"pid": -1},
        {"pid": True},
        {"monotonic_ns": 1.5},
        {"monotonic_ns": 2**63},
        {"observed_at": "2026-11-23T10:00:00"},
        {"observed_at": "tomorrow"},
        {"boot_id": ""},
        {"boot_id": "a\u0000b"},
        {"process_age_ns": 10**18},
        {"exit_code": "0"},
        {"exit_code": 2**40},
    ],
)
def test_an_unreadable_observation_is_put_aside_and_does_not_hold_up_the_next(db: Session, now: datetime, change: dict[str, object]) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)

    receipt = make.deliver(db, [plugin.seen(30) | change, good := plugin.seen(60)], now=after(now, 60))

    assert reasons(db) == ["malformed"]
    assert receipt.acknowledged_offset == good["offset"]
    assert make.row_of(db, session_id).proven_s == 60
    assert "session_id" in json.loads(db.execute(select(QuarantinedObservation.raw)).scalar_one()["text"])


def test_observations_of_unknown_sessions_are_put_aside(db: Session, now: datetime) -> None:
    make.deliver(db, [make.Plugin(new_id(), begins_at=now).started()], now=now)

    assert reasons(db) == ["unknown_session"]
    assert db.execute(select(func.count()).select_from(ServerProcess)).scalar_one() == 0


def test_another_generation_is_kept_and_not_billed(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)
    other = make.Plugin(session_id, begins_at=now, generation=2)

    make.deliver(db, [other.started(), other.seen(500), plugin.seen(60)], now=after(now, 500))

    assert make.row_of(db, session_id).proven_s == 60


@pytest.mark.parametrize(
    ("agent", "items"), [("", []), ("a b", []), ("hub-1", [{"offset": -1}]), ("hub-1", [{}]), ("hub-1", [{"offset": n} for n in range(MOST_OBSERVATIONS + 1)])]
)
def test_a_delivery_that_cannot_be_acknowledged_is_refused(db: Session, now: datetime, agent: str, items: list[dict[str, object]]) -> None:
    with pytest.raises(MalformedDelivery):
        make.deliver(db, items, now=now, agent=agent)


def test_an_empty_delivery_is_answered_with_what_is_known(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)
    make.deliver(db, [last := plugin.seen(60)], now=after(now, 60))

    receipt = make.deliver(db, [], now=after(now, 61))

    assert receipt.acknowledged_offset == last["offset"]
    assert set(receipt.leases) == {session_id}


def test_the_lease_of_a_session_that_should_not_run_says_stop(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    first, plugin = make.running(db, ada, now=now)
    second, ended = make.running(db, ada, now=now)
    sessions.stop(db, session_id=first, by=ada.actor, now=after(now, 5), cause=StopCause.PERSON)
    make.deliver(db, [ended.exited(9)], now=after(now, 10))

    receipt = make.deliver(db, [plugin.seen(60), ended.seen(8)], now=after(now, 60))

    assert {key: lease.stop for key, lease in receipt.leases.items()} == {first: True, second: True}


def test_leases_of_other_agents_are_not_told(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, _ = make.running(db, ada, now=now)

    assert make.deliver(db, [], now=now, agent="hub-2").leases == {}
    assert set(make.deliver(db, [], now=now, agent="hub-1").leases) == {session_id}


def test_a_start_that_failed_costs_nothing_whatever_it_lived(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    make.started(db, session_id, now=now, is_ready=False)
    plugin = make.Plugin(session_id, begins_at=now)

    make.deliver(db, [plugin.started()], now=now)
    make.deliver(db, [plugin.seen(60), plugin.exited(70, exit_code=1)], now=after(now, 70))

    row = make.row_of(db, session_id)
    assert (row.state, row.failure) == ("failed", "did_not_start")
    balance = ledger.balance(db, ada.wallet_id, now=after(now, 70))
    assert (balance.held_ucr, balance.free_ucr) == (0, credits_ucr(100))


def test_evidence_of_a_life_longer_than_any_start_is_charged_although_nobody_noted_it_ready(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    make.started(db, session_id, now=now, is_ready=False)
    plugin = make.Plugin(session_id, begins_at=now)

    make.deliver(db, [plugin.started(), plugin.exited(400)], now=after(now, 400))

    assert make.row_of(db, session_id).state == "stopped"
    assert cost(db, session_id, after(now, 400)) == credits_ucr(4) * 400 // 3600


def test_late_evidence_after_the_end_is_booked_once(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)
    make.deliver(db, [plugin.exited(100)], now=after(now, 100))

    for _ in range(2):
        make.deliver(db, [plugin.started(), plugin.seen(90), plugin.exited(130)], now=after(now, 140))

    row = make.row_of(db, session_id)
    assert (row.state, row.proven_s) == ("stopped", 130)
    assert cost(db, session_id, after(now, 200)) == credits_ucr(4) * 130 // 3600


def test_f13_a_portal_restored_from_a_backup_asks_for_what_it_lost(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)
    lost, after_it = plugin.seen(100), plugin.seen(200)
    known = lost["offset"] - 1

    receipt = make.deliver(db, [after_it], now=after(now, 200), has_gap=True)
    assert receipt.acknowledged_offset == known
    receipt = make.deliver(db, [lost, after_it], now=after(now, 201), has_gap=True)

    assert receipt.acknowledged_offset == after_it["offset"]
    assert make.row_of(db, session_id).proven_s == 200


def test_what_a_spool_no_longer_has_is_passed_over(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)
    plugin.seen(1)
    item = plugin.seen(100)

    answers = [make.deliver(db, [item], now=after(now, 100), has_gap=True).acknowledged_offset for _ in range(2)]

    assert answers == [item["offset"] - 2, item["offset"]]
    assert make.row_of(db, session_id).proven_s == 100


@pytest.mark.parametrize("table", ["observation", "quarantined_observation"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET agent = 'x'", "DELETE FROM {}"])
def test_observations_refuse_change(db: Session, now: datetime, table: str, statement: str) -> None:
    ada = make.spender(db, now=now)
    _, plugin = make.running(db, ada, now=now)
    make.deliver(db, [plugin.seen(5) | {"pid": -1}], now=now)

    with pytest.raises(ProgrammingError, match="permission denied"), db.begin_nested():
        db.execute(text(statement.format(table)))
    with pytest.raises(IntegrityError), db.begin_nested():
        db.execute(text(f"SET LOCAL ROLE NONE; {statement.format(table)}"))


def test_a_delivery_costs_the_same_statements_for_one_session_and_for_three(db: Session, now: datetime) -> None:
    counts = []
    for sessions_ in (1, 3):
        plugins = []
        for _ in range(sessions_):
            make.small_pool(db, now=now, slices=8)
            plugins.append(make.running(db, make.spender(db, now=now), now=now)[1])
        db.commit()
        with count_queries() as queries:
            make.deliver(db, [plugin.seen(60) for plugin in plugins], now=after(now, 60))
        counts.append(len(queries))

    assert counts[0] == counts[1]
    assert counts[0] <= 16
