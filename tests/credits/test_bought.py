"""Bought credits: issued once, clawed back to a target whatever the order, frozen, reinstated, and debts that they pay."""

import itertools
import uuid
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core.ids import new_id
from portal.core.quantities import charge_ucr, credits_ucr
from portal.credits import queries
from portal.credits.operations import debts, expiry, grants, journal, meters, purchases
from portal.credits.states import MeterState
from tests.credits.conftest import check
from tests.factories import credits as make

RATE = credits_ucr(4)
HUNDRED = credits_ucr(100)


def buy(db: Session, wallet_id: uuid.UUID, *, now: datetime, amount_ucr: int = HUNDRED, purchase_id: uuid.UUID | None = None) -> uuid.UUID:
    purchase_id = purchase_id or new_id()
    purchases.issue(db, purchase_id=purchase_id, wallet_id=wallet_id, amount_ucr=amount_ucr, expires_at=now + timedelta(days=365), by=make.TESTS, now=now)
    return purchase_id


def adjust(db: Session, purchase_id: uuid.UUID, *, now: datetime, clawed: int = 0, frozen: int = 0) -> purchases.Adjusted:
    return purchases.adjust(db, purchase_id=purchase_id, clawed_ucr=credits_ucr(clawed), frozen_ucr=credits_ucr(frozen), by=make.TESTS, now=now)


