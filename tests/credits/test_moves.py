"""Credits that move: revoked, transferred, lent, given a later end, made good, given back."""

import uuid
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from portal.core.database import transaction
from portal.core.ids import new_id
from portal.core.quantities import charge_ucr, credits_ucr
from portal.credits import queries
from portal.credits.operations import corrections, debts, expiry, grants, journal, lots, make_good, meters, purchases, revocations, transfers
from portal.credits.queries.statements import statement
from portal.credits.states import FaultRule
from tests.credits.conftest import check
from tests.credits.test_races import in_parallel
from tests.factories import credits as make

RATE = credits_ucr(4)


def free(db: Session, wallet_id: uuid.UUID, now: datetime) -> int:
    return queries.balance(db, wallet_id, now=now).free_ucr


def move(db: Session, lot_id: uuid.UUID, target_id: uuid.UUID, amount_ucr: int, *, now: datetime, transfer_id: uuid.UUID | None = None) -> uuid.UUID:
    transfer_id = transfer_id or new_id()
    return transfers.transfer(db, transfer_id=transfer_id, lot_id=lot_id, target_wallet_id=target_id, amount_ucr=amount_ucr, by=make.TESTS, now=now)


def fund_left(db: Session, fund_id: uuid.UUID) -> int:
    query = "SELECT a.balance_ucr - a.lower_bound_ucr FROM fund f JOIN ledger_account a ON a.id = f.issuance_account_id WHERE f.id = :id"
    return int(db.execute(text(query), {"id": fund_id}).scalar_one())


def test_f31_revoked_while_held_finishes_its_window_and_the_rest_goes_back(db: Session, now: datetime) -> None:
    wallet_id, fund_id = make.wallet(db, now=now), make.fund(db, now=now, budget_ucr=credits_ucr(100))
    lot_id = make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10), fund_id=fund_id)
    session_id = make.meter(db, wallet_id, now=now)

    assert revocations.revoke(db, lot_id=lot_id, reason="The project ended", by=make.TESTS, now=now) == credits_ucr(9)
    assert revocations.revoke(db, lot_id=lot_id, reason="The project ended", by=make.TESTS, now=now) == 0

    at = now + timedelta(minutes=11)
    meters.record_proven(db, [make.proven(session_id, started_at=now, proven_s=660)], now=at)
    assert meters.roll_due(db, now=at).refused == [session_id]
    meters.settle(db, session_id=session_id, generation=1, proven_s=660, ended_at=at, now=at)
    with pytest.raises(meters.NoCredit):
        make.meter(db, wallet_id, now=at)
    assert revocations.sweep(db, now=at) == 1
    assert revocations.sweep(db, now=at) == 0
    assert free(db, wallet_id, at) == 0
    assert fund_left(db, fund_id) == credits_ucr(100) - charge_ucr(RATE, 660)


