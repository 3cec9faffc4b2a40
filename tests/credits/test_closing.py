"""What is closed stays closed: blocks of the chain, months, and statements of thousands of charges as files."""

import gzip
import io
import re
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import openpyxl
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pypdf import PdfReader
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from portal.core.access import Role
from portal.core.database import transaction
from portal.core.quantities import credits_ucr
from portal.credits import queries, verify
from portal.credits.operations import days, meters, months, seal
from portal.credits.queries.closing import head
from portal.credits.queries.statement_pages import statement_page
from portal.credits.queries.statements import changes_by_day
from portal.projects.operations import members
from portal.projects.states import MemberRole
from tests.credits.paging import pages_of
from tests.factories import bulk_charges
from tests.factories import credits as make
from tests.factories import identity as people

RunJobs = Callable[..., list[str]]


def test_what_was_sealed_before_is_not_sealed_again_and_blocks_follow_each_other(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    sealed = []
    for minute in range(1, 4):
        make.lot(db, wallet_id, now=now + timedelta(minutes=minute))
        sealed.append(seal.seal_due(db, now=now + timedelta(minutes=minute, seconds=30)))
    assert sealed == [1, 1, 1]
    assert seal.seal_due(db, now=now + timedelta(minutes=9)) == 0
    found = head(db)
    assert found is not None
    assert (found.number, len(found.digest)) == (3, 64)
    assert (
        db.execute(text("SELECT count(*) FROM ledger_block b JOIN ledger_block p ON p.number = b.number - 1 AND p.digest = b.previous_digest")).scalar_one()
        == 2
    )


def test_the_newest_seconds_wait_for_the_next_block(db: Session, now: datetime) -> None:
    make.lot(db, make.wallet(db, now=now), now=now)
    assert seal.seal_due(db, now=now + timedelta(seconds=2)) == 0
    assert seal.seal_due(db, now=now + timedelta(seconds=6)) == 1


def test_after_a_night_away_it_goes_on_where_it_stopped(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now)
    seal.seal_due(db, now=now + timedelta(minutes=1))
    make.lot(db, wallet_id, now=now + timedelta(minutes=2))
    assert seal.seal_due(db, now=now + timedelta(hours=14)) == 1


def test_f16_four_sealers_at_once_seal_each_booking_once(own_sessions: sessionmaker[Session], now: datetime) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with transaction(own_sessions) as db:
        wallet_id = make.wallet(db, now=now)
        for _ in range(30):
            make.lot(db, wallet_id, now=now)

    def work(_: int) -> int:
        with transaction(own_sessions) as db:
            return seal.seal_due(db, now=now + timedelta(minutes=1))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(work, range(4))) == [0, 0, 0, 30]
    with transaction(own_sessions) as db:
        assert [result.first_bad for result in verify.run(db, now=now + timedelta(minutes=2)) if not result.holds] == []


def test_months_close_in_order_when_they_are_over_and_add_up(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10), days=100)
    session_id = make.meter(db, wallet_id, now=now)
    meters.settle(db, session_id=session_id, generation=1, proven_s=900, ended_at=now + timedelta(seconds=900), now=now + timedelta(hours=1))
    assert months.next_month(db, now=now) is None
    with pytest.raises(months.NotOver):
        months.close(db, month=date(2026, 11, 1), by=make.TESTS, now=now)
    new_year = datetime(2027, 1, 5, tzinfo=UTC)
    with pytest.raises(months.NotOver):
        months.close(db, month=date(2026, 12, 1), by=make.TESTS, now=new_year)
    for month in (date(2026, 11, 1), date(2026, 12, 1)):
        assert months.next_month(db, now=new_year) == month
        assert months.close(db, month=month, by=make.TESTS, now=new_year) == 1
    assert months.next_month(db, now=new_year) is None
    rows = db.execute(text("SELECT opening_ucr, closing_ucr FROM wallet_month ORDER BY month")).all()
    assert [tuple(row) for row in rows] == [(0, credits_ucr(9)), (credits_ucr(9), credits_ucr(9))]
    found = queries.statement(db, wallet_id, starts_at=datetime(2026, 11, 1, tzinfo=UTC), ends_at=datetime(2026, 12, 1, tzinfo=UTC), now=new_year)
    assert found.closing_ucr == credits_ucr(9)


def test_nothing_is_booked_into_a_closed_month(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, days=100)
    months.close(db, month=date(2026, 11, 1), by=make.TESTS, now=datetime(2026, 12, 5, tzinfo=UTC))
    with pytest.raises(DBAPIError, match="that month is closed"), db.begin_nested():
        make.lot(db, wallet_id, now=now + timedelta(days=1))
    make.lot(db, wallet_id, now=datetime(2026, 12, 5, tzinfo=UTC))


def test_finance_closes_a_month_and_funders_only_read_it(client: FlaskClient, db: Session, now: datetime) -> None:
    make.lot(db, make.wallet(db, now=now - timedelta(days=60)), now=now - timedelta(days=60), days=400)
    funder, officer = people.person(db, roles=[Role.FUNDER], now=now), people.person(db, roles=[Role.FINANCE], now=now)
    db.commit()
    people.sign_in(client, funder)
    assert "Finance closes it." in client.get("/months").get_data(as_text=True)
    people.sign_in(client, officer)
    assert client.post("/months/2026-09/close", data=people.csrf(client)).status_code == 303
    assert client.post("/months/2026-09/close", data=people.csrf(client)).status_code == 409
    assert client.post("/months/later/close", data=people.csrf(client)).status_code == 404
    assert "September\u00a02026" in client.get("/months").get_data(as_text=True)


