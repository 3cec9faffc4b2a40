"""`verify` names the row: one of each kind is corrupted, behind the back of triggers and constraints."""

import uuid
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from portal.core.access import Role
from portal.core.ids import new_id
from portal.core.quantities import credits_ucr
from portal.credits import queries, verify
from portal.credits.operations import adjustments, cash, corrections, expiry, make_good, meters, months, purchases, requests, revocations, seal, transfers
from portal.credits.operations import days as sums
from portal.credits.states import CashAccount, Currency, FaultRule
from tests.factories import credits as make
from tests.factories import identity as people


@pytest.fixture
def world(db: Session, now: datetime) -> dict[str, uuid.UUID]:
    """A wallet in which everything has happened: grants, running, settled, late and unpaid use, expiry."""
    wallet_id = make.wallet(db, now=now)
    for days in (0.05, 20, 30):
        make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(2) + 7, days=days)
    settled, running, late = (make.meter(db, wallet_id, now=now) for _ in range(3))
    for minute in (11, 16, 26):
        at = now + timedelta(minutes=minute)
        meters.record_proven(db, [make.proven(id_, started_at=now, proven_s=60 * minute) for id_ in (settled, running)], now=at)
        meters.roll_due(db, now=at)
    end = now + timedelta(hours=6)
    meters.settle(db, session_id=settled, generation=1, proven_s=1600, ended_at=now + timedelta(seconds=1600), now=end)
    meters.settle(db, session_id=late, generation=1, proven_s=6 * 3600, ended_at=end, now=end)
    expiry.sweep(db, now=end)
    poor_id = make.wallet(db, now=now)
    make.lot(db, poor_id, now=now, amount_ucr=credits_ucr(2), days=0.02)
    idle = make.meter(db, poor_id, now=now)
    meters.settle(db, session_id=idle, generation=1, proven_s=10, ended_at=now, now=end)
    expiry.sweep(db, now=end)
    _moved(db, now, end)
    for minutes in (1, 2):
        seal.seal_due(db, now=end + timedelta(minutes=minutes))
        make.lot(db, poor_id, now=end + timedelta(minutes=minutes))
    seal.seal_due(db, now=end + timedelta(minutes=4))
    later = datetime(2027, 1, 2, tzinfo=now.tzinfo)
    sums.sum_due(db, now=now + timedelta(days=3))
    for month in (date(2026, 11, 1), date(2026, 12, 1)):
        months.close(db, month=month, by=make.TESTS, now=later)
    db.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    return {"wallet": wallet_id, "settled": settled, "running": running, "late": late}


def _moved(db: Session, now: datetime, end: datetime) -> None:
    """A purchase half refunded and half disputed, money, a transfer, an extension, a revocation, a correction, debts paid and written off."""
    one, two, purchase_id = make.wallet(db, now=now), make.wallet(db, now=now), new_id()
    given, taken = (make.lot(db, one, now=now, amount_ucr=credits_ucr(3), days=days) for days in (9, 10))
    session_id = make.meter(db, one, now=now)
    meters.settle(db, session_id=session_id, generation=1, proven_s=800, ended_at=now + timedelta(seconds=800), now=end)
    corrections.forgive_from(db, session_id=session_id, generation=1, from_s=500, reason="idle", by=make.TESTS, now=end)
    transfers.transfer(db, transfer_id=new_id(), lot_id=given, target_wallet_id=two, amount_ucr=credits_ucr(1), by=make.TESTS, now=end)
    transfers.extend(db, lot_id=given, expires_at=now + timedelta(days=20), by=make.TESTS, now=end)
    revocations.revoke(db, lot_id=taken, reason="Ended", by=make.TESTS, now=end)
    terms = {"wallet_id": two, "amount_ucr": credits_ucr(8), "expires_at": now + timedelta(days=99), "by": make.TESTS, "now": end}
    purchases.issue(db, purchase_id=purchase_id, **terms)
    purchases.adjust(db, purchase_id=purchase_id, clawed_ucr=credits_ucr(8), frozen_ucr=0, by=make.TESTS, now=end)
    purchases.adjust(db, purchase_id=purchase_id, clawed_ucr=credits_ucr(4), frozen_ucr=credits_ucr(2), by=make.TESTS, now=end)
    _adjusted(db, now, end)
    lines = {CashAccount.PSP_CLEARING: 12000, CashAccount.DEFERRED: -10000, CashAccount.TAX: -2000}
    cash.book(db, key="paid:1", operation="payment", currency=Currency.MAD, lines=lines, reference="pi", purchase_id=purchase_id, by=make.TESTS, now=end)


