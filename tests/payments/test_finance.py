"""Finance's pages: transfers from the bank, price lists, invoices as PDF, and Stripe's balance against our books."""

import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from pypdf import PdfReader
from sqlalchemy import text

from portal.core import clock
from portal.core.access import Role
from portal.core.quantities import credits_ucr
from portal.credits.operations import cash
from portal.credits.states import CashAccount, Currency
from portal.identity.queries import PersonCard
from portal.payments import jobs as payment_jobs
from portal.payments.models import Purchase
from portal.payments.operations import balance
from portal.payments.rules.references import number_in, reference_of
from portal.payments.states import Method, PurchaseState
from tests.factories import identity as people
from tests.factories import payments as make
from tests.payments.conftest import Shop


@pytest.fixture
def officers(shop: Shop) -> tuple[PersonCard, PersonCard]:
    """Give two people of finance."""
    first, second = (people.person(shop.db, roles=[Role.FINANCE], now=shop.now) for _ in range(2))
    shop.db.commit()
    return first, second


@pytest.fixture
def ordered(shop: Shop) -> Purchase:
    """Give a purchase by bank transfer."""
    purchase = make.purchase(shop.db, shop.wallet_id, buyer=shop.buyer.actor, now=shop.now, method=Method.BANK)
    shop.db.commit()
    return purchase


def bank_list(*lines: str, head: str = "id,date,amount,currency,payer,text") -> dict[str, object]:
    return {"file": (io.BytesIO("\n".join([head, *lines]).encode()), "list.csv")}


def imported(client: FlaskClient, *lines: str, **more: str) -> tuple[int, str]:
    answer = client.post("/finance/transfers/import", data=people.csrf(client) | bank_list(*lines, **more), content_type="multipart/form-data")
    return answer.status_code, answer.get_data(as_text=True)


def test_a_transfer_is_matched_by_one_and_approved_by_another(
    client: FlaskClient, shop: Shop, officers: tuple[PersonCard, PersonCard], ordered: Purchase
) -> None:
    people.sign_in(client, officers[0])
    assert imported(client, f"B-1,2026-11-26,1080.00,MAD,ATLAS SARL,achat {reference_of(ordered.number).lower()} merci")[0] == 303
    assert "Named in the text; the amount is right." in client.get("/finance/transfers").get_data(as_text=True)
    transfer_id = shop.db.execute(text("SELECT id FROM bank_transfer")).scalar_one()
    assert client.post(f"/finance/transfers/{transfer_id}/match", data=people.csrf(client) | {"purchase": str(ordered.number)}).status_code == 303
    approve = f"/finance/transfers/{transfer_id}/approve"
    assert client.post(approve, data=people.csrf(client)).status_code == 403
    assert shop.credits() == (0, 0)
    people.sign_in(client, officers[1])
    assert client.post(approve, data=people.csrf(client)).status_code == 303
    assert shop.credits() == (credits_ucr(100), 0)
    assert cash.balances(shop.db)[CashAccount.BANK, Currency.MAD] == 108_000
    assert shop.again(ordered).state == PurchaseState.PAID


def test_the_same_list_again_enters_nothing(client: FlaskClient, shop: Shop, officers: tuple[PersonCard, PersonCard]) -> None:
    people.sign_in(client, officers[0])
    for _ in range(2):
        imported(client, "B-1,2026-11-26,1080.00,MAD,ATLAS,", "B-2;x,2026-11-26,5,EUR,ATLAS,")
    assert shop.count("bank_transfer") == 2


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["B-1,2026-11-26,1080.00,MAD,A,", "B-2,26/11/2026,10,MAD,A,"], "cannot be read: 3"),
        (["B-1,2026-11-26,-5,MAD,A,"], "cannot be read: 2"),
        (["B-1,2026-11-26,0,MAD,A,"], "cannot be read: 2"),
        (["B-1,2026-11-26,5.001,MAD,A,"], "cannot be read: 2"),
        (["B-1,2026-11-26,5,GBP,A,"], "cannot be read: 2"),
        ([",2026-11-26,5,MAD,A,"], "cannot be read: 2"),
        (["x"] * 2001, "more than 2000 lines"),
    ],
)
def test_a_list_with_one_bad_line_enters_nothing_and_names_it(
    client: FlaskClient, shop: Shop, officers: tuple[PersonCard, PersonCard], lines: list[str], said: str
) -> None:
    people.sign_in(client, officers[0])
    status, page = imported(client, *lines)
    assert (status, shop.count("bank_transfer")) == (422, 0)
    assert said in page


