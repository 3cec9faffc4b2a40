"""From a payment to credits and back: what comes, in whatever order and however often, ends in the same state."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core import clock
from portal.core.ids import new_id
from portal.core.quantities import credits_ucr
from portal.credits.operations import cash
from portal.credits.states import CashAccount, Currency
from portal.payments.operations import purchases, refunds, settlements
from portal.payments.rules.observations import DisputeOutcome, Observation, Paying, RefundOutcome, SeenDispute, SeenRefund
from portal.payments.states import PurchaseState
from tests.factories import payments as make
from tests.payments.conftest import Shop

GROSS = 90_000 + 18_000  # 100 credits at 9.00 MAD, and VAT


def test_a_payment_brings_credits_money_invoice_and_mail_in_one(shop: Shop) -> None:
    purchase = shop.paid()
    assert (purchase.state, purchase.gross_minor) == (PurchaseState.PAID, GROSS)
    assert shop.credits() == (credits_ucr(100), 0)
    assert cash.balances(shop.db) == {
        (CashAccount.PSP_CLEARING, Currency.MAD): GROSS,
        (CashAccount.DEFERRED, Currency.MAD): -90_000,
        (CashAccount.TAX, Currency.MAD): -18_000,
    }
    assert shop.db.execute(text("SELECT kind, number, net_minor, vat_minor, gross_minor FROM document")).one() == ("invoice", 1, 90_000, 18_000, GROSS)
    assert shop.db.execute(text("SELECT count(*) FROM message WHERE kind = 'payments.paid'")).scalar_one() == 1


def test_a_second_look_changes_nothing(shop: Shop) -> None:
    shop.paid()
    before = [shop.count(table) for table in ("ledger_transaction", "cash_transaction", "document", "message")]
    for _ in range(3):
        shop.look()
    assert [shop.count(table) for table in ("ledger_transaction", "cash_transaction", "document", "message")] == before


def test_f44_a_delayed_payment_brings_nothing_until_it_is_paid(shop: Shop) -> None:
    purchase = shop.placed()
    shop.server.ledger.pay(str(purchase.checkout_id), is_delayed=True)
    shop.look()
    assert (shop.again(purchase).state, shop.credits()) == (PurchaseState.AWAITING, (0, 0))
    shop.server.ledger.settle_delayed(str(purchase.checkout_id), is_paid=True)
    shop.look()
    assert (shop.again(purchase).state, shop.credits()) == (PurchaseState.PAID, (credits_ucr(100), 0))


def test_f44_a_delayed_payment_that_fails_brings_none(shop: Shop) -> None:
    purchase = shop.placed()
    shop.server.ledger.pay(str(purchase.checkout_id), is_delayed=True)
    shop.server.ledger.settle_delayed(str(purchase.checkout_id), is_paid=False)
    shop.look()
    assert (shop.again(purchase).state, shop.credits(), shop.count("document")) == (PurchaseState.FAILED, (0, 0), 0)


def test_a_declined_card_leaves_the_page_open_for_another(shop: Shop) -> None:
    purchase = shop.placed()
    shop.server.ledger.pay(str(purchase.checkout_id), is_declined=True)
    shop.look()
    assert shop.again(purchase).state == PurchaseState.AWAITING
    shop.server.ledger.pay(str(purchase.checkout_id))
    shop.look()
    assert shop.again(purchase).state == PurchaseState.PAID


def test_another_amount_than_asked_for_issues_nothing_and_is_left_to_finance(shop: Shop) -> None:
    purchase = shop.placed()
    page = shop.server.store.get("checkout.session", str(purchase.checkout_id))
    page["amount_total"] = 100
    shop.server.ledger.pay(page["id"])
    shop.look()
    assert (shop.again(purchase).state, shop.credits(), shop.count("difference")) == (PurchaseState.AWAITING, (0, 0), 1)


REFUNDS = [SeenRefund("re_1", 30_000, RefundOutcome.DONE), SeenRefund("re_2", 20_000, RefundOutcome.DONE), SeenRefund("re_3", 10_000, RefundOutcome.DONE)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_f48_partial_refunds_in_any_order_end_alike(shop: Shop, order: tuple[int, ...]) -> None:
    purchase = shop.paid()
    seen = []
    for place in order:
        seen.append(REFUNDS[place])
        settlements.settle(shop.db, purchase_id=purchase.id, seen=_paid(purchase.payment_id, refunds=tuple(seen)), now=shop.now)
    # 60,000 of 108,000 went back: of 100 credits 55.555556 go with them, rounded up.
    assert shop.credits() == (credits_ucr(100) - 55_555_556, 0)
    assert cash.balances(shop.db)[CashAccount.PSP_CLEARING, Currency.MAD] == GROSS - 60_000
    assert sorted(shop.db.execute(text("SELECT gross_minor FROM document WHERE kind = 'credit_note'")).scalars()) == [-30_000, -20_000, -10_000]


def test_f48_a_full_refund_takes_the_last_credit_and_a_failed_one_brings_them_back(shop: Shop) -> None:
    purchase = shop.paid()
    whole = SeenRefund("re_9", GROSS, RefundOutcome.DONE)
    settlements.settle(shop.db, purchase_id=purchase.id, seen=_paid(purchase.payment_id, refunds=(whole,)), now=shop.now)
    assert shop.credits() == (0, 0)
    failed = SeenRefund("re_9", GROSS, RefundOutcome.FAILED)
    settlements.settle(shop.db, purchase_id=purchase.id, seen=_paid(purchase.payment_id, refunds=(failed,)), now=shop.now)
    assert shop.credits() == (credits_ucr(100), 0)
    assert cash.balances(shop.db)[CashAccount.PSP_CLEARING, Currency.MAD] == GROSS
    assert [row.kind for row in shop.db.execute(text("SELECT kind FROM document ORDER BY id"))] == ["invoice", "credit_note", "invoice"]


def test_f43_a_refund_seen_before_its_payment_waits_for_it(shop: Shop) -> None:
    purchase = shop.placed()
    refund = SeenRefund("re_1", GROSS, RefundOutcome.DONE)
    settlements.settle(shop.db, purchase_id=purchase.id, seen=Observation(Paying.OPEN, "pi_1", GROSS, Currency.MAD, (refund,)), now=shop.now)
    assert (shop.again(purchase).state, shop.credits()) == (PurchaseState.AWAITING, (0, 0))
    settlements.settle(shop.db, purchase_id=purchase.id, seen=_paid("pi_1", refunds=(refund,)), now=shop.now)
    assert (shop.again(purchase).state, shop.credits()) == (PurchaseState.PAID, (0, 0))


@pytest.mark.parametrize(
    ("outcomes", "left", "clearing"),
    [
        (["open"], 0, 0),
        (["won"], 100, GROSS),
        (["lost"], 0, 0),
        (["open", "won"], 100, GROSS),
        (["open", "lost"], 0, 0),
        (["won", "open"], 100, GROSS),
    ],
)
def test_f43_disputes_freeze_then_come_back_or_go(shop: Shop, outcomes: list[str], left: int, clearing: int) -> None:
    purchase = shop.paid()
    for outcome in outcomes:
        dispute = SeenDispute("dp_1", GROSS, DisputeOutcome(outcome), "fraudulent", shop.now)
        settlements.settle(shop.db, purchase_id=purchase.id, seen=_paid(purchase.payment_id, disputes=(dispute,)), now=shop.now)
    assert shop.credits() == (credits_ucr(left), 0)
    assert cash.balances(shop.db).get((CashAccount.PSP_CLEARING, Currency.MAD), 0) == clearing


def test_f49_a_refund_of_spent_credits_becomes_a_debt_that_blocks_and_is_told(shop: Shop) -> None:
    from datetime import timedelta

    from portal.credits.operations import meters
    from tests.factories import credits as ledger

    purchase = shop.paid()
    began = clock.now()
    session_id = ledger.meter(shop.db, shop.wallet_id, now=began, rate_ucr_per_hour=credits_ucr(80))
    meters.settle(shop.db, session_id=session_id, generation=1, proven_s=3600, ended_at=began + timedelta(hours=1), now=began + timedelta(hours=1))
    refund = SeenRefund("re_1", GROSS, RefundOutcome.DONE)
    settlements.settle(shop.db, purchase_id=purchase.id, seen=_paid(purchase.payment_id, refunds=(refund,)), now=began + timedelta(hours=2))
    balance, debt = shop.credits()
    assert (balance, debt) == (0, credits_ucr(80))
    with pytest.raises(meters.WalletBlocked):
        ledger.meter(shop.db, shop.wallet_id, now=began + timedelta(hours=2))
    shop.db.rollback()


def test_f51_four_days_without_messages_are_made_up_for(shop: Shop) -> None:
    purchases = [shop.placed(quantity=10 + place) for place in range(5)]
    for purchase in purchases:
        shop.server.ledger.pay(str(purchase.checkout_id))
    for event in shop.server.store.all("event"):
        event["created"] -= 4 * 86_400
    shop.look()
    assert {shop.again(purchase).state for purchase in purchases} == {PurchaseState.PAID}
    assert shop.credits() == (credits_ucr(10 + 11 + 12 + 13 + 14), 0)
    assert shop.db.execute(text("SELECT DISTINCT source FROM payment_event")).scalars().all() == ["poll"]


def test_a_refund_whose_job_was_lost_is_sent_all_the_same(shop: Shop) -> None:
    purchase = shop.paid()
    refund_id = new_id()
    asked_at = clock.now() - timedelta(minutes=5)
    refunds.ask_self(shop.db, refund_id=refund_id, purchase_id=purchase.id, reason="x", by=shop.buyer.actor, now=asked_at)
    shop.db.execute(text("UPDATE procrastinate_jobs SET status = 'failed' WHERE status = 'todo'"))
    shop.db.commit()
    shop.look()
    shop.look()
    assert shop.db.execute(text("SELECT state FROM refund WHERE id = :id"), {"id": refund_id}).scalar_one() == "done"
    assert len(shop.server.store.all("refund")) == 1


def test_a_page_that_opens_while_its_purchase_is_cancelled_is_closed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    purchase = make.purchase(shop.db, shop.wallet_id, buyer=shop.buyer.actor, now=shop.now)
    shop.db.commit()
    keep = purchases.note_checkout

    def cancelled_first(db: Session, **terms: Any) -> None:
        purchases.cancel(db, purchase_id=purchase.id, by=shop.buyer.actor, now=shop.now)
        keep(db, **terms)

    monkeypatch.setattr(purchases, "note_checkout", cancelled_first)
    shop.run()
    assert shop.again(purchase).state == PurchaseState.CANCELLED
    assert [page["status"] for page in shop.server.store.all("checkout.session")] == ["expired"]


def _reopened(shop: Shop) -> tuple[str, Any]:
    """Place a purchase whose page is replaced by a newer one; return the first page and the purchase."""
    purchase = shop.placed()
    first = str(purchase.checkout_id)
    purchases.open_checkout(shop.db, purchase_id=purchase.id, by=shop.buyer.actor, now=shop.now + timedelta(days=2))
    shop.db.commit()
    shop.run()
    assert shop.again(purchase).checkout_id not in {first, None}
    return first, purchase


def test_a_page_paid_in_its_last_second_counts_although_a_newer_one_is_open(shop: Shop) -> None:
    first, purchase = _reopened(shop)
    shop.server.ledger.pay(first)
    shop.look()
    again = shop.again(purchase)
    assert (again.state, shop.credits(), shop.count("difference")) == (PurchaseState.PAID, (credits_ucr(100), 0), 0)
    assert shop.server.store.get("checkout.session", str(again.checkout_id))["status"] == "expired", "nobody can pay once more"


def test_two_pages_paid_for_one_purchase_issue_once_and_leave_the_second_payment_to_finance(shop: Shop) -> None:
    first, purchase = _reopened(shop)
    shop.server.ledger.pay(first)
    shop.server.ledger.pay(str(shop.again(purchase).checkout_id))
    for _ in range(2):
        shop.look()
    assert (shop.again(purchase).state, shop.credits(), shop.count("document")) == (PurchaseState.PAID, (credits_ucr(100), 0), 1)
    what = shop.db.execute(text("SELECT what, amount_minor FROM difference")).one()
    assert what == (f"purchase {purchase.number} was paid twice: give the second payment back at the payment service", GROSS)


def _paid(payment_id: str | None, *, refunds: tuple[SeenRefund, ...] = (), disputes: tuple[SeenDispute, ...] = ()) -> Observation:
    return Observation(Paying.PAID, payment_id, GROSS, Currency.MAD, refunds, disputes)
