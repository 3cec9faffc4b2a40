"""Rolling, credit that ends, limits, prices that change, late and shuffled evidence."""

import itertools
import random
import uuid
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core.quantities import charge_ucr, credits_ucr
from portal.credits import queries, verify
from portal.credits.models import MAX_RATE_UCR_PER_HOUR
from portal.credits.operations import expiry, meters
from portal.credits.states import MeterState
from tests.factories import credits as make
from tests.queries import count_queries

RATE = credits_ucr(4)
WINDOW_UCR = credits_ucr(1)


def at(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


def run_minutes(db: Session, session_ids: list[uuid.UUID], now: datetime, minutes: range) -> list[meters.Rolled]:
    """Let sessions run, with evidence and rolling each minute, as in life."""
    rolled = []
    for minute in minutes:
        meters.record_proven(db, [make.proven(id_, started_at=now, proven_s=60 * minute) for id_ in session_ids], now=at(now, 60 * minute))
        rolled.append(meters.roll_due(db, now=at(now, 60 * minute)))
        expiry.sweep(db, now=at(now, 60 * minute))
    return rolled


def cost_of(db: Session, session_id: uuid.UUID, now: datetime) -> queries.SessionCost:
    return queries.session_costs(db, [session_id], now=now)[session_id]


@pytest.mark.parametrize("moment", ["extends", "books", "refuses", "lapses", "books_late", "expires"])
def test_rolling_takes_the_same_number_of_statements_for_1_3_and_50_sessions(db: Session, now: datetime, moment: str) -> None:
    counts = []
    for sessions in (1, 1, 3, 50 if moment in {"extends", "books"} else 12):
        start = at(now, 100_000 * len(counts))
        wallet_ids = [make.wallet(db, now=start) for _ in range(max(1, sessions // 2))]
        ids = []
        for number in range(sessions):
            wallet_id = wallet_ids[number % len(wallet_ids)]
            make.lot(db, wallet_id, now=start, amount_ucr=WINDOW_UCR * (1 if moment == "refuses" else 10), days=1)
            ids.append(make.meter(db, wallet_id, now=start, started=moment != "lapses"))
        evidence = [make.proven(id_, started_at=start, proven_s=905) for id_ in ids]
        work = {"extends": 600, "books": 905, "refuses": 600, "lapses": 900, "books_late": 1000, "expires": 86_400}[moment]
        if moment == "books":
            meters.roll_due(db, now=at(start, 600))
            meters.record_proven(db, evidence, now=at(start, 905))
        if moment in {"books_late", "expires"}:
            for id_ in ids:
                meters.settle(db, session_id=id_, generation=1, proven_s=300, ended_at=at(start, 300), now=at(start, 301))
        if moment == "books_late":
            meters.record_proven(db, evidence, now=at(start, 1000))
        with count_queries() as seen:
            done = expiry.sweep(db, now=at(start, work)) if moment == "expires" else meters.roll_due(db, now=at(start, work))
        if moment == "expires":
            assert done == sessions
        else:
            assert isinstance(done, meters.Rolled)
            touched = {"extends": done.extended, "books": ids, "refuses": done.refused, "lapses": done.lapsed, "books_late": done.booked_late}[moment]
            assert sorted(touched) == sorted(ids)
        counts.append(len(seen))
        for id_ in ids:
            meters.settle(db, session_id=id_, generation=1, proven_s=0, ended_at=at(start, work), now=at(start, work))
    assert counts[1] == counts[2] == counts[3] <= 18


def test_record_proven_takes_two_statements_for_any_number(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now)
    ids = [make.meter(db, wallet_id, now=now) for _ in range(30)]
    for sessions in (1, 30):
        with count_queries() as seen:
            meters.record_proven(db, [make.proven(id_, started_at=now, proven_s=60) for id_ in ids[:sessions]], now=at(now, 61))
        assert len(seen) == 2
    assert {cost.proven_s for cost in queries.session_costs(db, ids, now=at(now, 61)).values()} == {60}


def test_f33_when_credit_ends_the_session_is_warned_and_stops_at_the_windows_end_without_debt(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=2 * WINDOW_UCR + WINDOW_UCR // 2)
    session_id = make.meter(db, wallet_id, now=now)
    rolled = run_minutes(db, [session_id], now, range(1, 31))
    assert [minute for minute, each in enumerate(rolled, 1) if each.extended] == [10]
    assert [minute for minute, each in enumerate(rolled, 1) if each.refused] == list(range(25, 31))
    assert [minute for minute, each in enumerate(rolled, 1) if each.ended] == [30]
    meters.settle(db, session_id=session_id, generation=1, proven_s=1800, ended_at=at(now, 1800), now=at(now, 1805))
    found = queries.balance(db, wallet_id, now=at(now, 1805))
    assert (found.balance_ucr, found.held_ucr, found.debt_ucr) == (WINDOW_UCR // 2, 0, 0)
    assert cost_of(db, session_id, at(now, 1805)).cost_ucr == 2 * WINDOW_UCR


def test_credit_that_comes_after_the_warning_lets_the_session_go_on(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=WINDOW_UCR)
    session_id = make.meter(db, wallet_id, now=now)
    rolled = run_minutes(db, [session_id], now, range(1, 13))
    assert rolled[-1].refused == [session_id]
    make.lot(db, wallet_id, now=at(now, 720))
    rolled = run_minutes(db, [session_id], now, range(13, 15))
    assert [each.extended for each in rolled] == [[session_id], []]
    assert not cost_of(db, session_id, at(now, 840)).is_refused


def test_a_window_ends_where_a_lot_ends_and_the_lot_is_spent_first(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, expires_at=at(now, 420), amount_ucr=credits_ucr(5))
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(5))
    session_id = uuid.uuid4()
    window = meters.authorise(
        db, session_id=session_id, generation=1, wallet_id=wallet_id, charge_class="cpu", rate_ucr_per_hour=RATE, label="Lab", by=make.TESTS, now=now
    )
    assert (window.ends_at, window.amount_ucr) == (at(now, 420), charge_ucr(RATE, 420) + 1)
    meters.start(db, session_id=session_id, generation=1, started_at=now, now=now)
    run_minutes(db, [session_id], now, range(1, 20))
    meters.settle(db, session_id=session_id, generation=1, proven_s=1140, ended_at=at(now, 1140), now=at(now, 1140))
    found = queries.balance(db, wallet_id, now=at(now, 1140))
    spent_of_second = charge_ucr(RATE, 1140) - charge_ucr(RATE, 420)
    assert found.balance_ucr == credits_ucr(5) - spent_of_second
    assert expiry.sweep(db, now=at(now, 1200)) == 0


def test_a_lot_that_ends_within_minutes_gives_two_windows_at_once(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, expires_at=at(now, 10))
    make.lot(db, wallet_id, now=now)
    window = meters.authorise(
        db, session_id=uuid.uuid4(), generation=1, wallet_id=wallet_id, charge_class="cpu", rate_ucr_per_hour=RATE, label="Lab", by=make.TESTS, now=now
    )
    assert window.ends_at == at(now, 910)


def test_a_limit_ends_the_windows_and_is_not_a_refusal(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
    session_id = make.meter(db, wallet_id, now=now, limit_s=1000)
    rolled = run_minutes(db, [session_id], now, range(1, 19))
    assert [each.refused for each in rolled if each.refused] == []
    assert cost_of(db, session_id, at(now, 700)).window_ends_at == at(now, 1000)
    assert [minute for minute, each in enumerate(rolled, 1) if each.ended] == [17, 18]
    meters.change_limit(db, session_id=session_id, generation=1, limit_s=3600, now=at(now, 1081))
    assert meters.roll_due(db, now=at(now, 1081)).extended == [session_id]


def test_a_short_limit_holds_no_more_than_it_can_cost(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=charge_ucr(RATE, 90))
    session_id = make.meter(db, wallet_id, now=now, limit_s=90, started=False)
    assert queries.balance(db, wallet_id, now=now).free_ucr == 0
    meters.start(db, session_id=session_id, generation=1, started_at=at(now, 200), now=at(now, 201))
    meters.settle(db, session_id=session_id, generation=1, proven_s=90, ended_at=at(now, 290), now=at(now, 291))
    assert cost_of(db, session_id, at(now, 300)).debt_ucr == 0


def test_f32_a_price_that_changes_holds_for_the_next_window_and_the_statement_shows_both(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(100))
    session_id = make.meter(db, wallet_id, now=now)
    meters.reprice(db, [meters.Rate(session_id, 1, credits_ucr(28))], by=make.TESTS, now=at(now, 100))
    run_minutes(db, [session_id], now, range(1, 40))
    meters.settle(db, session_id=session_id, generation=1, proven_s=2345, ended_at=at(now, 2345), now=at(now, 2346))
    expected = charge_ucr(RATE, 900) + charge_ucr(credits_ucr(28), 2345 - 900)
    assert cost_of(db, session_id, at(now, 2346)).cost_ucr == expected
    lines = queries.statement(db, wallet_id, starts_at=now, ends_at=at(now, 9999), now=at(now, 2346)).lines
    (line,) = [line for line in lines if line.session_id]
    assert [(part.duration_s, part.rate_ucr_per_hour) for part in line.prices] == [(900, RATE), (1445, credits_ucr(28))]
    assert line.amount_ucr == -expected


@pytest.mark.parametrize("rate", [1, 7, 3599, 3601, credits_ucr(4), 4_000_001, MAX_RATE_UCR_PER_HOUR])
@pytest.mark.parametrize("offset_us", [0, 1, 999_999])
def test_f36_rounding_never_accumulates_and_nothing_overflows(db: Session, now: datetime, rate: int, offset_us: int) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, fund_id=make.fund(db, now=now, budget_ucr=10**18), amount_ucr=8 * 10**17, days=60)
    session_id = make.meter(db, wallet_id, now=now, rate_ucr_per_hour=rate, started=False)
    started_at = now + timedelta(seconds=17, microseconds=offset_us)
    meters.start(db, session_id=session_id, generation=1, started_at=started_at, now=at(now, 20))
    for minute in (11, 16, 26, 31, 41, 46):
        instant = at(now, 60 * minute)
        meters.record_proven(db, [meters.Proven(session_id, 1, started_at, int((instant - started_at).total_seconds()), instant)], now=instant)
        meters.roll_due(db, now=instant)
    instant = at(now, 60 * 53 + 1)
    meters.settle(db, session_id=session_id, generation=1, proven_s=3163, ended_at=instant, now=instant)
    found = cost_of(db, session_id, instant)
    assert (found.cost_ucr, found.debt_ucr, found.written_off_ucr) == (charge_ucr(rate, 3163), 0, 0)


def test_f36_the_highest_price_for_thirty_days_fits(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    rate = 10**9
    make.lot(db, wallet_id, now=now, fund_id=make.fund(db, now=now, budget_ucr=10**18), amount_ucr=9 * 10**17, days=60)
    session_id = make.meter(db, wallet_id, now=now, rate_ucr_per_hour=rate)
    month_s = 30 * 86_400
    meters.settle(db, session_id=session_id, generation=1, proven_s=month_s, ended_at=at(now, month_s), now=at(now, month_s))
    assert cost_of(db, session_id, at(now, month_s)).cost_ucr == charge_ucr(rate, month_s)


def test_f18_the_same_evidence_a_hundred_times_is_one_charge(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now)
    session_id = make.meter(db, wallet_id, now=now)
    evidence = make.proven(session_id, started_at=now, proven_s=905)
    meters.record_proven(db, [evidence] * 50, now=at(now, 906))
    for _ in range(50):
        meters.record_proven(db, [evidence], now=at(now, 906))
        meters.roll_due(db, now=at(now, 906))
    found = cost_of(db, session_id, at(now, 906))
    assert (found.booked_ucr, found.proven_s) == (WINDOW_UCR, 905)


def test_f19_any_order_and_duplication_of_evidence_gives_the_same_balances(db: Session, now: datetime) -> None:
    outcomes = set()
    minutes = [1, 7, 14, 16, 29, 31]
    orders = [*itertools.islice(itertools.permutations(minutes), 0, 720, 60), tuple(minutes), tuple(reversed(minutes))]
    for number, order in enumerate(orders):
        wallet_id = make.wallet(db, now=now)
        make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(1) + 5, days=1)
        make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(50), days=2)
        session_id = make.meter(db, wallet_id, now=now)
        shuffled = random.Random(number)  # noqa: S311 -- a shuffle, not a secret
        for step, minute in enumerate(order):
            instant = at(now, 1860 + step)
            for _ in range(shuffled.randint(1, 3)):
                meters.record_proven(db, [make.proven(session_id, started_at=now, proven_s=60 * minute)], now=instant)
            if shuffled.random() < 0.5:
                meters.roll_due(db, now=instant)
        meters.settle(db, session_id=session_id, generation=1, proven_s=60 * order[-1], ended_at=at(now, 1860), now=at(now, 1870))
        meters.roll_due(db, now=at(now, 1900))
        lots = [(lot.issued_ucr, lot.left_ucr) for lot in queries.lots_of_wallet(db, wallet_id, now=at(now, 1900))]
        outcomes.add((queries.balance(db, wallet_id, now=at(now, 1900)).balance_ucr, cost_of(db, session_id, at(now, 1900)).cost_ucr, str(lots)))
    assert len(outcomes) == 1
    assert next(iter(outcomes))[1] == charge_ucr(RATE, 1860)


def test_f07_after_an_outage_use_beyond_the_windows_is_paid_by_lots_valid_then_and_debt_is_one_window_at_most(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(3), expires_at=at(now, 3600))
    session_id = make.meter(db, wallet_id, now=now)
    later = at(now, 6 * 3600)
    assert expiry.sweep(db, now=later) == 0, "a lot waits for the use that may still be proven from before its end"
    meters.settle(db, session_id=session_id, generation=1, proven_s=3 * 3600, ended_at=at(now, 3 * 3600), now=later)
    found, cost = queries.balance(db, wallet_id, now=later), cost_of(db, session_id, later)
    assert (found.balance_ucr, found.held_ucr, found.debt_ucr) == (0, 0, WINDOW_UCR)
    assert (cost.cost_ucr, cost.debt_ucr, cost.written_off_ucr) == (credits_ucr(12), WINDOW_UCR, credits_ucr(12 - 3 - 1))


def test_after_an_outage_a_session_that_can_pay_goes_on(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(100))
    session_id = make.meter(db, wallet_id, now=now)
    later = at(now, 5000)
    meters.record_proven(db, [make.proven(session_id, started_at=now, proven_s=4990)], now=later)
    rolled = meters.roll_due(db, now=later)
    assert (rolled.extended, rolled.ended, rolled.refused) == ([session_id], [], [])
    assert cost_of(db, session_id, later).window_ends_at > at(later, 300)
    assert queries.balance(db, wallet_id, now=later).balance_ucr == credits_ucr(100) - charge_ucr(RATE, 5000)
    meters.roll_due(db, now=later)
    assert cost_of(db, session_id, later).booked_ucr == charge_ucr(RATE, 4500)


def test_evidence_after_the_end_is_charged_and_after_a_void_too(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
    settled, voided = make.meter(db, wallet_id, now=now), make.meter(db, wallet_id, now=now, started=False)
    meters.settle(db, session_id=settled, generation=1, proven_s=100, ended_at=at(now, 100), now=at(now, 101))
    meters.void(db, session_id=voided, generation=1, reason="spawn_failed", now=at(now, 101))
    assert cost_of(db, voided, at(now, 101)).state == MeterState.VOIDED
    three_days = at(now, 3 * 86_400)
    meters.record_proven(db, [make.proven(settled, started_at=now, proven_s=160), make.proven(voided, started_at=at(now, 50), proven_s=30)], now=three_days)
    assert sorted(meters.roll_due(db, now=three_days).booked_late) == sorted([settled, voided])
    assert cost_of(db, settled, three_days).cost_ucr == charge_ucr(RATE, 160)
    assert cost_of(db, voided, three_days).cost_ucr == charge_ucr(RATE, 30)
    assert cost_of(db, voided, three_days).state == MeterState.SETTLED
    assert meters.roll_due(db, now=three_days).booked_late == []


def test_f34_twenty_failed_starts_cost_nothing(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
    session_id = uuid.uuid4()
    for generation in range(1, 21):
        terms = {"session_id": session_id, "generation": generation}
        meters.authorise(db, **terms, wallet_id=wallet_id, charge_class="cpu", rate_ucr_per_hour=RATE, label="Lab", by=make.TESTS, now=now)  # type: ignore[arg-type]
        for _ in range(2):
            meters.void(db, **terms, reason="spawn_failed", now=at(now, generation))  # type: ignore[arg-type]
    found = queries.balance(db, wallet_id, now=at(now, 30))
    assert (found.balance_ucr, found.held_ucr) == (credits_ucr(10), 0)
    assert cost_of(db, session_id, at(now, 30)).cost_ucr == 0


def test_f26_two_generations_of_one_session_are_charged_apart_and_shown_together(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
    session_id = make.meter(db, wallet_id, now=now)
    meters.settle(db, session_id=session_id, generation=1, proven_s=50, ended_at=at(now, 50), now=at(now, 51))
    terms = {"session_id": session_id, "generation": 2}
    meters.authorise(db, **terms, wallet_id=wallet_id, charge_class="cpu", rate_ucr_per_hour=RATE, label="Lab", by=make.TESTS, now=at(now, 51))  # type: ignore[arg-type]
    meters.settle(db, **terms, proven_s=70, ended_at=at(now, 121), now=at(now, 122))  # type: ignore[arg-type]
    assert cost_of(db, session_id, at(now, 130)).cost_ucr == charge_ucr(RATE, 50) + charge_ucr(RATE, 70)


def test_nothing_is_proven_beyond_the_time_since_it_was_authorised(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now)
    session_id = make.meter(db, wallet_id, now=now)
    meters.record_proven(db, [make.proven(session_id, started_at=at(now, -500), proven_s=10_000)], now=at(now, 60))
    assert cost_of(db, session_id, at(now, 60)).proven_s == 60


def test_lots_on_the_page_add_up_to_the_balance_while_sessions_run(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    for amount in (1, 400_000, 700_001, credits_ucr(9)):
        make.lot(db, wallet_id, now=now, amount_ucr=amount)
    for _ in range(3):
        make.meter(db, wallet_id, now=now)
    for seconds in (0, 1, 399, 400, 899):
        found = queries.balance(db, wallet_id, now=at(now, seconds))
        lots = queries.lots_of_wallet(db, wallet_id, now=at(now, seconds))
        assert sum(lot.left_ucr for lot in lots) == found.balance_ucr
        assert sum(lot.held_ucr for lot in lots) == found.held_ucr
        assert min(lot.left_ucr for lot in lots) >= 0


def test_balance_at_read_uses_its_indexes(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now)
    make.meter(db, wallet_id, now=now)
    with count_queries() as seen:
        queries.balance(db, wallet_id, now=now)
    assert len(seen) == 1
    db.execute(text("SET LOCAL enable_seqscan = off"))
    assert all(result.holds for result in verify.run(db, now=now))