def _adjusted(db: Session, now: datetime, end: datetime) -> None:
    """A supplement, a charge that finance corrected, and a debt that two people wrote off."""
    wallet_id, (one, two) = make.wallet(db, now=now), [people.person(db, roles=[Role.FINANCE], now=now).actor for _ in range(2)]
    first = make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(1), days=0.1)
    requests.supplement(db, grant_id=new_id(), lot_id=first, amount_ucr=credits_ucr(1), expires_at=now + timedelta(hours=4), by=make.TESTS, now=now)
    session_id = make.meter(db, wallet_id, now=now)
    meters.settle(db, session_id=session_id, generation=1, proven_s=2400, ended_at=now + timedelta(seconds=2400), now=end)
    owed_ucr = queries.balance(db, wallet_id, now=end).debt_ucr
    terms = {"wallet_id": wallet_id, "amount_ucr": owed_ucr - 9, "reason": "Our outage", "by": one, "now": end}
    adjustments.write_off(db, adjustment_id=(written_off := new_id()), **terms)
    adjustments.approve(db, adjustment_id=written_off, by=two, now=end)
    fault = {"rule": FaultRule.NODE_DEATH, "amount_ucr": credits_ucr(1), "duration_s": 900, "note": "node-3", "session_id": session_id}
    make_good.give(db, wallet_id=wallet_id, now=end, **fault)
    what = {"session_id": session_id, "generation": 1, "from_s": 2000, "reason": "A fault of ours"}
    adjustments.correct(db, adjustment_id=new_id(), **what, by=one, now=end)


def bad(db: Session, now: datetime) -> dict[int, str]:
    return {result.number: result.first_bad for result in verify.run(db, now=now) if result.first_bad is not None}


def test_a_sound_ledger_verifies_and_says_how_much_was_read(db: Session, world: dict[str, uuid.UUID], now: datetime) -> None:
    results = verify.run(db, now=now)
    assert [result.number for result in results] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert [result.first_bad for result in results] == [None] * 10
    assert min(result.rows_checked for result in results) > 0
    kinds = set(db.execute(text("SELECT operation FROM ledger_transaction")).scalars())
    assert kinds == {"grant", "hold", "capture", "release", "expiry", "purchase", "clawback", "freeze", "transfer", "revoke", "correction", "write_off"}
    assert db.execute(text("SELECT count(*) FROM meter WHERE debt_ucr > 0 AND written_off_ucr > 0")).scalar_one() == 1