def test_days_that_are_summed_show_the_same_figures_as_the_journal(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(50), days=100)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(7), days=100, effective_at=now + timedelta(days=4))
    for day in range(4):
        began = now + timedelta(days=day)
        session_id = make.meter(db, wallet_id, now=began)
        meters.settle(db, session_id=session_id, generation=1, proven_s=600, ended_at=began + timedelta(seconds=600), now=began + timedelta(minutes=11))
    terms = {"since": now - timedelta(days=9), "zone": "Africa/Casablanca"}
    looks = [now + timedelta(days=days_) for days_ in (3, 5)]
    before = [changes_by_day(db, wallet_id, now=at, **terms) for at in looks]  # type: ignore[arg-type]
    assert days.sum_due(db, now=now + timedelta(days=2, hours=1)) == 2
    assert days.sum_due(db, now=now + timedelta(days=2, hours=1)) == 0
    assert [changes_by_day(db, wallet_id, now=at, **terms) for at in looks] == before  # type: ignore[arg-type]
    assert [len(rows) for rows in before] == [4, 4]
    assert before[1][0].came_ucr - before[0][0].came_ucr == credits_ucr(7)


def test_a_day_is_summed_when_it_is_over_by_ten_minutes(db: Session, now: datetime) -> None:
    make.lot(db, make.wallet(db, now=now), now=now)
    midnight = datetime(2026, 11, 24, tzinfo=UTC) - timedelta(hours=1)
    assert days.sum_due(db, now=midnight + timedelta(minutes=9)) == 0
    assert days.sum_due(db, now=midnight + timedelta(hours=2)) == 1


@pytest.fixture
def busy_wallet(db: Session, now: datetime) -> tuple[uuid.UUID, people.PersonCard]:
    """A month with 5,000 charges, and a member of its project."""
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(1_000_000), days=300)
    session_id = make.meter(db, wallet_id, now=now)
    meters.settle(db, session_id=session_id, generation=1, proven_s=60, ended_at=now + timedelta(seconds=60), now=now + timedelta(minutes=2))
    bulk_charges.copy(db, session_id, 4999)
    reader = people.person(db, now=now)
    project_id = db.execute(text("SELECT project_id FROM wallet WHERE id = :id"), {"id": wallet_id}).scalar_one()
    members.add(db, project_id=project_id, person_id=reader.id, role=MemberRole.LEAD, by=make.TESTS, now=now)
    db.commit()
    return wallet_id, reader


def test_the_pages_of_five_thousand_charges_are_the_statement(db: Session, busy_wallet: tuple[uuid.UUID, people.PersonCard]) -> None:
    period = {"starts_at": datetime(2026, 11, 1, tzinfo=UTC), "ends_at": datetime(2026, 12, 1, tzinfo=UTC), "now": datetime(2026, 12, 1, tzinfo=UTC)}
    whole = queries.statement(db, busy_wallet[0], **period)
    assert len(whole.lines) > 5000
    assert pages_of(db, busy_wallet[0], **period, size=999) == whole.lines
    page = statement_page(db, busy_wallet[0], **period, mark="100")
    assert (page.given_ucr, page.taken_ucr, page.closing_ucr) == (whole.given_ucr, whole.taken_ucr, whole.closing_ucr)
    assert page.lines.rows == whole.lines[100:200]


def test_a_month_of_five_thousand_charges_is_paged_and_written_to_files(
    app: Flask, client: FlaskClient, db: Session, busy_wallet: tuple[uuid.UUID, people.PersonCard], run_jobs: RunJobs
) -> None:
    wallet_id, reader = busy_wallet
    people.sign_in(client, reader)
    period = "from=2026-11-01&to=2026-11-30"
    first = client.get(f"/wallets/{wallet_id}/statement?{period}")
    assert first.status_code == 200
    assert len(gzip.compress(first.data)) < 60_000
    assert len(re.findall(r"<tr", first.get_data(as_text=True))) == 101
    last = client.get(f"/wallets/{wallet_id}/statement?{period}&mark=5000").get_data(as_text=True)
    assert (len(re.findall(r"<tr", last)), 'rel="next"' in last, 'rel="prev"' in last) == (2, False, True)
    for fmt in ("pdf", "xlsx"):
        answer = client.post(f"/wallets/{wallet_id}/statement/{fmt}?{period}", data=people.csrf(client))
        place = answer.headers["Location"]
        assert client.get(f"{place}/download").status_code == 404
        run_jobs(only="credits.write_statement")
        assert "Download the file" in client.get(place).get_data(as_text=True)
        content = client.get(f"{place}/download").data
        if fmt == "pdf":
            pages = PdfReader(io.BytesIO(content)).pages
            assert len(pages) > 100
            assert "Closing" in pages[0].extract_text()
        else:
            rows = list(openpyxl.load_workbook(io.BytesIO(content), read_only=True).active.iter_rows(values_only=True))
            opening, closing = rows[2][3], rows[-1][3]
            assert len(rows) == 5001 + 4
            assert round(opening + sum(row[2] for row in rows[3:-1]), 6) == round(closing, 6)


def test_files_note_how_far_they_have_come(app: Flask, db: Session, busy_wallet: tuple[uuid.UUID, people.PersonCard], now: datetime) -> None:
    from portal.credits.papers import StatementPaper
    from portal.credits.states import ExportFormat

    wallet_id, _ = busy_wallet
    found = queries.statement(db, wallet_id, starts_at=now - timedelta(days=1), ends_at=now + timedelta(days=1), now=now)
    noted: list[int] = []
    paper = StatementPaper(ExportFormat.XLSX, "ar", found, "Darija speech", (now.date(), now.date()), None)
    app.extensions["job_resources"]["write_statement"](paper, note=noted.append)
    assert noted == list(range(250, 5001, 250))
