"""Many at once: a message, the landing page and the reconciler give one grant; numbers of invoices have no gap."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from portal.core.access import Role
from portal.core.database import transaction
from portal.core.errors import DomainError
from portal.core.ids import new_id
from portal.core.quantities import credits_ucr
from portal.credits import queries as credit
from portal.credits.states import Currency
from portal.payments.models import Purchase
from portal.payments.operations import bank_transfers, refunds, settlements
from portal.payments.operations.bank_transfers import BankLine
from portal.payments.rules.observations import Observation, Paying
from portal.payments.states import Method
from tests.credits.conftest import check
from tests.factories import identity as people
from tests.factories import payments as make

Sessions = sessionmaker[Session]


def at_once(sessions: Sessions, works: list[Callable[[Session], object]]) -> list[object]:
    """Run each work in its own transaction, all begun together; return results or refusals."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[Session], object]) -> object:
        gate.wait()
        try:
            with transaction(sessions) as db:
                return work(db)
        except DomainError as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


@pytest.fixture
def placed(own_sessions: Sessions, now: datetime) -> tuple[UUID, list[UUID]]:
    """Give a wallet and eight purchases by card that wait for their money."""
    with transaction(own_sessions) as db:
        make.price_list(db, now=now)
        buyer = people.person(db, now=now)
        wallet_id = make.wallet(db, lead=buyer.id, now=now)
        return wallet_id, [make.purchase(db, wallet_id, buyer=buyer.actor, now=now, quantity=10).id for _ in range(8)]


def _settle(purchase_id: UUID, now: datetime) -> Callable[[Session], object]:
    seen = Observation(Paying.PAID, f"pi_{purchase_id}", 12_000, Currency.MAD)
    return lambda db: settlements.settle(db, purchase_id=purchase_id, seen=seen, now=now)


def test_f42_twelve_reports_of_one_payment_give_one_grant(own_sessions: Sessions, placed: tuple[UUID, list[UUID]], now: datetime) -> None:
    wallet_id, purchases = placed
    at_once(own_sessions, [_settle(purchases[0], now)] * 12)
    with transaction(own_sessions) as db:
        assert credit.balance(db, wallet_id, now=now).balance_ucr == credits_ucr(10)
        assert [db.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in ("document", "cash_transaction", "lot")] == [1, 1, 1]
        check(db, now=now)


def test_invoices_of_payments_at_once_are_numbered_without_a_gap(own_sessions: Sessions, placed: tuple[UUID, list[UUID]], now: datetime) -> None:
    wallet_id, purchases = placed

    def fails(db: Session) -> None:
        _settle(purchases[7], now)(db)
        raise DomainError

    at_once(own_sessions, [*[_settle(purchase_id, now) for purchase_id in purchases[:7]], fails])
    with transaction(own_sessions) as db:
        assert sorted(db.execute(text("SELECT number FROM document")).scalars()) == list(range(1, 8))
        assert credit.balance(db, wallet_id, now=now).balance_ucr == credits_ucr(70)
        check(db, now=now)


def test_f28_two_people_who_approve_one_transfer_at_once_pay_it_once(own_sessions: Sessions, now: datetime) -> None:
    with transaction(own_sessions) as db:
        make.price_list(db, now=now)
        buyer = people.person(db, now=now)
        wallet_id = make.wallet(db, lead=buyer.id, now=now)
        purchase = make.purchase(db, wallet_id, buyer=buyer.actor, now=now, method=Method.BANK)
        officers = [people.person(db, roles=[Role.FINANCE], now=now).actor for _ in range(3)]
        transfer_id = new_id()
        line = BankLine("B-1", now.date(), Currency.MAD, purchase.gross_minor, "ATLAS", "")
        bank_transfers.enter(db, line, transfer_id=transfer_id, by=officers[0], now=now)
        bank_transfers.match(db, transfer_id=transfer_id, purchase_number=purchase.number, by=officers[0], now=now)
    results = at_once(
        own_sessions,
        [lambda db, by=by: bank_transfers.approve(db, transfer_id=transfer_id, by=by, now=now) for by in officers[1:]],  # type: ignore[misc]
    )
    assert sorted(isinstance(result, DomainError) for result in results) == [False, True]
    with transaction(own_sessions) as db:
        assert credit.balance(db, wallet_id, now=now).balance_ucr == credits_ucr(100)
        check(db, now=now)


def test_two_refunds_asked_for_at_once_never_exceed_the_price(own_sessions: Sessions, placed: tuple[UUID, list[UUID]], now: datetime) -> None:
    _, purchases = placed
    with transaction(own_sessions) as db:
        _settle(purchases[0], now)(db)
        officer = people.person(db, roles=[Role.FINANCE], now=now).actor
        buyer_id = db.execute(text("SELECT buyer_id FROM purchase LIMIT 1")).scalar_one()
        buyer = people.queries.actor_of(db, buyer_id)
    works: list[Callable[[Session], object]] = [
        lambda db: refunds.ask(db, refund_id=new_id(), purchase_id=purchases[0], amount_minor=9000, reason="a", by=officer, now=now),
        lambda db: refunds.ask(db, refund_id=new_id(), purchase_id=purchases[0], amount_minor=9000, reason="b", by=officer, now=now),
        lambda db: refunds.ask_self(db, refund_id=new_id(), purchase_id=purchases[0], reason="c", by=buyer, now=now),
    ]
    at_once(own_sessions, works)
    with transaction(own_sessions) as db:
        total = db.execute(text("SELECT sum(amount_minor) FROM refund")).scalar_one()
        gross = db.get(Purchase, purchases[0]).gross_minor  # type: ignore[union-attr]
        assert 0 < total <= gross
        check(db, now=now)