def test_revoking_needs_a_reason_and_a_grant(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    lot_id = make.lot(db, wallet_id, now=now)
    with pytest.raises(revocations.NoReason):
        revocations.revoke(db, lot_id=lot_id, reason="  ", by=make.TESTS, now=now)
    bought = purchases.issue(
        db, purchase_id=new_id(), wallet_id=wallet_id, amount_ucr=credits_ucr(1), expires_at=now + timedelta(days=9), by=make.TESTS, now=now
    )
    with pytest.raises(revocations.NotAGrant):
        revocations.revoke(db, lot_id=bought, reason="No", by=make.TESTS, now=now)


def test_transfer_keeps_fund_and_end_and_stands_on_both_statements(db: Session, now: datetime) -> None:
    one, two, transfer_id = make.wallet(db, now=now), make.wallet(db, now=now), new_id()
    lot_id = make.lot(db, one, now=now, amount_ucr=credits_ucr(10), classes=frozenset({"cpu"}), priority=7)

    moved = {move(db, lot_id, two, credits_ucr(4), now=now, transfer_id=transfer_id) for _ in range(3)}

    assert len(moved) == 1, "the same again is the same"
    terms = "SELECT fund_id, purpose, classes, priority, expires_at FROM lot WHERE id = :id"
    assert db.execute(text(terms), {"id": lot_id}).one() == db.execute(text(terms), {"id": moved.pop()}).one()
    assert (free(db, one, now), free(db, two, now)) == (credits_ucr(6), credits_ucr(4))
    period = {"starts_at": now - timedelta(days=1), "ends_at": now + timedelta(days=1), "now": now}
    sent, received = statement(db, one, **period), statement(db, two, **period)
    assert [(line.operation, line.amount_ucr) for line in sent.lines] == [("grant", credits_ucr(10)), ("transfer", credits_ucr(-4))]
    assert [(line.operation, line.amount_ucr) for line in received.lines] == [("transfer", credits_ucr(4))]
    assert (sent.closing_ucr, received.closing_ucr) == (credits_ucr(6), credits_ucr(4))
    with pytest.raises(journal.KeyReused):
        move(db, lot_id, two, credits_ucr(5), now=now, transfer_id=transfer_id)


@pytest.mark.parametrize(("amount", "error"), [(0, grants.BadAmount), (-1, grants.BadAmount), (credits_ucr(10) + 1, lots.NotThatMuch)])
def test_f37_transfers_of_impossible_amounts_are_refused(db: Session, now: datetime, amount: int, error: type[Exception]) -> None:
    one, two = make.wallet(db, now=now), make.wallet(db, now=now)
    lot_id = make.lot(db, one, now=now, amount_ucr=credits_ucr(10))
    with pytest.raises(error):
        move(db, lot_id, two, amount, now=now)


def test_what_is_held_bought_ended_or_revoked_does_not_move(db: Session, now: datetime) -> None:
    one, two = make.wallet(db, now=now), make.wallet(db, now=now)
    lot_id = make.lot(db, one, now=now, amount_ucr=credits_ucr(1), days=1)
    make.meter(db, one, now=now)
    with pytest.raises(lots.NotThatMuch):
        move(db, lot_id, two, 1, now=now)
    with pytest.raises(transfers.SameWallet):
        move(db, lot_id, one, 1, now=now)
    with pytest.raises(transfers.LotEnded):
        move(db, lot_id, two, 1, now=now + timedelta(days=2))
    bought = purchases.issue(db, purchase_id=new_id(), wallet_id=one, amount_ucr=credits_ucr(1), expires_at=now + timedelta(days=9), by=make.TESTS, now=now)
    with pytest.raises(transfers.BoughtStays):
        move(db, bought, two, 1, now=now)
    revoked = make.lot(db, one, now=now)
    revocations.revoke(db, lot_id=revoked, reason="Mistake", by=make.TESTS, now=now)
    with pytest.raises(transfers.LotEnded):
        move(db, revoked, two, 1, now=now)


def test_loan_comes_back_by_itself_once_nothing_holds_it(db: Session, now: datetime) -> None:
    one, two = make.wallet(db, now=now), make.wallet(db, now=now)
    lot_id = make.lot(db, one, now=now, amount_ucr=credits_ucr(10))
    terms = {"lot_id": lot_id, "target_wallet_id": two, "amount_ucr": credits_ucr(4), "by": make.TESTS, "now": now}
    with pytest.raises(transfers.BadReturn):
        transfers.lend(db, loan_id=new_id(), returns_at=now + timedelta(days=31), **terms)
    loan_id, day = new_id(), now + timedelta(days=1)
    assert transfers.lend(db, loan_id=loan_id, returns_at=day, **terms) == transfers.lend(db, loan_id=loan_id, returns_at=day, **terms)
    assert transfers.return_due(db, now=now) == 0

    session_id = make.meter(db, two, now=day)
    assert transfers.return_due(db, now=day) == 0, "a running session keeps it"
    end = day + timedelta(seconds=360)
    meters.settle(db, session_id=session_id, generation=1, proven_s=360, ended_at=end, now=end)
    assert transfers.return_due(db, now=end) == 1
    assert transfers.return_due(db, now=end) == 0

    used_ucr = charge_ucr(RATE, 360)
    assert (free(db, one, end), free(db, two, end)) == (credits_ucr(10) - used_ucr, 0)
    assert transfers.give_back(db, loan_id=loan_id, by=make.TESTS, now=end) == credits_ucr(4) - used_ucr


def test_extension_gives_what_is_free_a_later_end(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    lot_id = make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10), days=10)
    session_id = make.meter(db, wallet_id, now=now)
    with pytest.raises(transfers.BadExtension):
        transfers.extend(db, lot_id=lot_id, expires_at=now + timedelta(days=9), by=make.TESTS, now=now)
    transfers.extend(db, lot_id=lot_id, expires_at=now + timedelta(days=40), by=make.TESTS, now=now)
    end = now + timedelta(minutes=5)
    meters.settle(db, session_id=session_id, generation=1, proven_s=300, ended_at=end, now=end)
    transfers.extend(db, lot_id=lot_id, expires_at=now + timedelta(days=40), by=make.TESTS, now=end)
    later = now + timedelta(days=11)
    assert expiry.sweep(db, now=later) == 0
    assert free(db, wallet_id, later) == credits_ucr(10) - charge_ucr(RATE, 300)


