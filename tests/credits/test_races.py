"""Two real connections and more: credit and budget are never given twice, retries have one effect."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from portal.core.database import transaction
from portal.core.ids import new_id
from portal.core.quantities import credits_ucr
from portal.credits import queries
from portal.credits.operations import expiry, grants, journal, meters
from tests.credits.conftest import check
from tests.factories import credits as make

Sessions = sessionmaker[Session]
RETRIED = {"40001", "40P01", "55P03"}


def tried(sessions: Sessions, work: Callable[[Session], object]) -> object:
    """Run work in its own transaction, tried again as the web layer does; return its result or its refusal."""
    for _ in range(5):
        try:
            with transaction(sessions) as db:
                return work(db)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in RETRIED:
                raise
        except Exception as error:
            return error
    raise AssertionError("busy five times")


def in_parallel(sessions: Sessions, works: list[Callable[[Session], object]], *, threads: int = 12) -> list[object]:
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda work: tried(sessions, work), works))


def test_f27_a_hundred_authorisations_on_credit_for_fifty_give_exactly_fifty(own_sessions: Sessions, now: datetime) -> None:
    with transaction(own_sessions) as db:
        wallet_id = make.wallet(db, now=now)
        for _ in range(5):
            make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
    works = [lambda db: make.meter(db, wallet_id, now=now) for _ in range(100)]
    results = in_parallel(own_sessions, works)  # type: ignore[arg-type]
    assert sum(isinstance(result, uuid.UUID) for result in results) == 50
    assert sum(isinstance(result, meters.NoCredit) for result in results) == 50
    with transaction(own_sessions) as db:
        found = queries.balance(db, wallet_id, now=now)
        assert (found.balance_ucr, found.held_ucr, found.free_ucr) == (credits_ucr(50), credits_ucr(50), 0)
        check(db, now=now)


def test_f28_the_same_authorisation_twenty_times_at_once_has_one_effect(own_sessions: Sessions, now: datetime) -> None:
    with transaction(own_sessions) as db:
        wallet_id = make.wallet(db, now=now)
        make.lot(db, wallet_id, now=now)
    session_id = new_id()

    def same(db: Session) -> object:
        return meters.authorise(
            db,
            session_id=session_id,
            generation=1,
            wallet_id=wallet_id,
            charge_class="cpu",
            rate_ucr_per_hour=credits_ucr(4),
            label="Lab",
            by=make.TESTS,
            now=now,
        )

    results = in_parallel(own_sessions, [same] * 20)
    assert len(set(results)) == 1
    assert isinstance(results[0], meters.Window)
    with transaction(own_sessions) as db:
        assert queries.balance(db, wallet_id, now=now).held_ucr == credits_ucr(1)
        check(db, now=now)


def test_f38_two_approvers_grant_the_last_budget_and_one_succeeds(own_sessions: Sessions, now: datetime) -> None:
    with transaction(own_sessions) as db:
        fund_id = make.fund(db, now=now, budget_ucr=credits_ucr(100))
        wallet_ids = [make.wallet(db, now=now), make.wallet(db, now=now)]
    works = [lambda db, wallet_id=wallet_id: make.lot(db, wallet_id, now=now, fund_id=fund_id) for wallet_id in wallet_ids]
    results = in_parallel(own_sessions, works)  # type: ignore[arg-type]
    assert sorted(type(result).__name__ for result in results) == ["OverBudget", "UUID"]
    with transaction(own_sessions) as db:
        check(db, now=now)


def test_the_same_grant_from_ten_requests_gives_one_lot(own_sessions: Sessions, now: datetime) -> None:
    with transaction(own_sessions) as db:
        fund_id, wallet_id = make.fund(db, now=now), make.wallet(db, now=now)
    grant_id = new_id()

    def give(db: Session) -> object:
        terms = {"purpose": "Tranche 1", "classes": None, "effective_at": now, "expires_at": now + timedelta(days=30)}
        return grants.give(db, grant_id=grant_id, wallet_id=wallet_id, fund_id=fund_id, amount_ucr=credits_ucr(7), by=make.TESTS, now=now, **terms)  # type: ignore[arg-type]

    results = in_parallel(own_sessions, [give] * 10)
    assert len(set(results)) == 1
    assert isinstance(results[0], uuid.UUID)
    with transaction(own_sessions) as db:
        assert queries.balance(db, wallet_id, now=now).free_ucr == credits_ucr(7)


def test_a_reused_key_with_another_body_is_refused_and_the_alarm_stays(own_sessions: Sessions, now: datetime) -> None:
    with transaction(own_sessions) as db:
        fund_id, wallet_id = make.fund(db, now=now), make.wallet(db, now=now)
    grant_id = new_id()

    def give(amount_ucr: int) -> Callable[[Session], object]:
        terms = {"purpose": "Tranche 1", "classes": None, "effective_at": now, "expires_at": now + timedelta(days=30)}
        return lambda db: grants.give(db, grant_id=grant_id, wallet_id=wallet_id, fund_id=fund_id, amount_ucr=amount_ucr, by=make.TESTS, now=now, **terms)  # type: ignore[arg-type]

    assert isinstance(tried(own_sessions, give(7)), uuid.UUID)
    assert isinstance(tried(own_sessions, give(8)), journal.KeyReused)
    with transaction(own_sessions) as db:
        assert queries.balance(db, wallet_id, now=now).free_ucr == 7
        alarms = db.execute(text("SELECT subject_id FROM audit_event WHERE action = 'refused_reused_key'")).scalars().all()
        assert alarms == [f"grant:{grant_id}"]


def test_f16_rolling_settling_and_expiry_by_two_workers_at_once_have_one_effect(own_sessions: Sessions, now: datetime) -> None:
    with transaction(own_sessions) as db:
        wallet_ids = [make.wallet(db, now=now) for _ in range(6)]
        session_ids = []
        for wallet_id in wallet_ids:
            make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(20), days=0.02)
            make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(20))
            session_ids += [make.meter(db, wallet_id, now=now) for _ in range(3)]
    for minute in range(1, 41):
        instant = now + timedelta(minutes=minute)
        rows = [make.proven(session_id, started_at=now, proven_s=60 * minute) for session_id in session_ids]
        works: list[Callable[[Session], object]] = []
        for _ in range(2):
            works += [
                lambda db, rows=rows, instant=instant: meters.record_proven(db, rows, now=instant),
                lambda db, instant=instant: meters.roll_due(db, now=instant),
                lambda db, instant=instant: expiry.sweep(db, now=instant),
            ]
        failures = [result for result in in_parallel(own_sessions, works, threads=6) if isinstance(result, Exception)]
        assert failures == []
    ended = now + timedelta(minutes=40)
    works = [
        lambda db, session_id=session_id: meters.settle(db, session_id=session_id, generation=1, proven_s=2400, ended_at=ended, now=ended)
        for session_id in session_ids
        for _ in range(2)
    ]
    assert [result for result in in_parallel(own_sessions, works) if result is not None] == []
    with transaction(own_sessions) as db:
        check(db, now=ended)
        costs = queries.session_costs(db, session_ids, now=ended)
        assert {cost.cost_ucr for cost in costs.values()} == {credits_ucr(4) * 2400 // 3600}
        assert {cost.debt_ucr for cost in costs.values()} == {0}


def test_a_stuck_wallet_does_not_stop_the_others_from_rolling(own_sessions: Sessions, now: datetime) -> None:
    with transaction(own_sessions) as db:
        stuck_id, other_id = make.wallet(db, now=now), make.wallet(db, now=now)
        for wallet_id in (stuck_id, other_id):
            make.lot(db, wallet_id, now=now)
        stuck, other = make.meter(db, stuck_id, now=now), make.meter(db, other_id, now=now)
    later = now + timedelta(seconds=700)
    with transaction(own_sessions) as holder:
        holder.execute(text("SELECT 1 FROM wallet WHERE id = :id FOR UPDATE"), {"id": stuck_id})
        with transaction(own_sessions) as db:
            rolled = meters.roll_due(db, now=later)
    assert (rolled.extended, rolled.skipped) == ([other], [stuck])
    with transaction(own_sessions) as db:
        assert meters.roll_due(db, now=later).extended == [stuck]
        check(db, now=later)


@pytest.mark.parametrize("table", ["ledger_transaction", "ledger_entry", "lot", "meter_segment"])
def test_what_is_booked_is_never_changed(own_sessions: Sessions, now: datetime, table: str) -> None:
    with transaction(own_sessions) as db:
        wallet_id = make.wallet(db, now=now)
        make.lot(db, wallet_id, now=now)
        make.meter(db, wallet_id, now=now)
    column = {"ledger_transaction": "key", "ledger_entry": "amount_ucr", "lot": "purpose", "meter_segment": "starts_s"}[table]
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(DBAPIError, match="permission denied"), transaction(own_sessions) as db:
            db.execute(text(statement))
        with pytest.raises(DBAPIError, match="never changed or deleted"), transaction(own_sessions) as db:
            db.execute(text(f"SET LOCAL ROLE NONE; {statement}"))  # even the owner, who has every privilege


def test_a_roll_rests_between_batches_while_others_write_and_never_when_it_is_late(own_sessions: Sessions, now: datetime) -> None:
    with transaction(own_sessions) as db:
        wallet_id = make.wallet(db, now=now)
        make.lot(db, wallet_id, now=now)
        for _ in range(7):
            make.meter(db, wallet_id, now=now)
    due = now + timedelta(seconds=605)

    def roll_two(at: datetime) -> meters.Rolled:
        with transaction(own_sessions) as db:
            return meters.roll_due(db, now=at, most=2)

    alone = roll_two(due)
    is_over = threading.Event()

    def write_on() -> None:
        while not is_over.is_set():
            with transaction(own_sessions) as db:
                db.execute(text("SELECT pg_current_xact_id()"))

    writer = threading.Thread(target=write_on)
    writer.start()
    beside, late = roll_two(due), roll_two(due + timedelta(minutes=3))
    is_over.set()
    writer.join()
    assert (alone.has_more, alone.rest_s) == (True, 0)
    assert (beside.has_more, beside.is_late, beside.rest_s > 0) == (True, False, True)
    assert (late.has_more, late.is_late, late.rest_s) == (True, True, 0)