CORRUPTIONS = {
    "an entry's amount": (1, "UPDATE ledger_entry SET amount_ucr = amount_ucr + 1 WHERE id = (SELECT max(id) FROM ledger_entry)"),
    "an entry is gone": (1, "DELETE FROM ledger_entry WHERE id = (SELECT max(id) FROM ledger_entry)"),
    "both entries are gone": (1, "DELETE FROM ledger_entry WHERE transaction_id = (SELECT id FROM ledger_transaction WHERE operation = 'grant' LIMIT 1)"),
    "a live balance": (2, "UPDATE ledger_account SET balance_ucr = balance_ucr + 1 WHERE kind = 'lot_available'"),
    "a version": (2, "UPDATE ledger_account SET version = version + 1 WHERE kind = 'lot_held'"),
    "a running balance": (2, "UPDATE ledger_entry SET balance_after_ucr = balance_after_ucr + 1 WHERE id = (SELECT min(id) FROM ledger_entry)"),
    "an entry on a summed account has a version": (
        2,
        "UPDATE ledger_entry SET account_version = 1, balance_after_ucr = 0 WHERE id = (SELECT max(e.id) FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id WHERE a.kind = 'usage')",
    ),
    "a debt bound": (2, "UPDATE ledger_account SET lower_bound_ucr = lower_bound_ucr - 1 WHERE kind = 'debt_usage'"),
    "a lot's issued amount": (3, "UPDATE lot SET issued_ucr = issued_ucr + 1"),
    "an expiry went to a lot": (
        3,
        "UPDATE ledger_transaction SET operation = 'grant' WHERE operation = 'expiry'",
    ),
    "a share": (4, "UPDATE hold_share SET amount_ucr = amount_ucr + 1"),
    "a hold's captured amount": (4, "UPDATE hold SET captured_ucr = captured_ucr - 1, released_ucr = released_ucr + 1 WHERE captured_ucr > 0"),
    "a window's end": (4, "UPDATE hold SET ends_at = ends_at + interval '1 second' WHERE window_number = 1"),
    "an open hold of a closed session": (4, "UPDATE meter SET state = 'settled', closed_at = now() WHERE state = 'open'"),
    "a session that never started": (4, "UPDATE meter SET started_at = NULL, proven_s = 0, booked_s = 0, windows_end_at = '2000-01-01' WHERE state = 'open'"),
    "what was made good": (3, "UPDATE make_good SET amount_ucr = amount_ucr + 1"),
    "the fault of a make-good": (3, "DELETE FROM make_good"),
    "a supplement's purpose": (3, "UPDATE lot SET purpose = 'Another' WHERE supplements_lot_id IS NOT NULL"),
    "what was written off": (10, "UPDATE adjustment SET amount_ucr = amount_ucr + 1 WHERE kind = 'write_off'"),
    "what finance gave back": (10, "UPDATE adjustment SET amount_ucr = amount_ucr + 1 WHERE kind = 'correction'"),
    "a lot's validity": (5, "UPDATE lot SET effective_at = effective_at + interval '1 minute'"),
    "a lot's expiry": (5, "UPDATE lot SET expires_at = effective_at + interval '1 minute'"),
    "a lot's classes": (5, "UPDATE lot SET classes = ARRAY['cpu']"),
    "a lot's wallet": (5, "UPDATE lot SET wallet_id = (SELECT w.id FROM wallet w WHERE w.id <> lot.wallet_id LIMIT 1)"),
    "a lot's priority, so that it was skipped": (
        5,
        (
            "UPDATE lot SET priority = 1 WHERE origin = 'grant' AND wallet_id = (SELECT wallet_id FROM lot ORDER BY number LIMIT 1)"
            " AND expires_at = (SELECT max(l.expires_at) FROM lot l WHERE l.wallet_id = lot.wallet_id)"
        ),
    ),
    "the order of shares": (
        5,
        "UPDATE hold_share SET position = 1 - position WHERE hold_id IN (SELECT hold_id FROM hold_share GROUP BY 1 HAVING count(*) = 2)",
    ),
    "a fund's budget": (6, "UPDATE fund SET budget_ucr = 1"),
    "a fund's bound": (6, "UPDATE ledger_account SET lower_bound_ucr = lower_bound_ucr - 1 WHERE kind = 'issuance'"),
    "proven seconds": (7, "UPDATE meter SET proven_s = proven_s + 1 WHERE state = 'settled'"),
    "a price": (7, "UPDATE meter_segment SET rate_ucr_per_hour = rate_ucr_per_hour + 3600"),
    "more seconds than time": (7, "UPDATE meter SET recorded_at = authorised_at WHERE proven_s > 0"),
    "a second booked twice": (7, "UPDATE ledger_transaction SET from_s = from_s - 1 WHERE operation = 'capture' AND from_s > 0"),
    "a booking's amount on another account": (
        10,
        "UPDATE ledger_entry SET account_id = (SELECT id FROM ledger_account WHERE kind = 'writeoff') WHERE account_id IN (SELECT id FROM ledger_account WHERE kind = 'usage')",
    ),
    "an asset that does not sum to zero": (10, "UPDATE ledger_entry SET amount_ucr = amount_ucr - 1 WHERE id = (SELECT max(id) FROM ledger_entry)"),
    "a share's figures against the journal": (
        10,
        (
            "WITH moved AS (UPDATE hold_share SET captured_ucr = captured_ucr - 1, released_ucr = released_ucr + 1 WHERE captured_ucr > 0 RETURNING hold_id)"
            " UPDATE hold SET captured_ucr = captured_ucr - m.lots, released_ucr = released_ucr + m.lots FROM (SELECT hold_id, count(*) AS lots FROM moved GROUP BY 1) m WHERE m.hold_id = hold.id"
        ),
    ),
    "a booking of money": (1, "UPDATE cash_entry SET amount_minor = amount_minor + 1 WHERE account = 'tax'"),
    "a booking of money without lines": (1, "DELETE FROM cash_entry"),
    "a bound of refunded credits": (2, "UPDATE ledger_account SET lower_bound_ucr = lower_bound_ucr - 1 WHERE kind = 'debt_clawback'"),
    "a hold after its lot was revoked": (5, "UPDATE lot_revocation SET revoked_at = '2000-01-01', lot_id = (SELECT lot_id FROM hold_share LIMIT 1)"),
    "a purchase issued twice": (6, "UPDATE ledger_transaction SET operation = 'purchase' WHERE operation = 'clawback'"),
    "a purchase's credits": (6, "UPDATE lot SET purchase_id = gen_random_uuid() WHERE purchase_id IS NOT NULL"),
    "more came back than was issued": (
        6,
        "UPDATE ledger_entry SET amount_ucr = amount_ucr * 9 WHERE transaction_id IN (SELECT id FROM ledger_transaction WHERE operation = 'clawback')",
    ),
    "what was given back": (7, "UPDATE meter SET corrected_ucr = corrected_ucr - 1 WHERE corrected_ucr > 0"),
    "the second from which it was given back": (7, "UPDATE meter SET forgiven_from_s = forgiven_from_s + 1 WHERE corrected_ucr > 0"),
    "a transfer that never arrived": (10, "DELETE FROM ledger_entry WHERE transaction_id IN (SELECT id FROM ledger_transaction WHERE key LIKE 'xfer%_in')"),
    "a meter's debt": (10, "UPDATE meter SET debt_ucr = debt_ucr - 1 WHERE debt_ucr > 0"),
    "a sealed booking's person": (8, "UPDATE ledger_transaction SET actor_label = 'nobody' WHERE id = (SELECT id FROM ledger_transaction ORDER BY id LIMIT 1)"),
    "a sealed booking's time": (8, "UPDATE ledger_transaction SET booked_at = booked_at + interval '1 microsecond' WHERE operation = 'expiry'"),
    "a sealed booking's result": (8, "UPDATE ledger_transaction SET result = '{}' WHERE operation = 'grant'"),
    "a block's digest": (8, "UPDATE ledger_block SET digest = repeat('0', 64) WHERE number = 1"),
    "a block": (8, "DELETE FROM ledger_block WHERE number = 1"),
    "the order of seals": (8, "UPDATE ledger_seal SET position = 100000 - position WHERE block = 1"),
    "a seal": (8, "DELETE FROM ledger_seal WHERE block = 2"),
    "a booking that was never sealed": (8, "DELETE FROM ledger_seal; DELETE FROM ledger_block WHERE number > 1"),
    "the guard of the journal": (8, "ALTER TABLE ledger_entry DISABLE TRIGGER ledger_entry_never_changed"),
    "the privilege over the journal": (8, "GRANT UPDATE ON ledger_entry TO portal"),
    "the guard of what the hub saw": (8, "DROP TRIGGER observation_append_only ON observation"),
    "a month's closing": (9, "UPDATE wallet_month SET closing_ucr = closing_ucr + 1 WHERE month = '2026-11-01'"),
    "a month's opening": (9, "UPDATE wallet_month SET opening_ucr = opening_ucr + 1, closing_ucr = closing_ucr + 1 WHERE month = '2026-12-01'"),
    "a month's sums": (9, "UPDATE ledger_month SET closing_ucr = closing_ucr + 1 WHERE month = '2026-12-01'"),
    "a wallet's month": (9, "DELETE FROM wallet_month WHERE month = '2026-12-01' AND wallet_id = (SELECT wallet_id FROM wallet_month LIMIT 1)"),
    "a booking in a closed month": (9, "UPDATE ledger_transaction SET booked_at = booked_at + interval '40 days' WHERE operation = 'expiry'"),
    "a day's sum": (10, "UPDATE lot_day SET used_ucr = used_ucr + 1 WHERE used_ucr > 0"),
    "a lot's day": (10, "DELETE FROM lot_day WHERE used_ucr > 0"),
    "a meter's windows": (10, "UPDATE meter SET window_count = window_count + 1"),
}