def test_fault_is_made_good_once_by_rule_for_fourteen_days(db: Session, now: datetime) -> None:
    wallet_id, session_id = make.wallet(db, now=now), new_id()
    terms = {"wallet_id": wallet_id, "amount_ucr": 1234567, "duration_s": 61, "note": "node-3 lost power", "now": now}
    given = {make_good.give(db, rule=FaultRule.NODE_DEATH, session_id=session_id, **terms) for _ in range(3)}
    assert len(given) == 1
    assert make_good.give(db, rule=FaultRule.OUTAGE, session_id=session_id, **terms) in given, "another name of the fault pays nothing more"
    assert make_good.give(db, rule=FaultRule.OUTAGE, **terms | {"amount_ucr": 0}) is None
    assert free(db, wallet_id, now) == 1234567
    assert free(db, wallet_id, now + timedelta(days=13, hours=23)) == 1234567
    assert free(db, wallet_id, now + timedelta(days=14)) == 0
    gift = db.execute(text("SELECT rule, duration_s, amount_ucr, note FROM make_good")).one()
    assert tuple(gift) == ("node_death", 61, 1234567, "node-3 lost power")


def test_idle_tail_goes_back_where_it_came_from_last_taken_first(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    soon, late = (make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(1), days=days) for days in (1, 30))
    session_id = make.meter(db, wallet_id, now=now)
    end = now + timedelta(minutes=40)
    meters.settle(db, session_id=session_id, generation=1, proven_s=2400, ended_at=end, now=end)
    owed_ucr = debts.of_wallet(db, wallet_id).usage_ucr
    assert owed_ucr == charge_ucr(RATE, 2400) - credits_ucr(2)

    def forgive(from_s: int) -> int:
        return corrections.forgive_from(db, session_id=session_id, generation=1, from_s=from_s, reason="idle", by=make.TESTS, now=end)

    assert forgive(1500) == charge_ucr(RATE, 2400) - charge_ucr(RATE, 1500)
    assert forgive(1500) == 0
    left = {row.id: row.balance_ucr for row in db.execute(text("SELECT l.id, a.balance_ucr FROM lot l JOIN ledger_account a ON a.id = l.available_account_id"))}
    back_ucr = charge_ucr(RATE, 2400) - charge_ucr(RATE, 1500) - owed_ucr
    assert (debts.of_wallet(db, wallet_id).usage_ucr, left[late], left[soon]) == (0, back_ucr, 0)
    with pytest.raises(corrections.BadSecond):
        forgive(1600)
    assert forgive(0) == charge_ucr(RATE, 1500)
    assert free(db, wallet_id, end) == credits_ucr(2)


