"""Pages of pacing: what happens next, forecasts of lots, the table of the chart, and the warnings that people choose."""

import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core.access import Role
from portal.core.quantities import credits_ucr
from portal.credits import queries
from portal.credits.operations import transfers
from portal.credits.queries.ahead import look_ahead
from portal.credits.queries.upcoming import Happening
from portal.credits.queries.wallets import holdings
from portal.credits.queries.watches import wanted
from portal.credits.rules.thresholds import NOTHING, OF_LEADS, Watch
from portal.projects.operations import members
from portal.projects.states import MemberRole
from tests.credits.test_digests import spend, wallet_of
from tests.factories import credits as make
from tests.factories import identity as people
from tests.queries import count_queries

DAY = timedelta(days=1)
EMPTY = {"below": "", "days_left": "", "lot_days": "", "lot_over": "", "used_percent": "", "idle_days": ""}


@pytest.fixture(autouse=True)
def _present(now: datetime) -> Iterator[None]:
    with time_machine.travel(now, tick=False):
        yield


def hidden(client: FlaskClient) -> dict[str, str]:
    with client.application.app_context():
        return people.csrf(client)


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def used_wallet(db: Session, owner: people.PersonCard, now: datetime) -> uuid.UUID:
    """Open a wallet of a hundred credits with ten days left, four used on each of the last twenty days but today."""
    wallet_id = wallet_of(db, owner, now - 20 * DAY)
    for back in range(20, 0, -1):
        spend(db, wallet_id, 4, at=now - back * DAY)
    return wallet_id


def events(db: Session, wallet_id: uuid.UUID, now: datetime) -> list[tuple[datetime, Happening, int | None]]:
    having, balance = holdings(db, [wallet_id], now=now)[wallet_id], queries.balance(db, wallet_id, now=now)
    return [(event.at, event.kind, event.lost_ucr) for event in look_ahead(db, balance, having, {}, now=now).events]


