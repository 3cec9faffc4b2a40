"""Meters: windows, cost at read, booking, release, lapse, debt, late evidence."""

import uuid
from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from portal.core.quantities import charge_ucr, credits_ucr
from portal.credits import queries
from portal.credits.operations import expiry, meters
from portal.credits.states import MeterState
from tests.factories import credits as make

RATE = credits_ucr(4)


def at(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


def three(db: Session, wallet_id: uuid.UUID, now: datetime) -> tuple[int, int, int]:
    found = queries.balance(db, wallet_id, now=now)
    assert found.balance_ucr == found.held_ucr + found.free_ucr
    return found.balance_ucr, found.held_ucr, found.free_ucr


def test_authorise_holds_one_window(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
    window = meters.authorise(
        db, session_id=uuid.uuid4(), generation=1, wallet_id=wallet_id, charge_class="cpu", rate_ucr_per_hour=RATE, label="Lab", by=make.TESTS, now=now
    )
    assert (window.starts_at, window.ends_at, window.amount_ucr) == (now, at(now, 900), credits_ucr(1))
    assert three(db, wallet_id, now) == (credits_ucr(10), credits_ucr(1), credits_ucr(9))


def test_balance_is_exact_to_the_second_at_every_read(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
    session_id = make.meter(db, wallet_id, now=now)
    for seconds in (0, 1, 7, 450, 899, 900, 901, 5000):
        cost = charge_ucr(RATE, min(seconds, 900))
        assert three(db, wallet_id, at(now, seconds)) == (credits_ucr(10) - cost, credits_ucr(1) - cost, credits_ucr(9))
        shown = queries.session_costs(db, [session_id], now=at(now, seconds))[session_id]
        assert (shown.cost_ucr, shown.duration_s, shown.held_ucr) == (cost, min(seconds, 900), credits_ucr(1) - cost)


def test_settle_books_what_is_proven_and_gives_the_rest_back(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
    session_id = make.meter(db, wallet_id, now=now)
    for _ in range(2):
        meters.settle(db, session_id=session_id, generation=1, proven_s=61, ended_at=at(now, 61), now=at(now, 70))
        assert three(db, wallet_id, at(now, 70)) == (credits_ucr(10) - charge_ucr(RATE, 61), 0, credits_ucr(10) - charge_ucr(RATE, 61))
    assert queries.session_costs(db, [session_id], now=at(now, 70))[session_id].state == MeterState.SETTLED


def test_rolling_books_ended_windows_and_holds_the_next(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
    session_id = make.meter(db, wallet_id, now=now)
    assert meters.roll_due(db, now=at(now, 599)).extended == []
    assert meters.roll_due(db, now=at(now, 600)).extended == [session_id]
    assert three(db, wallet_id, at(now, 600)) == (credits_ucr(10) - charge_ucr(RATE, 600), credits_ucr(2) - charge_ucr(RATE, 600), credits_ucr(8))
    meters.record_proven(db, [make.proven(session_id, started_at=now, proven_s=930)], now=at(now, 931))
    meters.roll_due(db, now=at(now, 931))
    cost = queries.session_costs(db, [session_id], now=at(now, 931))[session_id]
    assert (cost.booked_ucr, cost.window_ends_at) == (credits_ucr(1), at(now, 1800))
    assert three(db, wallet_id, at(now, 931))[0] == credits_ucr(10) - charge_ucr(RATE, 931)


def test_a_session_that_never_starts_costs_nothing(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10))
    session_id = make.meter(db, wallet_id, now=now, started=False)
    assert meters.roll_due(db, now=at(now, 899)).lapsed == []
    assert meters.roll_due(db, now=at(now, 900)).lapsed == [session_id]
    assert three(db, wallet_id, at(now, 900)) == (credits_ucr(10), 0, credits_ucr(10))
    assert meters.roll_due(db, now=at(now, 960)).lapsed == []


def test_no_credit_says_what_is_needed_and_what_is_free(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(1) - 1)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(50), classes=frozenset({"cpu"}))
    with pytest.raises(meters.NoCredit) as refusal:
        make.meter(db, wallet_id, now=now)
    assert (refusal.value.needed_ucr, refusal.value.free_ucr) == (credits_ucr(1), credits_ucr(1) - 1)


def test_expiry_moves_what_is_left_to_breakage_once(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10), days=1)
    later = now + timedelta(days=1)
    assert three(db, wallet_id, later) == (0, 0, 0)
    assert (expiry.sweep(db, now=later), expiry.sweep(db, now=later)) == (1, 0)