def test_a_refund_follows_the_recorded_order_backwards_also_where_lots_take_turns(db: Session, now: datetime) -> None:
    """A lot that comes later and ends sooner is spent between two windows of the other; each gets back what it gave, the last first."""
    wallet_id = make.wallet(db, now=now)
    long = make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10), days=30)
    session_id = make.meter(db, wallet_id, now=now)
    soon = make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(1), days=2)
    for minute in range(11, 41, 5):
        at = now + timedelta(minutes=minute)
        meters.record_proven(db, [make.proven(session_id, started_at=now, proven_s=60 * minute)], now=at)
        meters.roll_due(db, now=at)
    end = now + timedelta(seconds=2400)
    meters.settle(db, session_id=session_id, generation=1, proven_s=2400, ended_at=end, now=end)

    def left() -> dict[uuid.UUID, int]:
        query = "SELECT l.id, a.balance_ucr FROM lot l JOIN ledger_account a ON a.id = l.available_account_id"
        return {row.id: row.balance_ucr for row in db.execute(text(query))}

    assert left() == {long: credits_ucr(10) - charge_ucr(RATE, 900) - charge_ucr(RATE, 600), soon: 0}
    given_ucr = corrections.forgive_from(db, session_id=session_id, generation=1, from_s=1350, reason="idle", by=make.TESTS, now=end)
    half_ucr = given_ucr - charge_ucr(RATE, 600)
    assert left() == {long: credits_ucr(10) - charge_ucr(RATE, 900), soon: half_ucr}
    corrections.forgive_from(db, session_id=session_id, generation=1, from_s=450, reason="more", by=make.TESTS, now=end)
    assert left() == {long: credits_ucr(10) - charge_ucr(RATE, 450), soon: credits_ucr(1)}


def test_a_debt_made_in_two_bookings_is_lifted_whole(db: Session, now: datetime) -> None:
    """Evidence that comes twice after the credits were gone books two parts of one debt; giving back lifts both."""
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(1))
    session_id = make.meter(db, wallet_id, now=now)
    for proven_s in (1000, 1400):
        end = now + timedelta(seconds=proven_s)
        meters.settle(db, session_id=session_id, generation=1, proven_s=proven_s, ended_at=end, now=end)
    end = now + timedelta(hours=1)
    cost = queries.session_costs(db, [session_id], now=end)[session_id]
    assert cost.debt_ucr > 111_111
    given_ucr = corrections.forgive_from(db, session_id=session_id, generation=1, from_s=0, reason="fault", by=make.TESTS, now=end)
    assert given_ucr == cost.booked_ucr
    balance = queries.balance(db, wallet_id, now=end)
    assert (balance.debt_ucr, balance.free_ucr) == (0, credits_ucr(1))
    check(db, now=end)


def test_running_session_is_not_corrected(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now)
    session_id = make.meter(db, wallet_id, now=now)
    with pytest.raises(corrections.NotSettled):
        corrections.forgive_from(db, session_id=session_id, generation=1, from_s=0, reason="x", by=make.TESTS, now=now)


def test_f29_a_thousand_crossing_transfers_keep_the_sums(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with transaction(own_sessions) as db:
        fund_id = make.fund(db, now=now)
        wallets = [make.wallet(db, now=now) for _ in range(2)]
        sources = [make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(1000), fund_id=fund_id) for wallet_id in wallets]

    def crossing(number: int):  # type: ignore[no-untyped-def]
        source, target = sources[number % 2], wallets[1 - number % 2]
        return lambda db: move(db, source, target, credits_ucr(1) + number, now=now)

    results = in_parallel(own_sessions, [crossing(number) for number in range(1000)], threads=8)

    assert [result for result in results if not isinstance(result, uuid.UUID)] == []
    with transaction(own_sessions) as db:
        there, back = (sum(credits_ucr(1) + number for number in range(parity, 1000, 2)) for parity in (0, 1))
        assert free(db, wallets[0], now) == credits_ucr(1000) - there + back
        assert free(db, wallets[1], now) == credits_ucr(1000) + there - back
        check(db, now=now)


def test_funds_rules_are_said_in_words(db: Session, now: datetime) -> None:
    wallet_id, fund_id = make.wallet(db, now=now), make.fund(db, now=now)
    db.execute(text("UPDATE fund SET largest_grant_ucr = 5000000, classes = ARRAY['cpu'] WHERE id = :id"), {"id": fund_id})
    with pytest.raises(grants.OverLargestGrant):
        make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(6), fund_id=fund_id, classes=frozenset({"cpu"}))
    with pytest.raises(grants.OtherClasses):
        make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(5), fund_id=fund_id)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(5), fund_id=fund_id, classes=frozenset({"cpu"}))
    db.execute(text("UPDATE fund SET closed_at = now() WHERE id = :id"), {"id": fund_id})
    with pytest.raises(grants.FundClosed):
        make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(5), fund_id=fund_id, classes=frozenset({"cpu"}))