def test_what_happens_next_is_dated_and_in_order(db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    lender, borrower = wallet_of(db, owner, now - 10 * DAY), make.wallet(db, now=now, name="Borrower")
    lot_id = db.execute(text("SELECT id FROM lot WHERE wallet_id = :id"), {"id": lender}).scalar_one()
    make.lot(db, lender, now=now, effective_at=now + 5 * DAY, expires_at=now + 40 * DAY)
    terms = {"target_wallet_id": borrower, "amount_ucr": credits_ucr(30), "returns_at": now + 8 * DAY}
    transfers.lend(db, loan_id=uuid.uuid4(), lot_id=lot_id, by=make.TESTS, now=now, **terms)
    ends_at = now + 20 * DAY

    # Nothing was used for ten days: each lot ends unused, and the loan goes back with all of it.
    assert events(db, lender, now) == [
        (now + 5 * DAY, Happening.LOT_BEGINS, None),
        (datetime.fromisoformat("2026-12-01T00:00:00+00:00"), Happening.MONTH_ENDS, None),
        (now + 8 * DAY, Happening.LOAN_COMES_BACK, None),
        (ends_at, Happening.LOT_ENDS, credits_ucr(70)),
        (now + 40 * DAY, Happening.LOT_ENDS, credits_ucr(100)),
    ]
    assert events(db, borrower, now) == [(now + 8 * DAY, Happening.LOAN_GOES_BACK, None)], "too few days for a forecast"


def test_a_session_that_runs_out_stands_first_and_one_that_ends_before_does_not(db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    wallet_id = wallet_of(db, owner, now)
    make.meter(db, wallet_id, now=now, rate_ucr_per_hour=credits_ucr(25), limit_s=8 * 3600)
    make.meter(db, wallet_id, now=now, rate_ucr_per_hour=credits_ucr(25), limit_s=3600)
    found = events(db, wallet_id, now)
    assert found[0] == (now + timedelta(hours=2), Happening.SESSION_STOPS, None)
    assert [kind for _, kind, _ in found].count(Happening.SESSION_STOPS) == 1


@pytest.mark.parametrize(
    ("lang", "sentences"),
    [
        (
            "en",
            (
                "Credits last until 28 November",
                "At the present pace the credits are used up.",
                "“ Incubation tranche 1 ” ends; it is likely used up by 28 November .",
                "Used up by 28 November at the present pace; nothing is lost.",
                "less than 14 days left",
            ),
        ),
        ("fr", ("Au rythme actuel, les crédits sont épuisés.", "« Incubation tranche 1 » se termine", "crédits pour moins de 14 jours")),
        ("ar", ("بالوتيرة الحالية تنفد النقاط.", "تنتهي « Incubation tranche 1 »", "نقاط لأقل من 14 يومًا")),
    ],
)
def test_wallet_page_says_what_comes_in_every_language(client: FlaskClient, db: Session, now: datetime, lang: str, sentences: tuple[str, ...]) -> None:
    owner = people.person(db, now=now)
    wallet_id = used_wallet(db, owner, now)
    db.commit()
    client.set_cookie("lang", lang, domain="127.0.0.1")
    people.sign_in(client, owner)
    page = words(client.get(f"/wallets/{wallet_id}").text)
    for sentence in sentences:
        assert sentence in page.replace("\u202f", " ").replace("\u00a0", " "), page
    for path in ("/wallets/warnings", f"/wallets/{wallet_id}/warnings", f"/wallets/{wallet_id}/days"):
        assert client.get(path).status_code == 200


def test_a_lot_says_what_is_lost_and_what_can_be_done(client: FlaskClient, db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    wallet_id = wallet_of(db, owner, now - 20 * DAY)
    for back in range(10, 0, -1):
        spend(db, wallet_id, 1, at=now - back * DAY)
    number = db.execute(text("SELECT number FROM lot WHERE wallet_id = :id"), {"id": wallet_id}).scalar_one()
    db.commit()
    people.sign_in(client, owner)
    wallet, lot = client.get(f"/wallets/{wallet_id}").text, client.get(f"/wallets/{wallet_id}/lots/{number}").text
    # Ten of a hundred were used, one a day; ten days are left.
    assert "80.00 likely lost" in words(wallet)
    assert f'href="/wallets/p-{_slug(db, wallet_id)}/lots/{number}/move"' in wallet
    assert "Will be used 10.00 Likely lost 80.00" in words(lot)
    assert "Lend or move what you will not use" in words(lot)


def _slug(db: Session, wallet_id: uuid.UUID) -> int:
    return int(db.execute(text("SELECT p.number FROM project p JOIN wallet w ON w.project_id = p.id WHERE w.id = :id"), {"id": wallet_id}).scalar_one())


def test_days_are_the_chart_as_figures_that_add_up(client: FlaskClient, db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    wallet_id = used_wallet(db, owner, now)
    db.commit()
    people.sign_in(client, owner)
    page = client.get(f"/wallets/{wallet_id}/days").text
    booked = page[page.index('id="booked"') :]
    cells = re.findall(r'<td class="n" data-l="([^"]+)"><span class="num">([−\d.\u202f]+)</span></td>', booked)
    balances = [float(value) for name, value in cells if name.startswith("Balance")]
    used = [float(value) for name, value in cells if name.startswith("Used")]
    came = [float(value) for name, value in cells if name.startswith("Came")]
    assert (len(balances), balances[0], sum(came), sum(used)) == (20, 20.0, 100.0, 80.0)
    for earlier, later, spent in zip(balances[1:], balances, used, strict=False):
        assert earlier - spent == pytest.approx(later)


def test_month_is_told_as_used_expected_and_left(client: FlaskClient, db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    wallet_id = used_wallet(db, owner, now)
    db.commit()
    people.sign_in(client, owner)
    page = words(client.get(f"/wallets/{wallet_id}").text)
    # Eighty used from the 3rd to the 22nd, four a day; twenty left are used up by the 28th.
    assert "November 2026 at the present pace, in credits Used so far 80.00 Still to be used 20.00 Left at its end 0.00" in page.replace("\u00a0", " ")


def test_a_wallet_with_nothing_ahead_says_so(client: FlaskClient, db: Session, now: datetime) -> None:
    finance = people.person(db, roles=[Role.FINANCE], now=now)
    wallet_id = make.wallet(db, now=now)
    db.commit()
    people.sign_in(client, finance)
    page = words(client.get(f"/wallets/{wallet_id}").text)
    assert "Nothing is ahead" in page
    assert "no warnings" in page


def test_warnings_are_kept_and_the_usual_ones_come_back(client: FlaskClient, db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    wallet_id = wallet_of(db, owner, now)
    db.commit()
    people.sign_in(client, owner)
    path = f"/wallets/{wallet_id}/warnings"
    assert 'name="days_left" type="text" value="14"' in client.get(path).text
    data = {"below": "12,5", "days_left": "7", "lot_days": "30", "lot_over": "3", "used_percent": "80", "idle_days": "21"}
    assert client.post(path, data=hidden(client) | data).status_code == 303
    found = wanted(db, owner.id, [wallet_id])[wallet_id]
    assert (found.watch, found.is_chosen) == (Watch(12_500_000, 7, 30, credits_ucr(3), 80, 21), True)
    audited = "SELECT details FROM audit_event WHERE action = 'chose' AND subject_kind = 'credit_warnings'"
    assert db.execute(text(audited)).scalar_one()["used_percent"] == 80
    assert client.post(path, data=hidden(client) | EMPTY).status_code == 303
    assert wanted(db, owner.id, [wallet_id])[wallet_id].watch == NOTHING
    assert client.post(path, data=hidden(client) | EMPTY | {"usual": "1"}).status_code == 303
    assert wanted(db, owner.id, [wallet_id])[wallet_id] == type(found)(OF_LEADS, is_chosen=False, is_lead=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("below", bad) for bad in ("-1", "0", "1e3", "١٢", "abc", "1.1234567")],
        *[("days_left", bad) for bad in ("0", "-3", "366", "1.5", "٣", "x", "99999999999")],
        ("lot_days", "400"),
        ("lot_over", "5"),
        ("used_percent", "101"),
        ("idle_days", "61"),
    ],
)
def test_f37_bad_thresholds_stand_beside_their_field_with_all_that_was_typed(client: FlaskClient, db: Session, now: datetime, field: str, value: str) -> None:
    owner = people.person(db, now=now)
    wallet_id = wallet_of(db, owner, now)
    db.commit()
    people.sign_in(client, owner)
    path = f"/wallets/{wallet_id}/warnings"
    other = "idle_days" if field != "idle_days" else "used_percent"
    answer = client.post(path, data=hidden(client) | EMPTY | {field: value, other: "33"})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert f'value="{value}"' in answer.text
    assert 'value="33"' in answer.text
    assert wanted(db, owner.id, [wallet_id])[wallet_id].is_chosen is False


def test_a21_warnings_of_a_wallet_that_is_not_ones_own_are_not_found(client: FlaskClient, db: Session, now: datetime) -> None:
    owner, stranger = people.person(db, now=now), people.person(db, now=now)
    wallet_id = wallet_of(db, owner, now)
    db.commit()
    people.sign_in(client, stranger)
    path = f"/wallets/{wallet_id}/warnings"
    answers = [client.get(path), client.get(f"/wallets/{wallet_id}/days"), client.post(path, data=hidden(client) | EMPTY)]
    answers.append(client.post(path, data=hidden(client) | {"usual": "1"}))
    assert [answer.status_code for answer in answers] == [404] * 4
    assert str(wallet_id) not in client.get("/wallets/warnings").text


def test_the_daily_mail_is_switched_by_its_own_person(client: FlaskClient, db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    wallet_of(db, owner, now)
    db.commit()
    people.sign_in(client, owner)
    off = "SELECT is_off FROM credit_digest WHERE person_id = :id"
    for to, expected in (("off", True), ("on", False)):
        assert client.post("/wallets/warnings/mail", data=hidden(client) | {"to": to}).status_code == 303
        assert db.execute(text(off), {"id": owner.id}).scalar_one() is expected


def test_pages_of_pacing_cost_the_same_with_one_and_three_rows(client: FlaskClient, db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    small, large = used_wallet(db, owner, now), used_wallet(db, owner, now)
    for _ in range(3):
        make.lot(db, large, now=now, classes=frozenset({"h100-slice-10"}))
        make.meter(db, large, now=now)
    make.lot(db, small, now=now, classes=frozenset({"h100-slice-10"}))
    make.meter(db, small, now=now)
    other = people.person(db, now=now)
    project_id = db.execute(text("SELECT project_id FROM wallet WHERE id = :id"), {"id": small}).scalar_one()
    members.add(db, project_id=project_id, person_id=other.id, role=MemberRole.MEMBER, by=make.TESTS, now=now)
    db.commit()
    people.sign_in(client, owner)
    for form in ("/wallets/{}", "/wallets/{}/days", "/wallets/{}/warnings"):
        counts = []
        for wallet_id in (small, small, large):
            with count_queries() as seen:
                assert client.get(form.format(wallet_id)).status_code == 200
            counts.append(len(seen))
        assert counts[1] == counts[2] <= 12, (form, counts)
    with count_queries() as many:
        client.get("/wallets/warnings")
    people.sign_out(client)
    people.sign_in(client, other)
    client.get("/wallets/warnings")
    with count_queries() as one:
        client.get("/wallets/warnings")
    assert len(one) == len(many)