@pytest.mark.parametrize(
    ("raw", "said"),
    [(b"a,b\n1,2", "must name the columns"), (b"\xff\xfe\x00", "not UTF-8"), (b"x" * 400_001, "larger than 400 kB"), (b"", "must name the columns")],
)
def test_files_that_are_no_list_are_said(client: FlaskClient, officers: tuple[PersonCard, PersonCard], raw: bytes, said: str) -> None:
    people.sign_in(client, officers[0])
    sent = people.csrf(client) | {"file": (io.BytesIO(raw), "list.csv")}
    answer = client.post("/finance/transfers/import", data=sent, content_type="multipart/form-data")
    assert (answer.status_code, said in answer.get_data(as_text=True)) == (422, True)


def test_another_amount_than_the_purchases_is_refused(client: FlaskClient, shop: Shop, officers: tuple[PersonCard, PersonCard], ordered: Purchase) -> None:
    people.sign_in(client, officers[0])
    imported(client, f"B-1,2026-11-26,1000.00,MAD,ATLAS,{reference_of(ordered.number)}")
    transfer_id = shop.db.execute(text("SELECT id FROM bank_transfer")).scalar_one()
    answer = client.post(f"/finance/transfers/{transfer_id}/match", data=people.csrf(client) | {"purchase": str(ordered.number)})
    assert (answer.status_code, "1080.00 MAD" in answer.get_data(as_text=True)) == (422, True)
    assert (
        client.post(f"/finance/transfers/{transfer_id}/set-aside", data=people.csrf(client) | {"note": "Short by 80; the buyer sends the rest"}).status_code
        == 303
    )
    assert shop.db.execute(text("SELECT state FROM bank_transfer")).scalar_one() == "set_aside"


@pytest.mark.parametrize("number", [1, 42, 999_999, 1_234_567, 99_999_999])
@pytest.mark.parametrize("shape", ["{}", "virement {} atlas", "ref: {}.", "th-{}"])
def test_references_are_found_however_people_write_them(number: int, shape: str) -> None:
    reference = reference_of(number)
    written = shape.format(reference.removeprefix("TH") if shape.startswith("th-") else f"{reference[:4]} {reference[4:7]}-{reference[7:]}")
    assert number_in(written) == number


def test_a_reference_with_one_wrong_digit_is_nobodys() -> None:
    wrong = 0
    for place in range(2, 10):
        good = reference_of(12_345)
        changed = good[:place] + str((int(good[place]) + 1) % 10) + good[place + 1 :]
        wrong += number_in(changed) is not None
    assert wrong == 0


def test_a_price_list_is_published_and_holds_from_its_day_on(client: FlaskClient, shop: Shop, officers: tuple[PersonCard, PersonCard]) -> None:
    people.sign_in(client, officers[0])
    tomorrow = (clock.now() + timedelta(days=2)).date().isoformat()
    steps = {"mad": "10: 11.00\n100: 9,90", "eur": "10: 1.10", "usd": "10: 1.20"}
    assert client.post("/finance/prices/new", data=people.csrf(client) | steps | {"starts_on": tomorrow}).status_code == 303
    assert shop.count("price_list") == 2
    placed = make.purchase(shop.db, shop.wallet_id, buyer=shop.buyer.actor, now=shop.now, quantity=10)
    assert placed.unit_minor == 1000


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mad": "10: 11.00\n100: 12.00"}, "prices fall with the quantity"),
        ({"mad": "20: 11.00"}, "begin at 10 credits"),
        ({"eur": "ten euros"}, "This line cannot be read: ten euros"),
        ({"usd": ""}, "Please fill this in."),
        ({"starts_on": "2020-01-01"}, "begins in the future"),
    ],
)
def test_bad_price_lists_are_said_and_nothing_is_published(
    client: FlaskClient, shop: Shop, officers: tuple[PersonCard, PersonCard], changes: dict[str, str], said: str
) -> None:
    people.sign_in(client, officers[0])
    steps = {"mad": "10: 11.00", "eur": "10: 1.10", "usd": "10: 1.20", "starts_on": "2030-01-01"} | changes
    answer = client.post("/finance/prices/new", data=people.csrf(client) | steps)
    assert (answer.status_code, said in answer.get_data(as_text=True), shop.count("price_list")) == (422, True, 1)


