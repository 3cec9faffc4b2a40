"""Pages: wallet, statement, CSV, funds, grants with a second person."""

import csv
import io
import re
import uuid
from datetime import datetime, timedelta

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from portal.core.access import Role
from portal.core.quantities import charge_ucr, credits_ucr, decimal_credits
from portal.credits import queries
from portal.credits.operations import expiry, meters
from portal.credits.sheets import plain_text, safe_text
from portal.projects.operations import members
from portal.projects.states import MemberRole
from tests.credits.access_matrix import make_wallet
from tests.factories import credits as make
from tests.factories import identity as people
from tests.queries import count_queries

RATE = credits_ucr(4)


@pytest.fixture(autouse=True)
def _present(now: datetime):
    with time_machine.travel(now, tick=False):
        yield


def hidden(client: FlaskClient) -> dict[str, str]:
    """Return the hidden fields of a form."""
    with client.application.app_context():
        return people.csrf(client)


def wallet_of(db: Session, owner: people.PersonCard, now: datetime) -> uuid.UUID:
    return uuid.UUID(make_wallet(db, owner.id, now)["ref"])


def test_wallet_page_shows_the_three_numbers_to_the_second(client: FlaskClient, db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    wallet_id = wallet_of(db, owner, now - timedelta(seconds=450))
    make.meter(db, wallet_id, now=now - timedelta(seconds=450), rate_ucr_per_hour=RATE)
    db.commit()
    people.sign_in(client, owner)
    page = client.get(f"/wallets/{wallet_id}")
    assert page.status_code == 200
    shown = re.findall(r'<dd><span class="num">([\d.]+)</span></dd>', page.text)[:3]
    assert shown == ["99.50", "0.50", "99.00"]
    assert "Tokeniser training" in page.text
    assert "Spent first" in page.text


@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
def test_every_page_renders_in_every_language(client: FlaskClient, db: Session, now: datetime, lang: str) -> None:
    owner, finance = people.person(db, now=now), people.person(db, roles=[Role.FINANCE], now=now)
    other = people.person(db, roles=[Role.FINANCE], now=now)
    started = now - timedelta(days=12)
    wallet_id = wallet_of(db, owner, started)
    for day in range(10):
        at = started + timedelta(days=day)
        session_id = make.meter(db, wallet_id, now=at)
        meters.settle(db, session_id=session_id, generation=1, proven_s=800, ended_at=at + timedelta(seconds=800), now=at + timedelta(seconds=800))
    make.meter(db, wallet_id, now=now)
    fund_id = make.fund(db, now=now, slug="green")
    ask(db, wallet_id, fund_id, by=other, amount_ucr=credits_ucr(6000), now=now)
    db.commit()
    client.set_cookie("lang", lang, domain="127.0.0.1")
    people.sign_in(client, finance)
    paths = ["/wallets", f"/wallets/{wallet_id}", f"/wallets/{wallet_id}/statement?from=2026-11-01&to=2026-11-23", "/funds", "/funds/green", "/funds/new"]
    for path in [*paths, f"/wallets/{wallet_id}/grants/new", "/grant-requests"]:
        assert client.get(path).status_code == 200, path


def ask(db: Session, wallet_id: uuid.UUID, fund_id: uuid.UUID, *, by: people.PersonCard, amount_ucr: int, now: datetime) -> uuid.UUID:
    from portal.core.ids import new_id
    from portal.credits.operations import requests

    grant_id = new_id()
    requests.ask(
        db,
        grant_id=grant_id,
        wallet_id=wallet_id,
        fund_id=fund_id,
        amount_ucr=amount_ucr,
        purpose="Tranche 2",
        classes=None,
        effective_at=now,
        expires_at=now + timedelta(days=30),
        by=by.actor,
        now=now,
    )
    return grant_id


def test_learners_do_not_read_their_courses_wallet(client: FlaskClient, db: Session, now: datetime) -> None:
    owner, learner = people.person(db, now=now), people.person(db, now=now)
    wallet_id = wallet_of(db, owner, now)
    project_id = queries.wallet_by_ref(db, str(wallet_id), actor=make.TESTS).project_id
    members.add(db, project_id=project_id, person_id=learner.id, role=MemberRole.LEARNER, by=make.TESTS, now=now)
    db.commit()
    people.sign_in(client, learner)
    assert client.get(f"/wallets/{wallet_id}").status_code == 404


def test_wallet_page_costs_the_same_with_one_and_three_rows(client: FlaskClient, db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    small, large = wallet_of(db, owner, now), wallet_of(db, owner, now)
    for wallet_id, rows in ((small, 1), (large, 3)):
        for _ in range(rows):
            make.lot(db, wallet_id, now=now)
            make.meter(db, wallet_id, now=now)
    db.commit()
    people.sign_in(client, owner)
    counts = []
    for wallet_id in (small, small, large):
        with count_queries() as seen:
            assert client.get(f"/wallets/{wallet_id}").status_code == 200
        counts.append(len(seen))
    assert counts[1] == counts[2] <= 11


def test_statement_adds_up_and_names_seconds_rate_and_lot(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(1), days=0.01)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(50))
    session_id = make.meter(db, wallet_id, now=now)
    for minute in range(1, 31):
        at = now + timedelta(minutes=minute)
        meters.record_proven(db, [make.proven(session_id, started_at=now, proven_s=60 * minute)], now=at)
        meters.roll_due(db, now=at)
        expiry.sweep(db, now=at)
    ended = now + timedelta(minutes=30)
    meters.settle(db, session_id=session_id, generation=1, proven_s=1801, ended_at=ended, now=ended + timedelta(seconds=2))
    found = queries.statement(db, wallet_id, starts_at=now - timedelta(days=1), ends_at=now + timedelta(days=1), now=ended)
    assert found.opening_ucr == 0
    assert found.opening_ucr + sum(line.amount_ucr for line in found.lines) == found.closing_ucr == found.lines[-1].balance_ucr
    line = next(line for line in found.lines if line.session_id == session_id)
    assert line.amount_ucr == -charge_ucr(RATE, 1801) == sum(part.amount_ucr for part in line.lots)
    assert (line.duration_s, [part.rate_ucr_per_hour for part in line.prices], len(line.lots)) == (1801, [RATE], 2)
    assert found.closing_ucr == queries.balance(db, wallet_id, now=ended + timedelta(seconds=2)).balance_ucr
    for cut in (now + timedelta(minutes=17), now + timedelta(minutes=29)):
        first = queries.statement(db, wallet_id, starts_at=now - timedelta(days=1), ends_at=cut, now=ended)
        second = queries.statement(db, wallet_id, starts_at=cut, ends_at=now + timedelta(days=1), now=ended)
        assert first.closing_ucr == second.opening_ucr
        assert second.opening_ucr + sum(line.amount_ucr for line in second.lines) == second.closing_ucr == found.closing_ucr
        seconds = [sum(line.duration_s for line in half.lines) for half in (first, second)]
        assert sum(seconds) == 1801


def test_a_session_paid_by_debt_alone_still_stands_on_the_statement(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(1))
    session_id = make.meter(db, wallet_id, now=now)
    later = now + timedelta(hours=1)
    meters.settle(db, session_id=session_id, generation=1, proven_s=900, ended_at=now + timedelta(seconds=900), now=later)
    meters.record_proven(db, [make.proven(session_id, started_at=now, proven_s=3000)], now=later)
    meters.roll_due(db, now=later)
    found = queries.statement(db, wallet_id, starts_at=later, ends_at=later + timedelta(days=1), now=later)
    assert [line.duration_s for line in found.lines if line.session_id] == [3000]
    total = sum(line.debt_ucr + line.written_off_ucr - line.amount_ucr for line in found.lines if line.session_id)
    assert total == charge_ucr(RATE, 3000)


def test_a37_csv_cells_never_become_formulas_and_keep_their_value(client: FlaskClient, db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    wallet_id = wallet_of(db, owner, now)
    evil = '=HYPERLINK("http://evil","x")'
    session_id = uuid.uuid4()
    meters.authorise(
        db, session_id=session_id, generation=1, wallet_id=wallet_id, charge_class="cpu", rate_ucr_per_hour=RATE, label=evil, by=make.TESTS, now=now
    )
    meters.settle(db, session_id=session_id, generation=1, proven_s=60, ended_at=now, now=now + timedelta(seconds=61))
    db.commit()
    people.sign_in(client, owner)
    answer = client.get(f"/wallets/{wallet_id}/statement.csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert [row["what"] for row in rows] == ["opening", "grant", "capture", "closing"]
    assert (rows[2]["label"], plain_text(rows[2]["label"])) == (f"'{evil}", evil)
    assert rows[2]["credits"] == decimal_credits(-charge_ucr(RATE, 60))
    assert rows[3]["balance"] == decimal_credits(credits_ucr(100) - charge_ucr(RATE, 60))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\0=1", " =1", "＝1", "'=1", "'", "Lab 1", "", "دفتر", "a=b"])
def test_a37_safe_text_comes_back(text: str) -> None:
    cell = safe_text(text)
    assert plain_text(cell) == text
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝"))


@pytest.mark.parametrize("period", ["from=x", "from=2026-11-02&to=2026-11-01", "from=2020-01-01&to=2026-01-01", "from=0001-01-01&to=0001-01-02"])
def test_statement_refuses_periods_that_are_none(client: FlaskClient, db: Session, now: datetime, period: str) -> None:
    owner = people.person(db, now=now)
    wallet_id = wallet_of(db, owner, now)
    db.commit()
    people.sign_in(client, owner)
    assert client.get(f"/wallets/{wallet_id}/statement?{period}").status_code == 422


def grant_data(client: FlaskClient, fund_id: uuid.UUID, now: datetime, **changes: str) -> dict[str, str]:
    day = now.date()
    terms = {"fund": str(fund_id), "amount": "12.5", "purpose": "Tranche 2", "classes": "", "begins_on": day.isoformat()}
    return hidden(client) | terms | {"expires_on": (day + timedelta(days=30)).isoformat()} | changes


def test_finance_grants_at_once_and_twice_is_once(client: FlaskClient, db: Session, now: datetime) -> None:
    finance = people.person(db, roles=[Role.FINANCE], now=now)
    wallet_id, fund_id = make.wallet(db, now=now), make.fund(db, now=now)
    db.commit()
    people.sign_in(client, finance)
    data = grant_data(client, fund_id, now)
    answers = [client.post(f"/wallets/{wallet_id}/grants/new", data=data) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert queries.balance(db, wallet_id, now=now).free_ucr == 12_500_000


@pytest.mark.parametrize("amount", ["-1", "0", "1.5e3", "NaN", "1e30", "１２", "1.1234567", "", "9999999999999", "0.0000001", "+5", "0x10", "Infinity", "٥"])
def test_f37_amounts_that_are_none_book_nothing(client: FlaskClient, db: Session, now: datetime, amount: str) -> None:
    finance = people.person(db, roles=[Role.FINANCE], now=now)
    wallet_id, fund_id = make.wallet(db, now=now), make.fund(db, now=now)
    db.commit()
    people.sign_in(client, finance)
    answer = client.post(f"/wallets/{wallet_id}/grants/new", data=grant_data(client, fund_id, now, amount=amount))
    assert answer.status_code == 422
    assert queries.balance(db, wallet_id, now=now).free_ucr == 0
    assert queries.statement(db, wallet_id, starts_at=now, ends_at=now + timedelta(days=1), now=now).lines == []


def test_a27_nobody_grants_to_a_project_of_their_own(client: FlaskClient, db: Session, now: datetime) -> None:
    finance = people.person(db, roles=[Role.FINANCE], now=now)
    wallet_id, fund_id = wallet_of(db, finance, now), make.fund(db, now=now)
    db.commit()
    people.sign_in(client, finance)
    for amount in ("12.5", "6000"):
        answer = client.post(f"/wallets/{wallet_id}/grants/new", data=grant_data(client, fund_id, now, amount=amount))
        assert answer.status_code == 422
        assert "somebody else has to grant" in answer.text
    assert queries.balance(db, wallet_id, now=now).free_ucr == credits_ucr(100)


def test_a27_a_large_grant_takes_a_second_person(client: FlaskClient, db: Session, now: datetime) -> None:
    asker, second = (people.person(db, roles=[Role.FINANCE], now=now) for _ in range(2))
    wallet_id, fund_id = make.wallet(db, now=now), make.fund(db, now=now)
    db.commit()
    people.sign_in(client, asker)
    answer = client.post(f"/wallets/{wallet_id}/grants/new", data=grant_data(client, fund_id, now, amount="6000"))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/grant-requests")
    page = client.get("/grant-requests")
    assert "Withdraw" in page.text
    assert "Approve and grant" not in page.text
    request_id = re.search(r"/grant-requests/([0-9a-f-]+)/withdraw", page.text).group(1)  # type: ignore[union-attr]
    assert client.post(f"/grant-requests/{request_id}/approve", data=hidden(client)).status_code == 403
    assert queries.balance(db, wallet_id, now=now).free_ucr == 0
    people.sign_out(client)
    people.sign_in(client, second)
    assert client.post(f"/grant-requests/{request_id}/withdraw", data=hidden(client)).status_code == 403
    assert client.post(f"/grant-requests/{request_id}/approve", data=hidden(client)).status_code == 303
    assert queries.balance(db, wallet_id, now=now).free_ucr == credits_ucr(6000)
    assert client.post(f"/grant-requests/{request_id}/approve", data=hidden(client)).status_code == 409
    assert client.post(f"/grant-requests/{request_id}/decline", data=hidden(client)).status_code == 409
    assert queries.balance(db, wallet_id, now=now).free_ucr == credits_ucr(6000)


def test_opening_a_fund_and_granting_more_than_it_has(client: FlaskClient, db: Session, now: datetime) -> None:
    finance = people.person(db, roles=[Role.FINANCE], now=now)
    wallet_id = make.wallet(db, now=now)
    db.commit()
    people.sign_in(client, finance)
    data = {"name": "Region", "slug": "region-2026", "sponsor": "Region of Tetouan", "budget": "100"}
    assert client.post("/funds/new", data=hidden(client) | data).status_code == 303
    assert client.post("/funds/new", data=hidden(client) | data).status_code == 422
    from portal.credits.queries import funds

    fund = funds.fund_by_slug(db, "region-2026")
    answer = client.post(f"/wallets/{wallet_id}/grants/new", data=grant_data(client, fund.id, now, amount="100.000001"))
    assert answer.status_code == 422
    assert "100.000000 credits left" in answer.text
    assert client.post(f"/wallets/{wallet_id}/grants/new", data=grant_data(client, fund.id, now, amount="100")).status_code == 303
    assert funds.fund_by_slug(db, "region-2026").remaining_ucr == 0


def test_wallet_page_counts_used_and_ended_against_all_that_was_given(client: FlaskClient, db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    start = now - timedelta(days=10)
    wallet_id = wallet_of(db, owner, start)
    make.lot(db, wallet_id, now=start, amount_ucr=credits_ucr(20), days=1)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(500), effective_at=now + timedelta(days=1))
    session_id = make.meter(db, wallet_id, now=start)
    meters.settle(db, session_id=session_id, generation=1, proven_s=900, ended_at=start, now=start + timedelta(seconds=900))
    expiry.sweep(db, now=now)
    db.commit()
    people.sign_in(client, owner)
    page = client.get(f"/wallets/{wallet_id}").text
    words = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "20.00 of 120.00 credits used or ended" in words
    assert "Not yet valid" in page
