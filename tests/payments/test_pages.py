"""Buying and refunding through the pages: the price is ours, shown before it is owed, and nothing happens twice."""

import re
from collections.abc import Mapping
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from portal.core import clock
from portal.core.access import Role
from portal.core.quantities import credits_ucr
from portal.credits.operations import meters
from portal.payments.operations import purchases
from portal.payments.states import Method, PurchaseState
from portal.projects.operations import members
from portal.projects.states import MemberRole
from tests.factories import credits as ledger
from tests.factories import identity as people
from tests.factories import payments as make
from tests.payments.conftest import Shop, buyers_browser

ORDER = {"quantity": "100", "currency": "MAD", "method": "card", "name": "Atlas SARL", "address": "12, rue de Fès\nTétouan", "country": "MA", "tax_id": ""}


def order(client: FlaskClient, shop: Shop, **changes: str) -> tuple[int, str, str]:
    """Send the form as a person does: look, see the price, confirm it. Return status, text and where it leads."""
    url = f"/wallets/{slug(shop)}/buy"
    sent = people.csrf(client) | ORDER | changes
    if "quoted" not in changes:
        shown = client.post(url, data=sent).get_data(as_text=True)
        quoted = re.search(r'name="quoted" value="([^"]*)"', shown)
        sent |= people.csrf(client) | {"quoted": quoted[1] if quoted else ""}
    answer = client.post(url, data=sent)
    return answer.status_code, answer.get_data(as_text=True), answer.headers.get("Location", "")


def slug(shop: Shop) -> str:
    return str(shop.db.execute(text("SELECT p.slug FROM project p JOIN wallet w ON w.project_id = p.id WHERE w.id = :id"), {"id": shop.wallet_id}).scalar_one())


def test_the_price_is_shown_before_anything_is_placed(client: FlaskClient, shop: Shop) -> None:
    buyers_browser(client, shop)
    answer = client.post(f"/wallets/{slug(shop)}/buy", data=people.csrf(client) | ORDER)
    page = answer.get_data(as_text=True)
    assert (answer.status_code, shop.count("purchase")) == (200, 0)
    assert "1\u202f080.00\u202fMAD" in page or "1,080.00\u202fMAD" in page
    assert "180.00\u202fMAD" in page


def test_f28_a_confirmed_order_is_placed_once_however_often_it_is_sent(client: FlaskClient, shop: Shop) -> None:
    buyers_browser(client, shop)
    url, sent = f"/wallets/{slug(shop)}/buy", people.csrf(client) | ORDER
    shown = client.post(url, data=sent).get_data(as_text=True)
    sent["quoted"] = re.search(r'name="quoted" value="([^"]*)"', shown)[1]  # type: ignore[index]
    places = {client.post(url, data=sent).headers["Location"] for _ in range(3)}
    assert (len(places), shop.count("purchase")) == (1, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"quoted": "100-1-MAD-MA-card"},
        {"quoted": ""},
        {"quoted": "100-108000-MAD-MA-bank"},
        {"quoted": "100-108000-MAD-MA-card", "quantity": "10"},
        {"quoted": "100-90000-MAD-FR-card", "country": "MA"},
    ],
)
def test_f53_no_other_price_than_the_lists_is_ever_placed(client: FlaskClient, shop: Shop, changes: Mapping[str, str]) -> None:
    buyers_browser(client, shop)
    status, _, _ = order(client, shop, **changes)
    assert (status, shop.count("purchase")) == (200, 0)


@pytest.mark.parametrize("extra", [{"gross_minor": "1"}, {"unit_minor": "1"}, {"price_list_id": "x"}, {"state": "paid"}, {"vat_minor": "0"}])
def test_f53_fields_that_are_not_in_the_form_change_nothing(client: FlaskClient, shop: Shop, extra: Mapping[str, str]) -> None:
    buyers_browser(client, shop)
    order(client, shop, **extra)
    assert shop.db.execute(text("SELECT gross_minor, state FROM purchase")).one() == (108_000, "awaiting")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("quantity", "-1", "from 10 to 100000"),
        ("quantity", "0", "from 10 to 100000"),
        ("quantity", "9", "from 10 to 100000"),
        ("quantity", "1.5", "Not a valid integer"),
        ("quantity", "100001", "from 10 to 100000"),
        ("quantity", "１００", ""),
        ("quantity", "1e30", "Not a valid integer"),
        ("quantity", "", "whole number of credits"),
        ("currency", "BTC", "Not a valid choice"),
        ("method", "cash", "Not a valid choice"),
        ("country", "XX", "Not a valid choice"),
        ("name", " ", "Please fill this in."),
        ("address", "", "Please fill this in."),
        ("name", "x" * 161, "Field cannot be longer than 160"),
    ],
)
def test_f53_bad_orders_are_said_beside_their_field_and_keep_what_was_typed(client: FlaskClient, shop: Shop, field: str, value: str, said: str) -> None:
    buyers_browser(client, shop)
    answer = client.post(f"/wallets/{slug(shop)}/buy", data=people.csrf(client) | ORDER | {field: value})
    page = answer.get_data(as_text=True)
    if said:
        assert answer.status_code == 422
        assert said in page
    assert shop.count("purchase") == 0
    assert "rue de Fès" in page or field == "address"