@pytest.mark.parametrize("name", sorted(CORRUPTIONS))
def test_corrupts_one_kind_of_row_and_verify_names_it(db: Session, world: dict[str, uuid.UUID], now: datetime, name: str) -> None:
    number, statement = CORRUPTIONS[name]
    assert bad(db, now) == {}
    _unguard(db)
    assert db.execute(text(statement)).rowcount != 0, "the corruption must change something"  # type: ignore[attr-defined]
    db.execute(text("SET LOCAL ROLE portal"))
    found = bad(db, now)
    assert number in found
    assert any(character.isdigit() for character in found[number]) or "asset CRED" in found[number] or found[number].startswith("table ")


def _unguard(db: Session) -> None:
    """Take triggers and constraints away, in this test's transaction: what a person at the database could do."""
    db.execute(text("SET LOCAL ROLE NONE"))
    db.execute(text("SET LOCAL session_replication_role = replica"))
    names = text(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype IN ('c', 'x', 'u') AND conrelid::regclass::text IN"
        " ('ledger_account', 'ledger_transaction', 'ledger_entry', 'lot', 'meter', 'meter_segment', 'hold', 'hold_share', 'fund', 'cash_entry', 'lot_revocation', 'adjustment', 'make_good')"
    )
    for table, constraint in db.execute(names).all():
        db.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}"))
    db.execute(text("ALTER TABLE hold_share DROP CONSTRAINT pk_hold_share"))