@pytest.mark.parametrize(("language", "words"), [("en", ["Invoice", "VAT", "Total"]), ("fr", ["Facture", "TVA", "Total"]), ("ar", ["Atlas SARL", "MAD"])])
def test_invoices_are_pdf_in_three_languages(client: FlaskClient, shop: Shop, ordered: Purchase, language: str, words: list[str]) -> None:
    make.pay(shop.db, ordered, now=shop.now)
    shop.db.commit()
    people.sign_in(client, shop.buyer)
    document_id = shop.db.execute(text("SELECT id FROM document")).scalar_one()
    answer = client.get(f"/purchases/{ordered.number}/documents/{document_id}.pdf?lang={language}")
    reader = PdfReader(io.BytesIO(answer.data))
    shown = reader.pages[0].extract_text()
    year = shop.now.year
    assert (answer.status_code, answer.content_type, len(reader.pages)) == (200, "application/pdf", 1)
    assert [word for word in [*words, f"INV-{year}-000001", "ICE 001234567000089"] if word not in shown] == []
    assert answer.data == client.get(f"/purchases/{ordered.number}/documents/{document_id}.pdf?lang={language}").data


def test_words_of_people_in_a_pdf_are_text_and_never_code(client: FlaskClient, shop: Shop) -> None:
    from portal.payments.operations.purchases import BillTo

    evil = BillTo('#eval("1+1") $x$ *bold* ]', '#read("/etc/passwd")\n\\', "MA")
    purchase = make.purchase(shop.db, shop.wallet_id, buyer=shop.buyer.actor, now=shop.now, method=Method.BANK, bill_to=evil)
    make.pay(shop.db, purchase, now=shop.now)
    shop.db.commit()
    people.sign_in(client, shop.buyer)
    document_id = shop.db.execute(text("SELECT id FROM document")).scalar_one()
    shown = PdfReader(io.BytesIO(client.get(f"/purchases/{purchase.number}/documents/{document_id}.pdf").data)).pages[0].extract_text()
    assert '#eval("1+1") $x$ *bold* ]' in shown
    assert "root:" not in shown


def _read_balance(shop: Shop) -> None:
    """Read Stripe's balance, and compare as if an hour had passed."""
    payment_jobs.read_balance(shop.context)  # type: ignore[arg-type]
    balance.compare(shop.db, now=clock.now() + timedelta(hours=2))
    shop.db.commit()


def test_fees_and_payouts_are_booked_and_everything_is_explained(shop: Shop) -> None:
    purchase = shop.paid()
    shop.server.ledger.refund(payment_intent=str(purchase.payment_id), amount=8000, metadata={})
    shop.server.ledger.dispute(payment_intent=str(purchase.payment_id), amount=10_000)
    shop.look()
    shop.server.ledger.pay_out("mad")
    _read_balance(shop)
    _read_balance(shop)
    assert shop.count("difference") == 0
    books = cash.balances(shop.db)
    assert books[CashAccount.PSP_CLEARING, Currency.MAD] == 0
    assert books[CashAccount.PSP_FEES, Currency.MAD] == 3162 + 1500
    assert books[CashAccount.BANK, Currency.MAD] == 108_000 - 8000 - 10_000 - 3162 - 1500


Fault = Callable[[Shop, Purchase], None]


def _stripes_alone(shop: Shop, purchase: Purchase) -> None:
    del purchase
    shop.server.ledger._money("charge", "ch_unknown", "mad", 5000, 0)


def _another_amount(shop: Shop, purchase: Purchase) -> None:
    del purchase
    next(line for line in shop.server.store.all("balance_transaction") if line["type"] == "charge")["amount"] = 100_000


def _ours_alone(shop: Shop, purchase: Purchase) -> None:
    del purchase
    shop.server.store.things["balance_transaction"].clear()


@pytest.mark.parametrize(("fault", "off"), [(_stripes_alone, 5000), (_another_amount, -8000), (_ours_alone, -108_000)])
def test_what_one_side_does_not_know_is_found_once_and_closed_with_a_sentence(
    client: FlaskClient, shop: Shop, officers: tuple[PersonCard, PersonCard], fault: Fault, off: int
) -> None:
    fault(shop, shop.paid())
    _read_balance(shop)
    _read_balance(shop)
    number, amount = shop.db.execute(text("SELECT number, amount_minor FROM difference")).one()
    assert amount == off
    people.sign_in(client, officers[0])
    url = f"/finance/differences/{number}"
    assert client.post(url, data=people.csrf(client) | {"resolution": " "}).status_code == 422
    assert client.post(url, data=people.csrf(client) | {"resolution": "A test charge of the bank"}).status_code == 303
    assert client.post(url, data=people.csrf(client) | {"resolution": "Twice"}).status_code in {409, 422}
    assert "A test charge of the bank" in client.get("/finance/differences?resolved=1").get_data(as_text=True)
