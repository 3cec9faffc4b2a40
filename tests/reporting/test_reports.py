"""Reports of funds and cohorts: they add up to the journal, month by month and project by project."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import openpyxl
import pypdf
import pytest
import time_machine
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from portal.core.access import Role
from portal.core.quantities import credits_ucr, decimal_credits
from portal.credits import queries as ledger
from portal.reporting import queries
from portal.reporting.queries import Kind, Report
from portal.reporting.rules import INSIDE, PARTS, Flow, flow, total
from tests.credits.test_model import BASE, LedgerMachine
from tests.credits.test_verify import world  # noqa: F401 -- a fixture
from tests.factories import bulk_charges
from tests.factories import credits as make
from tests.factories import identity as people
from tests.factories import incubation as programme
from tests.queries import count_queries

MONTHS = [date(2026, 10, 1), date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1)]
LATER = datetime(2027, 1, 3, tzinfo=UTC)

_HAS = """SELECT coalesce(sum(a.balance_ucr), 0) FROM lot l JOIN ledger_account a ON a.id IN (l.available_account_id, l.held_account_id, l.frozen_account_id)
WHERE l.fund_id = :fund"""


def adds_up(found: Report) -> None:
    """Months chain, and months and projects are each the whole."""
    flows = [row.flow for row in found.months]
    for one, following in pairwise(flows):
        assert following.opening_ucr == one.closing_ucr
    assert flows[0].opening_ucr == found.whole.opening_ucr
    assert flows[-1].closing_ucr == found.whole.closing_ucr
    for name in ("issued_ucr", "used_ucr", "expired_ucr", "returned_ucr", "moved_ucr"):
        assert sum(getattr(one, name) for one in flows) == getattr(found.whole, name), name
    assert total(row.flow for row in found.projects) == found.whole


def funds(db: Session) -> list[str]:
    return list(db.execute(text("SELECT slug FROM fund ORDER BY slug")).scalars())


def test_every_operation_of_the_journal_has_its_part(db: Session) -> None:
    rule = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ck_ledger_transaction__operation'"
    known = set(re.findall(r"'(\w+)'", db.execute(text(rule)).scalar_one()))
    assert known == set(PARTS) | set(INSIDE)


def test_a_flow_says_what_came_and_went() -> None:
    found = flow(10, [("grant", 100), ("capture", -30), ("correction", 5), ("expiry", -7), ("revoke", -8), ("transfer", -20)])
    assert found == Flow(10, 100, 25, 7, 8, -20)
    assert found.closing_ucr == 50
    with pytest.raises(KeyError):
        flow(0, [("unheard_of", 1)])


@pytest.mark.usefixtures("world")
def test_funds_add_up_to_their_lots_after_everything_that_can_happen(db: Session) -> None:
    used_ucr = moved_ucr = 0
    for slug in funds(db):
        subject = queries.subject_of(db, Kind.FUND, slug)
        found = queries.report(db, subject, months=MONTHS, now=LATER)
        adds_up(found)
        assert found.whole.closing_ucr == db.execute(text(_HAS), {"fund": subject.id}).scalar_one()
        assert found.whole.issued_ucr - found.whole.returned_ucr == subject.issued_ucr
        assert found.whole.opening_ucr == 0
        used_ucr += found.whole.used_ucr
        moved_ucr += abs(found.whole.moved_ucr)
        later = queries.report(db, subject, months=MONTHS[2:], now=LATER)
        assert later.whole.opening_ucr == found.months[1].flow.closing_ucr
        adds_up(later)
    assert used_ucr > 0
    assert moved_ucr == 0, "what moves between projects stays in its fund"


class ReportedMachine(LedgerMachine):
    """The machine over all operations, with its fund's report compared at the end."""

    def teardown(self) -> None:
        super().teardown()
        self.do(self.compare_report)

    def compare_report(self, db: Session) -> None:
        for slug in funds(db):
            subject = queries.subject_of(db, Kind.FUND, slug)
            found = queries.report(db, subject, months=[BASE.date().replace(day=1), *MONTHS[2:]], now=self.at(self.now))
            adds_up(found)
            assert found.whole.closing_ucr == db.execute(text(_HAS), {"fund": subject.id}).scalar_one()


def test_reports_add_up_whatever_happens(own_database: Engine) -> None:
    ReportedMachine.engine = own_database
    chosen = settings(
        max_examples=8, stateful_step_count=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
    )
    run_state_machine_as_test(ReportedMachine, settings=chosen)


@pytest.fixture
def _in_january() -> Iterator[None]:
    with time_machine.travel(LATER, tick=False):
        yield


