"""The gateway against the stand-in, over HTTP, with the faults of a network."""

import uuid
from dataclasses import replace

import pytest

from portal.credits.states import Currency
from portal.payments.rules.messages import Order
from portal.payments.rules.observations import DisputeOutcome, Paying, RefundOutcome
from portal.payments.stripe_gateway import PaymentService, PaymentServiceAway, PaymentServiceRefused
from tests.fakes.stripe_server import StripeServer

ADDRESS = "http://127.0.0.1:8000/purchases/7"


def an_order(**changes: object) -> Order:
    order = Order(uuid.uuid4(), 7, 100, 108_000, Currency.MAD, "fr", "salma@example.org", f"checkout-{uuid.uuid4()}-1")
    return replace(order, **changes)  # type: ignore[arg-type]


def opened(gateway: PaymentService, order: Order) -> str:
    return gateway.open_checkout(order, success_url=ADDRESS, cancel_url=ADDRESS).id


def test_the_same_key_opens_the_same_page(gateway: PaymentService, stripe_server: StripeServer) -> None:
    order = an_order()
    assert opened(gateway, order) == opened(gateway, order)
    assert len(stripe_server.store.all("checkout.session")) == 1


def test_the_same_key_for_another_amount_is_refused(gateway: PaymentService) -> None:
    order = an_order()
    opened(gateway, order)
    with pytest.raises(PaymentServiceRefused):
        opened(gateway, replace(order, gross_minor=1))


def test_f47_a_page_that_was_opened_behind_a_time_out_is_found_again(gateway: PaymentService, stripe_server: StripeServer) -> None:
    stripe_server.faults.time_out, stripe_server.faults.time_out_s = 1, 1.5
    checkout_id = opened(gateway, an_order())
    assert [page["id"] for page in stripe_server.store.all("checkout.session")] == [checkout_id]


@pytest.mark.parametrize("fault", ["too_many", "broken"])
def test_f54_storms_are_waited_out_and_make_nothing_twice(gateway: PaymentService, stripe_server: StripeServer, fault: str) -> None:
    setattr(stripe_server.faults, fault, 3)
    opened(gateway, an_order())
    assert len(stripe_server.store.all("checkout.session")) == 1
    assert getattr(stripe_server.faults, fault) == 0


def test_f54_a_storm_that_lasts_is_said(gateway: PaymentService, stripe_server: StripeServer) -> None:
    stripe_server.faults.broken = 50
    with pytest.raises(PaymentServiceAway):
        opened(gateway, an_order())
    assert stripe_server.store.all("checkout.session") == []


def test_an_observation_has_payment_refunds_and_disputes(gateway: PaymentService, stripe_server: StripeServer) -> None:
    checkout_id = opened(gateway, an_order())
    assert gateway.observe(checkout_id=checkout_id, payment_id=None).paying is Paying.OPEN
    page = stripe_server.ledger.pay(checkout_id)
    refund_id = uuid.uuid4()
    made = gateway.refund(refund_id=refund_id, payment_id=page["payment_intent"], amount_minor=1000)
    again = gateway.refund(refund_id=refund_id, payment_id=page["payment_intent"], amount_minor=1000)
    stripe_server.ledger.dispute(payment_intent=page["payment_intent"])
    seen = gateway.observe(checkout_id=checkout_id, payment_id=None)
    assert (seen.paying, seen.paid_minor, seen.currency, seen.payment_id) == (Paying.PAID, 108_000, Currency.MAD, page["payment_intent"])
    assert [(one.psp_id, one.amount_minor, one.outcome, one.refund_id) for one in seen.refunds] == [(made.psp_id, 1000, RefundOutcome.DONE, refund_id)]
    assert made.psp_id == again.psp_id
    assert [(one.amount_minor, one.outcome) for one in seen.disputes] == [(107_000, DisputeOutcome.OPEN)]


def test_more_refunds_than_one_page_are_all_seen(gateway: PaymentService, stripe_server: StripeServer) -> None:
    page = stripe_server.ledger.pay(opened(gateway, an_order()))
    for _ in range(120):
        stripe_server.ledger.refund(payment_intent=page["payment_intent"], amount=100, metadata={})
    assert len(gateway.observe(checkout_id=page["id"], payment_id=None).refunds) == 120


def test_a_closed_page_cannot_be_paid_and_closing_a_paid_one_changes_nothing(gateway: PaymentService, stripe_server: StripeServer) -> None:
    closed, paid = opened(gateway, an_order()), opened(gateway, an_order())
    gateway.close_checkout(closed)
    stripe_server.ledger.pay(paid)
    gateway.close_checkout(paid)
    assert gateway.observe(checkout_id=closed, payment_id=None).paying is Paying.EXPIRED
    assert gateway.observe(checkout_id=paid, payment_id=None).paying is Paying.PAID


def test_the_balance_names_a_charge_by_its_payment(gateway: PaymentService, stripe_server: StripeServer) -> None:
    from datetime import UTC, datetime

    page = stripe_server.ledger.pay(opened(gateway, an_order()))
    refund = stripe_server.ledger.refund(payment_intent=page["payment_intent"], amount=8000, metadata={})
    stripe_server.ledger.pay_out("mad")
    lines = list(gateway.balance_since(datetime(2026, 1, 1, tzinfo=UTC)))
    assert [(line.kind, line.amount_minor) for line in lines] == [("payout", -96_838), ("refund", -8000), ("charge", 108_000)]
    assert [line.source_id for line in lines[1:]] == [refund["id"], page["payment_intent"]]
    assert lines[2].fee_minor == 3162