def test_a_buyer_abroad_pays_no_moroccan_vat(client: FlaskClient, shop: Shop) -> None:
    buyers_browser(client, shop)
    order(client, shop, country="FR", currency="EUR")
    assert shop.db.execute(text("SELECT net_minor, vat_minor, gross_minor, currency FROM purchase")).one() == (9000, 0, 9000, "EUR")


def test_from_order_to_payment_page_to_credits_and_back(client: FlaskClient, shop: Shop) -> None:
    buyers_browser(client, shop)
    _, _, place = order(client, shop)
    assert client.get(place).status_code == 200
    shop.run()
    lead = client.get(place)
    assert (lead.status_code, lead.headers["Location"].startswith(shop.server.url)) == (303, True)
    page_id = lead.headers["Location"].rpartition("/")[2]
    shop.server.ledger.pay(page_id)
    back = client.get(place.replace("/checkout", "/back"))
    assert back.headers["Location"].endswith("?checking=1")
    assert "is being checked" in client.get(back.headers["Location"]).get_data(as_text=True)
    shop.run()
    assert client.get(place.replace("/checkout", "/standing"), headers={"HX-Request": "true"}).headers["HX-Redirect"]
    assert "Paid" in client.get(place.replace("/checkout", "")).get_data(as_text=True)
    assert shop.credits() == (credits_ucr(100), 0)


def test_a_cancelled_purchase_closes_its_page(client: FlaskClient, shop: Shop) -> None:
    buyers_browser(client, shop)
    purchase = shop.placed()
    assert client.post(f"/purchases/{purchase.number}/cancel", data=people.csrf(client)).status_code == 303
    shop.run()
    assert shop.again(purchase).state == PurchaseState.CANCELLED
    assert shop.server.store.get("checkout.session", str(purchase.checkout_id))["status"] == "expired"


def test_money_that_comes_after_all_is_never_lost(client: FlaskClient, shop: Shop) -> None:
    buyers_browser(client, shop)
    purchase = shop.placed()
    shop.server.ledger.pay(str(purchase.checkout_id))
    client.post(f"/purchases/{purchase.number}/cancel", data=people.csrf(client))
    shop.run()
    assert (shop.again(purchase).state, shop.credits()) == (PurchaseState.PAID, (credits_ucr(100), 0))


def test_unused_credits_are_refunded_by_the_buyer_and_frozen_until_they_are(client: FlaskClient, shop: Shop) -> None:
    buyers_browser(client, shop)
    purchase = shop.paid()
    url = f"/purchases/{purchase.number}/refund"
    assert client.post(url, data=people.csrf(client) | {"reason": ""}).status_code == 422
    assert client.post(url, data=people.csrf(client) | {"reason": "Bought twice"}).status_code == 303
    assert shop.credits() == (0, 0)
    shop.run()
    shop.look()
    assert shop.db.execute(text("SELECT state, amount_minor FROM refund")).one() == ("done", 108_000)
    assert "Refunded" in client.get(f"/purchases/{purchase.number}").get_data(as_text=True)
    assert client.post(url, data=people.csrf(client) | {"reason": "Again"}).status_code == 422


def test_after_eighty_of_a_hundred_are_spent_a_fifth_of_the_money_goes_back(client: FlaskClient, shop: Shop) -> None:
    buyers_browser(client, shop)
    purchase = shop.paid()
    began = clock.now()
    session_id = ledger.meter(shop.db, shop.wallet_id, now=began, rate_ucr_per_hour=credits_ucr(80))
    ended = began + timedelta(hours=1)
    meters.settle(shop.db, session_id=session_id, generation=1, proven_s=3600, ended_at=ended, now=ended)
    shop.db.commit()
    assert client.post(f"/purchases/{purchase.number}/refund", data=people.csrf(client) | {"reason": "Done early"}).status_code == 303
    shop.run()
    shop.look()
    assert shop.db.execute(text("SELECT state, amount_minor FROM refund")).one() == ("done", 21_600)
    assert shop.db.execute(text("SELECT net_minor, vat_minor, gross_minor FROM document WHERE kind = 'credit_note'")).one() == (-18_000, -3_600, -21_600)
    assert shop.credits() == (0, 0)
    booked = shop.db.execute(text("SELECT operation FROM ledger_transaction ORDER BY id")).scalars().all()
    assert (booked[0], booked[-2:]) == ("purchase", ["freeze", "clawback"])