def test_a_cohort_is_what_its_call_admitted(db: Session, now: datetime) -> None:
    one = programme.call(db, now=now)
    lead = people.person(db, now=now)
    programme.venture(db, one, lead, now=now)
    make.lot(db, make.wallet(db, now=now, name="Elsewhere"), now=now)
    found = queries.report(db, queries.subject_of(db, Kind.CALL, one.slug), months=MONTHS, now=LATER)
    adds_up(found)
    assert len(found.projects) == 1
    assert found.whole.issued_ucr == credits_ucr(320)
    assert [subject.slug for subject in queries.page_of_cohorts(db, mark=None).rows] == [one.slug]
    wallet = ledger.wallet_by_ref(db, found.projects[0].slug, actor=make.TESTS)
    assert ledger.balance(db, wallet.id, now=now).balance_ucr == found.whole.closing_ucr


@pytest.mark.usefixtures("world", "_in_january")
@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
def test_pages_and_files_in_every_language(client: FlaskClient, db: Session, now: datetime, lang: str) -> None:
    one = programme.call(db, now=LATER)
    programme.venture(db, one, people.person(db, now=LATER), now=LATER)
    slug = funds(db)[0]
    funder = people.person(db, roles=[Role.FUNDER], now=now)
    db.commit()
    client.set_cookie("lang", lang, domain="127.0.0.1")
    people.sign_in(client, funder)
    assert slug in client.get("/reports/").text
    for place in (f"/reports/funds/{slug}", f"/reports/calls/{one.slug}"):
        assert client.get(place).status_code == 200
        assert client.get(f"{place}?from=2026-11&to=2026-12").status_code == 200
        rows = list(csv.reader(io.StringIO(client.get(f"{place}/report.csv?from=2026-10&to=2027-01").data.decode("utf-8-sig"))))
        months = [row for row in rows if row[0] == "month"]
        assert [row[1] for row in months] == ["2026-10", "2026-11", "2026-12", "2027-01"]
        for row in rows[1:]:
            assert sum(round(float(value) * 10**6) for value in row[2:8]) == round(float(row[8]) * 10**6)
        book = openpyxl.load_workbook(io.BytesIO(client.get(f"{place}/report.xlsx").data))
        assert len(book.sheetnames) == 2
        assert book.worksheets[0].sheet_view.rightToLeft == (lang == "ar")
        file = client.get(f"{place}/report.pdf")
        assert file.mimetype == "application/pdf"
        assert len(pypdf.PdfReader(io.BytesIO(file.data)).pages) >= 1
    assert decimal_credits(credits_ucr(320)) in client.get(f"/reports/calls/{one.slug}/report.csv").text


def test_bad_months_are_said(client: FlaskClient, db: Session, now: datetime) -> None:
    make.fund(db, now=now, slug="green")
    db.commit()
    people.sign_in(client, people.person(db, roles=[Role.FINANCE], now=now))
    for span in ("from=2026-12&to=2026-11", "from=2020-01&to=2026-11", "from=x", "to=2026-13"):
        assert client.get(f"/reports/funds/green?{span}").status_code == 422, span
    assert client.get("/reports/funds/nowhere").status_code == 404
    assert client.get("/reports/other/green").status_code == 404


def test_a_report_costs_the_same_with_one_and_three_projects(client: FlaskClient, db: Session, now: datetime) -> None:
    counts = []
    for slug, projects in (("warm", 1), ("one", 1), ("three", 3)):
        fund_id = make.fund(db, now=now, slug=slug)
        for _ in range(projects):
            make.lot(db, make.wallet(db, now=now), now=now, fund_id=fund_id)
        db.commit()
        people.sign_in(client, people.person(db, roles=[Role.FINANCE], now=now))
        client.get(f"/reports/funds/{slug}")
        with count_queries() as seen:
            assert client.get(f"/reports/funds/{slug}").status_code == 200
        counts.append(len(seen))
    assert counts[1] == counts[2] <= 10


def test_a_fund_of_many_thousand_entries(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    fund_id = make.fund(db, now=now, slug="busy")
    make.lot(db, wallet_id, now=now, fund_id=fund_id, amount_ucr=credits_ucr(100_000), days=90)
    session_id = make.meter(db, wallet_id, now=now)
    from portal.credits.operations import meters

    meters.settle(db, session_id=session_id, generation=1, proven_s=800, ended_at=now + timedelta(seconds=800), now=now + timedelta(seconds=800))
    bulk_charges.copy(db, session_id, 999)
    found = queries.report(db, queries.subject_of(db, Kind.FUND, "busy"), months=MONTHS, now=LATER)
    adds_up(found)
    assert found.whole.used_ucr == 1000 * (credits_ucr(4) * 800 // 3600)


def test_nobody_reads_reports_without_the_role(client: FlaskClient, db: Session, now: datetime) -> None:
    make.fund(db, now=now, slug="green")
    db.commit()
    people.sign_in(client, people.person(db, roles=[Role.MENTOR], now=now))
    for place in ("/reports/", "/reports/funds/green", "/reports/funds/green/report.csv"):
        assert client.get(place).status_code == 403
