"""The door for Stripe's messages: nothing that Stripe did not sign now gets in, and what gets in is only a reason to ask."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
import stripe
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from portal.core import clock
from portal.core.quantities import credits_ucr
from portal.payments.states import PurchaseState
from tests.fakes.stripe_server.store import Thing
from tests.payments.conftest import WEBHOOK, Shop

Answer = tuple[int, dict[str, object]]


def sent(client: FlaskClient, body: bytes, signature: str | None) -> Answer:
    headers = {"Stripe-Signature": signature} if signature is not None else {}
    answer = client.post("/payments/webhook", data=body, headers={"Content-Type": "application/json", **headers})
    return answer.status_code, answer.get_json()


def signed(body: bytes, *, secret: str = WEBHOOK, at: float | None = None) -> str:
    return stripe.WebhookSignature.generate_signature_header(body.decode(), secret, int(at) if at is not None else None)


def message(shop: Shop, **changes: object) -> bytes:
    purchase = shop.placed()
    shop.server.ledger.pay(str(purchase.checkout_id))
    event: Thing = shop.server.store.all("event")[0]
    return json.dumps(event | changes, indent=2).encode()


def test_a_signed_message_is_stored_once_and_leads_to_credits(client: FlaskClient, shop: Shop) -> None:
    body = message(shop)
    first, second = sent(client, body, signed(body)), sent(client, body, signed(body))
    assert (first[0], first[1]["new"], second[0], second[1]["new"]) == (200, True, 200, False)
    assert shop.credits() == (0, 0)
    shop.run()
    assert shop.credits() == (credits_ucr(100), 0)
    assert shop.count("payment_event") == 1


FORGERIES: dict[str, Callable[[bytes], tuple[bytes, str | None]]] = {
    "none": lambda body: (body, None),
    "empty": lambda body: (body, ""),
    "not_a_signature": lambda body: (body, "t=abc,v1=def"),
    "no_time": lambda body: (body, signed(body).partition(",")[2]),
    "another_endpoints_secret": lambda body: (body, signed(body, secret="whsec_of_another_endpoint")),
    "one_byte_changed": lambda body: (body.replace(b"108000", b"108001"), signed(body)),
    "written_anew": lambda body: (json.dumps(json.loads(body)).encode(), signed(body)),
    "ten_minutes_old": lambda body: (body, signed(body, at=(clock.now() - timedelta(minutes=10)).timestamp())),
    "ten_minutes_ahead": lambda body: (body, signed(body, at=(clock.now() + timedelta(minutes=10)).timestamp())),
    "not_json": lambda body: (b"hello", signed(b"hello")),
    "not_an_event": lambda body: (b"[1]", signed(b"[1]")),
    "not_text": lambda body: (b"\xff\xfe", signed(body)),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_f39_f40_f41_forged_changed_and_replayed_messages_leave_only_a_count(client: FlaskClient, shop: Shop, forgery: str) -> None:
    body, signature = FORGERIES[forgery](message(shop))
    assert sent(client, body, signature)[0] == 400
    assert shop.count("payment_event") == 0
    counted = shop.db.execute(text("SELECT sum(hits) FROM limit_window WHERE key LIKE 'payments.refused:%'")).scalar_one()
    assert counted == 1


def test_f46_a_message_of_the_other_mode_is_refused(client: FlaskClient, shop: Shop) -> None:
    body = message(shop, livemode=True)
    assert sent(client, body, signed(body))[0] == 400
    assert shop.count("payment_event") == 0


def test_both_secrets_are_good_while_they_rotate(app: Flask, client: FlaskClient, shop: Shop) -> None:
    from dataclasses import replace

    gateway = app.extensions["job_resources"]["payments"]
    app.extensions["job_resources"]["payments"] = replace(gateway, settings=replace(gateway.settings, webhook_secrets=("whsec_new", WEBHOOK)))
    body = message(shop)
    assert sent(client, body, signed(body, secret="whsec_new"))[0] == 200
    assert sent(client, body, signed(body))[0] == 200


def test_a_message_about_nothing_of_ours_is_kept_and_said(client: FlaskClient, shop: Shop) -> None:
    body = json.dumps(
        {
            "id": "evt_x",
            "type": "charge.refunded",
            "livemode": False,
            "created": 1,
            "data": {"object": {"id": "ch_x", "object": "charge", "payment_intent": "pi_x"}},
        }
    ).encode()
    assert sent(client, body, signed(body))[0] == 200
    shop.run()
    assert shop.db.execute(text("SELECT problem FROM payment_event")).scalar_one() == "no purchase of ours"


def test_without_a_payment_service_there_is_no_door(client: FlaskClient) -> None:
    assert sent(client, b"{}", "t=1,v1=2")[0] == 404


@pytest.mark.parametrize("faults", [{"is_twice": True}, {"is_shuffled": True}, {"is_lost": True}, {"late_s": 0.2, "is_twice": True, "is_shuffled": True}])
def test_f42_f51_messages_twice_shuffled_late_or_lost_end_alike(client: FlaskClient, shop: Shop, faults: dict[str, object]) -> None:
    """The stand-in sends through a door of its own here: the messages go to the test client, as its switches say."""
    purchase = shop.placed()
    sender = shop.server.app.extensions["sender"]
    for name, value in faults.items():
        setattr(shop.server.faults, name, value)
    came: list[Thing] = []
    sender.url, sender._send = "http://portal.test", came.append
    shop.server.ledger.pay(str(purchase.checkout_id))
    shop.server.ledger.refund(payment_intent=shop.server.store.get("checkout.session", str(purchase.checkout_id))["payment_intent"], amount=8000, metadata={})
    from tests.payments.conftest import eventually

    made = len(shop.server.store.all("event"))
    expected = 0 if faults.get("is_lost") else made * (2 if faults.get("is_twice") else 1)
    assert eventually(lambda: len(came) == expected)
    for event in came:
        body = json.dumps(event).encode()
        assert sent(client, body, signed(body))[0] == 200
    shop.look()
    assert shop.again(purchase).state == PurchaseState.PAID
    assert shop.credits() == (credits_ucr(100) - 7_407_408, 0)
    assert [shop.count(table) for table in ("document", "refund", "payment_event")] == [2, 1, made]
