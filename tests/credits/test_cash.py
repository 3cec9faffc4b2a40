"""The cash memorandum: balanced, once, never changed."""

from datetime import datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from portal.credits.operations import cash, journal
from portal.credits.states import CashAccount, Currency
from tests.factories import credits as make

PAID = {CashAccount.PSP_CLEARING: 12000, CashAccount.DEFERRED: -10000, CashAccount.TAX: -2000, CashAccount.REVENUE: 0}


def book(db: Session, now: datetime, lines: dict[CashAccount, int] = PAID, key: str = "paid:1", currency: Currency = Currency.MAD) -> bool:
    return cash.book(db, key=key, operation="payment", currency=currency, lines=lines, reference="pi_1", by=make.TESTS, now=now)


def test_money_is_booked_once_and_adds_up_by_currency(db: Session, now: datetime) -> None:
    assert [book(db, now), book(db, now), book(db, now, key="paid:2", currency=Currency.EUR)] == [True, False, True]
    found = cash.balances(db)
    assert found[CashAccount.PSP_CLEARING, Currency.MAD] == 12000
    assert found[CashAccount.TAX, Currency.EUR] == -2000
    assert (CashAccount.REVENUE, Currency.MAD) not in found


def test_same_key_with_other_figures_is_refused(db: Session, now: datetime) -> None:
    book(db, now)
    with pytest.raises(journal.KeyReused):
        book(db, now, lines={CashAccount.PSP_CLEARING: 1, CashAccount.DEFERRED: -1})


@pytest.mark.parametrize(
    "lines", [{}, {CashAccount.BANK: 1}, {CashAccount.BANK: 2, CashAccount.TAX: -1}, {CashAccount.BANK: 10**16, CashAccount.TAX: -(10**16)}]
)
def test_lines_that_do_not_balance_are_refused(db: Session, now: datetime, lines: dict[CashAccount, int]) -> None:
    with pytest.raises(cash.NotBalanced):
        book(db, now, lines=lines)


REFUSED = {
    "does not sum to zero": (
        "WITH t AS (INSERT INTO cash_transaction (id, key, operation, body_digest, currency, reference, booked_at, actor_label)"
        " VALUES (gen_random_uuid(), 'forged', 'payment', '', 'MAD', '', now(), 'forger') RETURNING id)"
        " INSERT INTO cash_entry (transaction_id, account, amount_minor) SELECT id, 'bank', 5 FROM t"
    ),
    "was complete already": "INSERT INTO cash_entry (transaction_id, account, amount_minor) SELECT id, v.a, v.n FROM cash_transaction, (VALUES ('bank', 1), ('suspense', -1)) v (a, n)",
    "never changed": "UPDATE cash_entry SET amount_minor = amount_minor + 1",
    "has no entries": (
        "INSERT INTO cash_transaction (id, key, operation, body_digest, currency, reference, booked_at, actor_label)"
        " VALUES (gen_random_uuid(), 'forged', 'payment', '', 'MAD', '', now(), 'forger')"
    ),
}


@pytest.mark.parametrize("message", sorted(REFUSED))
def test_the_database_refuses_by_itself(db: Session, now: datetime, message: str) -> None:
    book(db, now)
    db.flush()

    def break_in() -> None:
        with db.begin_nested():
            db.execute(text("SET LOCAL ROLE NONE"))  # even the owner, who has every privilege
            db.execute(text(REFUSED[message]))
            db.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))

    with pytest.raises(DBAPIError, match=message):
        break_in()