def spend(db: Session, wallet_id: uuid.UUID, seconds: int, *, now: datetime) -> None:
    """Use seconds at four credits an hour, settled at once."""
    session_id = make.meter(db, wallet_id, now=now)
    end = now + timedelta(seconds=seconds)
    for minute in range(10, seconds // 60 + 1, 10):
        at = now + timedelta(minutes=minute)
        meters.record_proven(db, [make.proven(session_id, started_at=now, proven_s=60 * minute)], now=at)
        meters.roll_due(db, now=at)
    meters.settle(db, session_id=session_id, generation=1, proven_s=seconds, ended_at=end, now=end)


def free(db: Session, wallet_id: uuid.UUID, now: datetime) -> int:
    return queries.balance(db, wallet_id, now=now).free_ucr


def test_purchase_is_issued_once_however_often_it_is_reported(db: Session, now: datetime) -> None:
    wallet_id, purchase_id = make.wallet(db, now=now), new_id()
    terms = {"purchase_id": purchase_id, "wallet_id": wallet_id, "amount_ucr": HUNDRED, "expires_at": now + timedelta(days=365), "by": make.TESTS}
    assert len({purchases.issue(db, **terms, now=now + timedelta(seconds=i)) for i in range(5)}) == 1
    assert free(db, wallet_id, now) == HUNDRED
    with pytest.raises(journal.KeyReused):
        purchases.issue(db, **terms | {"amount_ucr": HUNDRED + 1}, now=now)


def test_given_credits_are_spent_before_bought_ones_of_the_same_end(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    end = now + timedelta(days=365)
    buy(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10), expires_at=end)
    make.meter(db, wallet_id, now=now)
    held = db.execute(text("SELECT l.is_bought FROM hold_share s JOIN lot l ON l.id = s.lot_id")).scalars().all()
    assert held == [False]


def test_refund_takes_what_is_there_and_the_rest_becomes_a_debt_that_blocks(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    purchase_id = buy(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
    spend(db, wallet_id, 7200, now=now)
    later = now + timedelta(hours=3)
    assert free(db, wallet_id, later) == credits_ucr(2)

    adjusted = adjust(db, purchase_id, clawed=10, now=later)

    assert adjusted == purchases.Adjusted(credits_ucr(10), credits_ucr(8), 0)
    assert (free(db, wallet_id, later), debts.of_wallet(db, wallet_id).clawback_ucr) == (0, credits_ucr(8))
    make.lot(db, wallet_id, now=later, amount_ucr=credits_ucr(50))
    assert debts.of_wallet(db, wallet_id).clawback_ucr == credits_ucr(8), "a sponsor's credits never pay it"
    with pytest.raises(meters.WalletBlocked):
        make.meter(db, wallet_id, now=later)
    buy(db, wallet_id, now=later, amount_ucr=credits_ucr(20))
    assert debts.of_wallet(db, wallet_id).clawback_ucr == 0
    assert free(db, wallet_id, later) == credits_ucr(50 + 12)
    make.meter(db, wallet_id, now=later)


def test_never_more_is_clawed_back_than_was_issued(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    purchase_id = buy(db, wallet_id, now=now)
    for bad in ({"clawed": 101}, {"clawed": -1}, {"frozen": -1}):
        with pytest.raises(purchases.BeyondPurchase):
            adjust(db, purchase_id, now=now, **bad)
    assert free(db, wallet_id, now) == HUNDRED


def test_dispute_freezes_first_then_takes_from_what_is_frozen_or_gives_it_back(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    lost, won = (buy(db, wallet_id, now=now) for _ in range(2))
    for purchase_id in (lost, won):
        adjust(db, purchase_id, frozen=60, now=now)
    assert free(db, wallet_id, now) == credits_ucr(80)
    adjust(db, lost, clawed=60, now=now)
    adjust(db, won, now=now)
    assert free(db, wallet_id, now) == credits_ucr(40 + 100)
    assert debts.of_wallet(db, wallet_id).clawback_ucr == 0


def test_failed_refund_is_reinstated_and_lifts_the_debt_first(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    purchase_id = buy(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
    spend(db, wallet_id, 7200, now=now)
    later = now + timedelta(hours=3)
    adjust(db, purchase_id, clawed=10, now=later)
    adjust(db, purchase_id, clawed=5, now=later)
    assert (free(db, wallet_id, later), debts.of_wallet(db, wallet_id).clawback_ucr) == (0, credits_ucr(3))
    adjust(db, purchase_id, clawed=0, now=later)
    assert (free(db, wallet_id, later), debts.of_wallet(db, wallet_id).clawback_ucr) == (credits_ucr(2), 0)


@pytest.mark.parametrize("order", list(itertools.permutations([(30, 0), (30, 20), (50, 20), (50, 0)])))
def test_f30_targets_in_any_order_end_in_the_last_one(db: Session, now: datetime, order: tuple[tuple[int, int], ...]) -> None:
    wallet_id = make.wallet(db, now=now)
    purchase_id = buy(db, wallet_id, now=now)
    for clawed, frozen in [*order, *order, (50, 0)]:
        adjust(db, purchase_id, clawed=clawed, frozen=frozen, now=now)
        check(db, now=now)
    assert (free(db, wallet_id, now), debts.of_wallet(db, wallet_id).clawback_ucr) == (credits_ucr(50), 0)


def test_what_a_running_session_holds_pays_the_debt_when_it_comes_back(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    purchase_id = buy(db, wallet_id, now=now, amount_ucr=credits_ucr(1))
    session_id = make.meter(db, wallet_id, now=now)
    adjust(db, purchase_id, clawed=1, now=now)
    assert debts.of_wallet(db, wallet_id).clawback_ucr == credits_ucr(1), "held credits are not touched"
    at = now + timedelta(minutes=12)
    meters.record_proven(db, [make.proven(session_id, started_at=now, proven_s=720)], now=at)
    assert meters.roll_due(db, now=at).refused == [session_id], "no window more while it owes"
    meters.settle(db, session_id=session_id, generation=1, proven_s=720, ended_at=at, now=at)
    back_ucr = credits_ucr(1) - charge_ucr(RATE, 720)
    assert debts.collect(db, now=at) == 1
    assert (free(db, wallet_id, at), debts.of_wallet(db, wallet_id).clawback_ucr) == (0, credits_ucr(1) - back_ucr)
    assert debts.collect(db, now=at) == 0


def test_bought_credits_pay_use_that_was_proven_after_the_credit_was_gone(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(1))
    session_id = make.meter(db, wallet_id, now=now)
    end = now + timedelta(minutes=25)
    meters.settle(db, session_id=session_id, generation=1, proven_s=1500, ended_at=end, now=end)
    owed_ucr = debts.of_wallet(db, wallet_id).usage_ucr
    assert owed_ucr == charge_ucr(RATE, 1500) - credits_ucr(1)
    buy(db, wallet_id, now=end, amount_ucr=credits_ucr(5))
    assert (free(db, wallet_id, end), debts.of_wallet(db, wallet_id).usage_ucr) == (credits_ucr(5) - owed_ucr, 0)


def test_bought_credits_that_end_unused_are_booked_apart_from_the_funds(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    buy(db, wallet_id, now=now)
    assert expiry.sweep(db, now=now + timedelta(days=366)) == 1
    query = "SELECT sum(e.amount_ucr) FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id WHERE a.name = 'breakage:purchased'"
    assert db.execute(text(query)).scalar_one() == HUNDRED


@pytest.mark.parametrize("amount", [0, -1, 2**63])
def test_f37_amounts_that_are_none_are_refused(db: Session, now: datetime, amount: int) -> None:
    wallet_id = make.wallet(db, now=now)
    with pytest.raises(grants.BadAmount):
        buy(db, wallet_id, now=now, amount_ucr=amount)


def test_debt_is_written_off_by_two_people_outside_the_project(db: Session, now: datetime) -> None:
    from portal.core.access import Role
    from tests.factories import identity as people

    one, two = (people.person(db, roles=[Role.FINANCE], now=now).actor for _ in range(2))
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(1))
    session_id = make.meter(db, wallet_id, now=now)
    end = now + timedelta(minutes=25)
    meters.settle(db, session_id=session_id, generation=1, proven_s=1500, ended_at=end, now=end)
    owed_ucr = debts.of_wallet(db, wallet_id).usage_ucr
    terms = {"write_off_id": new_id(), "wallet_id": wallet_id, "amount_ucr": owed_ucr, "reason": "Our own outage", "now": end}

    with pytest.raises(debts.NeedsAnother):
        debts.write_off(db, **terms, by=one, approved_by=one)
    with pytest.raises(debts.NoDebt):
        debts.write_off(db, **terms | {"amount_ucr": owed_ucr + 1}, by=one, approved_by=two)
    for _ in range(2):
        debts.write_off(db, **terms, by=one, approved_by=two)

    assert debts.of_wallet(db, wallet_id).usage_ucr == 0
    assert queries.session_costs(db, [session_id], now=end)[session_id].state == MeterState.SETTLED


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(["adjust", "spend", "buy", "collect"]), st.integers(0, 10), st.integers(0, 10)), max_size=12))
def test_any_history_of_refunds_and_use_verifies_and_ends_at_its_targets(db: Session, now: datetime, steps: list[tuple[str, int, int]]) -> None:
    with db.begin_nested() as savepoint:
        wallet_id = make.wallet(db, now=now)
        purchase_id = buy(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
        at, clawed = now, 0
        for step, one, two in steps:
            at += timedelta(hours=2)
            if step == "adjust":
                clawed = one
                adjust(db, purchase_id, clawed=one, frozen=min(two, 10 - one), now=at)
            elif step == "buy":
                buy(db, wallet_id, now=at, amount_ucr=credits_ucr(one + 1))
            elif step == "collect":
                debts.collect(db, now=at)
            else:
                try:
                    spend(db, wallet_id, 60 * (one + 1), now=at)
                except (meters.NoCredit, meters.WalletBlocked):
                    continue
        check(db, now=at)
        adjust(db, purchase_id, clawed=clawed, now=at)
        back = "SELECT sum(e.amount_ucr) FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id JOIN ledger_account a ON a.id = e.account_id"
        total = db.execute(text(f"{back} WHERE t.operation = 'clawback' AND a.kind = 'purchased' AND t.purchase_id = :id"), {"id": purchase_id}).scalar_one()
        assert (total or 0) == credits_ucr(clawed)
        savepoint.rollback()
