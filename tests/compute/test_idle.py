"""A session that is stopped for idleness is not charged after its last activity and the grace: the sums, and where they go back to."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.compute import queries
from portal.compute.operations import endings, observations, sessions
from portal.compute.states import StopCause
from portal.core.quantities import charge_ucr, credits_ucr
from portal.credits import queries as ledger
from portal.credits.operations import debts
from portal.settings import BadSetting, load
from tests.compute.test_incidents import letters
from tests.credits.conftest import check
from tests.factories import compute as make
from tests.factories import credits as credit

RATE = credits_ucr(4)
MINUTE = timedelta(minutes=1)
GRACE = 15 * MINUTE


@pytest.fixture(autouse=True)
def _ledger_verifies(request: pytest.FixtureRequest) -> Iterator[None]:
    if "db" not in request.fixturenames:
        yield
        return
    db, now = request.getfixturevalue("db"), request.getfixturevalue("now")
    yield
    check(db, now=now)


def stopped_idle(db: Session, by: make.Spender, *, now: datetime, idle_since_min: float, ran_min: int, **more: Any):  # type: ignore[no-untyped-def]
    """Run a session, stop it for idleness at its last minute, and let its end be seen."""
    session_id, plugin = make.running(db, by, now=now, **more)
    end = now + ran_min * MINUTE
    make.deliver(db, [plugin.seen(60 * ran_min - 5)], now=end)
    idle = {"cause": StopCause.IDLE, "idle_since": now + idle_since_min * MINUTE, "grace": GRACE}
    sessions.stop(db, session_id=session_id, by=make.TESTS, now=end, **idle)
    make.deliver(db, [plugin.exited(60 * ran_min)], now=end)
    return session_id, plugin, end


def balance(db: Session, by: make.Spender, at: datetime) -> int:
    return ledger.balance(db, by.wallet_id, now=at).balance_ucr


def test_what_lies_after_the_last_activity_and_the_grace_goes_back(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, _, end = stopped_idle(db, ada, now=now, idle_since_min=20, ran_min=55)

    paid_ucr, back_ucr = charge_ucr(RATE, 35 * 60), charge_ucr(RATE, 55 * 60) - charge_ucr(RATE, 35 * 60)
    assert balance(db, ada, end) == credits_ucr(100) - paid_ucr
    view = queries.session_by_id(db, session_id, actor=ada.actor, now=end)
    assert (view.cost_ucr, view.given_back_ucr, view.stop_cause) == (paid_ucr + back_ucr, back_ucr, StopCause.IDLE)
    assert [letter["back_ucr"] for letter in letters(db, "compute.idle_refunded")] == [back_ucr]
    assert db.execute(text("SELECT count(*) FROM ledger_transaction WHERE operation = 'correction'")).scalar_one() == 1


@pytest.mark.parametrize(("idle_since_min", "ran_min", "paid_s"), [(20, 30, 1800), (20, 35, 2100), (-60, 30, 0), (0, 30, 900), (14.99, 30, 1799)])
def test_a_tail_within_the_grace_is_paid_and_none_is_more_than_the_session(
    db: Session, now: datetime, idle_since_min: float, ran_min: int, paid_s: int
) -> None:
    ada = make.spender(db, now=now)
    _, _, end = stopped_idle(db, ada, now=now, idle_since_min=idle_since_min, ran_min=ran_min)
    assert balance(db, ada, end) == credits_ucr(100) - charge_ucr(RATE, paid_s)


def test_the_tail_goes_back_to_the_lots_that_paid_it_the_last_first(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now, balance=0)
    soon = credit.lot(db, ada.wallet_id, now=now, amount_ucr=credits_ucr(2), days=1)
    late = credit.lot(db, ada.wallet_id, now=now, amount_ucr=credits_ucr(10), days=30)
    _, _, end = stopped_idle(db, ada, now=now, idle_since_min=0, ran_min=55)
    left = {row.id: row.balance_ucr for row in db.execute(text("SELECT l.id, a.balance_ucr FROM lot l JOIN ledger_account a ON a.id = l.available_account_id"))}
    assert left == {soon: credits_ucr(2) - charge_ucr(RATE, 900), late: credits_ucr(10)}
    assert balance(db, ada, end) == credits_ucr(12) - charge_ucr(RATE, 900)


def test_a_debt_of_the_tail_is_lifted_before_anything_goes_back(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now, balance=2)
    session_id, plugin = make.running(db, ada, now=now)
    end = now + 40 * MINUTE
    sessions.stop(db, session_id=session_id, by=ada.actor, now=end, cause=StopCause.IDLE, idle_since=now + 5 * MINUTE, grace=GRACE)
    make.deliver(db, [plugin.exited(2400)], now=end)
    assert debts.of_wallet(db, ada.wallet_id).usage_ucr == 0
    assert balance(db, ada, end) == credits_ucr(2) - charge_ucr(RATE, 1200)


def test_evidence_that_comes_later_is_not_charged_either(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin, end = stopped_idle(db, ada, now=now, idle_since_min=20, ran_min=55)
    for _ in range(2):
        make.deliver(db, [plugin.seen(60 * 58)], now=end + 5 * MINUTE)
    assert make.row_of(db, session_id).proven_s == 58 * 60
    assert balance(db, ada, end) == credits_ucr(100) - charge_ucr(RATE, 35 * 60)


def test_an_idle_session_whose_end_nobody_saw_gets_its_tail_back_too(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now)
    end = now + 40 * MINUTE
    make.deliver(db, [plugin.seen(2400)], now=end)
    sessions.stop(db, session_id=session_id, by=ada.actor, now=end, cause=StopCause.IDLE, idle_since=now, grace=GRACE)
    row = make.row_of(db, session_id)
    endings.lose(db, row, observations.lives(db, {row.id: row})[row.id], by=make.TESTS, now=end + 6 * MINUTE)
    assert balance(db, ada, end + 6 * MINUTE) == credits_ucr(100) - charge_ucr(RATE, 900)


def test_an_instant_and_the_cause_come_together(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, _ = make.running(db, ada, now=now)
    for terms in ({"cause": StopCause.IDLE}, {"cause": StopCause.PERSON, "idle_since": now}):
        with pytest.raises(ValueError, match="idleness"):
            sessions.stop(db, session_id=session_id, by=ada.actor, now=now, **terms)  # type: ignore[arg-type]


def test_the_grace_is_a_setting_in_minutes(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from tests.conftest import make_settings

    assert make_settings("postgresql://x/y", tmp_path).idle_grace_s == 900
    secret = "x" * 40
    env = {"PORTAL_URL": "http://a", "HUB_URL": "http://b", "HUB_REST_URL": "http://b", "DATABASE_URL": "postgresql://x/y"}
    env |= dict.fromkeys(("PORTAL_SECRET_KEY", "PORTAL_PASSWORD_SALT", "PORTAL_TOTP_SECRET", "HUB_PLUGIN_KEY", "HUB_OIDC_SECRET"), secret)
    assert load(env | {"IDLE_GRACE_MINUTES": "20"}).idle_grace_s == 1200
    for wrong in ("-1", "soon", "1441", "1.5"):
        with pytest.raises(BadSetting, match="IDLE_GRACE_MINUTES"):
            load(env | {"IDLE_GRACE_MINUTES": wrong})