REFUSED = {
    "sum to zero": "INSERT INTO ledger_entry (transaction_id, account_id, amount_ucr) SELECT t.id, a.id, 5 FROM ledger_transaction t, ledger_account a WHERE a.kind = 'writeoff' LIMIT 1",
    "was complete already": (
        "INSERT INTO ledger_entry (transaction_id, account_id, amount_ucr)"
        " SELECT t.id, a.id, sign.n FROM (SELECT id FROM ledger_transaction LIMIT 1) t, (SELECT id FROM ledger_account WHERE kind = 'writeoff') a, (VALUES (1), (-1)) sign (n)"
    ),
    "disagree with its balance": (
        "WITH t AS (INSERT INTO ledger_transaction (id, key, operation, body_digest, result, booked_at, actor_label)"
        " VALUES (gen_random_uuid(), 'forged', 'grant', '', '{}', '2027-02-01', 'forger') RETURNING id)"
        " INSERT INTO ledger_entry (transaction_id, account_id, amount_ucr, account_version, balance_after_ucr)"
        " SELECT t.id, a.id, 1, a.version + 1, a.balance_ucr + 1 FROM t, (SELECT * FROM ledger_account WHERE kind = 'lot_available' LIMIT 1) a"
        " UNION ALL SELECT t.id, a.id, -1, NULL, NULL FROM t, (SELECT * FROM ledger_account WHERE kind = 'writeoff') a"
    ),
    "has no entries": "INSERT INTO ledger_transaction (id, key, operation, body_digest, result, booked_at, actor_label) VALUES (gen_random_uuid(), 'empty', 'grant', '', '{}', '2027-02-01', 'forger')",
    "not_below_bound": "UPDATE ledger_account SET balance_ucr = -1 WHERE kind = 'lot_available'",
    "windows_apart": "INSERT INTO hold SELECT gen_random_uuid(), meter_id, wallet_id, 99, segment, starts_at, ends_at, false, 1, 1, 0, 'closed', placed_at FROM hold WHERE NOT is_late LIMIT 1",
    "never changed or deleted": "UPDATE ledger_account SET name = 'other' WHERE kind = 'writeoff'",
    "account_id_account_version": "INSERT INTO ledger_entry (transaction_id, account_id, amount_ucr, account_version, balance_after_ucr) SELECT transaction_id, account_id, amount_ucr, account_version, balance_after_ucr FROM ledger_entry WHERE account_version = 1 LIMIT 1",
}


@pytest.mark.parametrize("message", sorted(REFUSED))
def test_the_database_refuses_by_itself(db: Session, world: dict[str, uuid.UUID], message: str) -> None:
    def break_in() -> None:
        with db.begin_nested():
            db.execute(text("SET LOCAL ROLE NONE"))  # even the owner, who has every privilege
            db.execute(text(REFUSED[message]))
            db.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))

    with pytest.raises(DBAPIError, match=message):
        break_in()