def test_a_refund_by_finance_takes_a_second_person(client: FlaskClient, shop: Shop) -> None:
    purchase = shop.paid()
    first, second = (people.person(shop.db, roles=[Role.FINANCE], now=shop.now) for _ in range(2))
    shop.db.commit()
    people.sign_in(client, first)
    url = f"/purchases/{purchase.number}/finance-refund"
    assert client.post(url, data=people.csrf(client) | {"amount": "1080.01", "reason": "x"}).status_code == 422
    assert client.post(url, data=people.csrf(client) | {"amount": "540,00", "reason": "Goodwill"}).status_code == 303
    refund_id = shop.db.execute(text("SELECT id FROM refund")).scalar_one()
    approve = f"/finance/refunds/{refund_id}/approve"
    assert client.post(approve, data=people.csrf(client)).status_code == 403
    people.sign_in(client, second)
    assert client.post(approve, data=people.csrf(client)).status_code == 303
    shop.run()
    assert shop.db.execute(text("SELECT state, decided_by_id IS NOT NULL FROM refund")).one() == ("done", True)
    assert shop.credits() == (credits_ucr(50), 0)


def test_finance_cannot_take_the_buyers_way_around_the_second_person(client: FlaskClient, shop: Shop) -> None:
    purchase = shop.paid()
    officer = people.person(shop.db, roles=[Role.FINANCE], now=shop.now)
    shop.db.commit()
    people.sign_in(client, officer)
    assert client.get(f"/purchases/{purchase.number}").status_code == 200
    for way in ("refund", "pay", "cancel"):
        assert client.post(f"/purchases/{purchase.number}/{way}", data=people.csrf(client) | {"reason": "x"}).status_code == 404
    assert shop.count("refund") == 0


def test_finance_cannot_decide_for_a_project_of_their_own(client: FlaskClient, shop: Shop) -> None:
    purchase = shop.paid()
    asker, member = (people.person(shop.db, roles=[Role.FINANCE], now=shop.now) for _ in range(2))
    project_id = shop.db.execute(text("SELECT project_id FROM wallet WHERE id = :id"), {"id": shop.wallet_id}).scalar_one()
    members.add(shop.db, project_id=project_id, person_id=member.id, role=MemberRole.MEMBER, by=make.TESTS, now=shop.now)
    shop.db.commit()
    people.sign_in(client, asker)
    client.post(f"/purchases/{purchase.number}/finance-refund", data=people.csrf(client) | {"amount": "10", "reason": "Goodwill"})
    people.sign_in(client, member)
    refund_id = shop.db.execute(text("SELECT id FROM refund")).scalar_one()
    assert client.post(f"/finance/refunds/{refund_id}/approve", data=people.csrf(client)).status_code == 403


def test_an_order_that_nobody_pays_expires_and_its_late_money_is_still_taken(shop: Shop) -> None:
    purchase = make.purchase(shop.db, shop.wallet_id, buyer=shop.buyer.actor, now=shop.now, method=Method.BANK)
    assert purchases.expire_unpaid(shop.db, now=shop.now + timedelta(days=29)) == 0
    assert purchases.expire_unpaid(shop.db, now=shop.now + timedelta(days=31)) == 1
    assert shop.again(purchase).state == PurchaseState.EXPIRED
    make.pay(shop.db, shop.again(purchase), now=shop.now + timedelta(days=32))
    assert shop.again(purchase).state == PurchaseState.PAID


def test_a_declined_refund_frees_its_credits(client: FlaskClient, shop: Shop) -> None:
    purchase = make.purchase(shop.db, shop.wallet_id, buyer=shop.buyer.actor, now=shop.now, method=Method.BANK)
    make.pay(shop.db, purchase, now=shop.now)
    officer = people.person(shop.db, roles=[Role.FINANCE], now=shop.now)
    shop.db.commit()
    buyers_browser(client, shop)
    client.post(f"/purchases/{purchase.number}/refund", data=people.csrf(client) | {"reason": "No longer needed"})
    assert shop.credits() == (0, 0)
    people.sign_in(client, officer)
    refund_id = shop.db.execute(text("SELECT id FROM refund WHERE state = 'waiting'")).scalar_one()
    client.post(f"/finance/refunds/{refund_id}/decline", data=people.csrf(client))
    assert shop.credits() == (credits_ucr(100), 0)


def test_lists_take_the_same_statements_however_long_they_are(client: FlaskClient, shop: Shop, paying_app: object) -> None:
    from tests.queries import count_queries

    buyers_browser(client, shop)
    client.get("/purchases")
    counts = []
    for more in (2, 20):
        for _ in range(more):
            make.purchase(shop.db, shop.wallet_id, buyer=shop.buyer.actor, now=shop.now, method=Method.BANK)
        shop.db.commit()
        with count_queries() as statements:
            client.get("/purchases")
        counts.append(len(statements))
    assert counts[0] == counts[1]
