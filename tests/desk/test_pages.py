"""Home pages, navigation and the permission page; reactions resolve."""

import re
from datetime import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from portal.core import jobs
from portal.core.access import Role
from portal.desk import permission_page
from portal.desk.reactions import REACTIONS
from tests.conftest import ROOT
from tests.factories import identity as people
from tests.factories import projects
from tests.queries import count_queries


def test_visitors_are_welcomed_with_what_is_open(client: FlaskClient) -> None:
    page = client.get("/")

    assert page.status_code == 200
    assert 'href="/sign-up"' in page.text


@pytest.mark.parametrize("role", [None, *Role])
def test_home_of_every_role_within_its_budget(client: FlaskClient, db: Session, now: datetime, role: Role | None) -> None:
    person = people.person(db, roles=[role] if role else [], now=now)
    projects.project(db, lead=person.id, now=now)
    db.commit()
    people.sign_in(client, person)
    client.get("/")

    with count_queries() as seen:
        page = client.get("/")

    assert page.status_code == 200
    assert len(seen) <= 10, [one[:80] for one in seen.statements]


def test_reviewers_have_reviews_in_the_navigation_and_others_not(client: FlaskClient, db: Session, now: datetime) -> None:
    people.sign_in(client, people.person(db, roles=[Role.REVIEWER], now=now))
    assert 'href="/reviews"' in client.get("/").text
    people.sign_out(client)
    people.sign_in(client, people.person(db, now=now))
    assert 'href="/reviews"' not in client.get("/").text


def test_permission_page_names_every_permission_and_role(client: FlaskClient) -> None:
    page = client.get("/permissions")

    assert page.status_code == 200
    for area in permission_page.areas():
        for row in area.rows:
            assert row.text in page.text.replace("&#39;", "'")
            assert row.roles


def test_every_fact_has_a_row_and_every_reaction_a_job(session_app: object) -> None:
    written = set()
    for path in (ROOT / "portal").rglob("*.py"):
        written |= set(re.findall(r"facts\.write\(\s*\w+,\s*\"([a-z_.]+)\"", path.read_text()))

    assert written - set(REACTIONS) == set(), "facts without a row in desk/reactions.py"
    assert {name for names in REACTIONS.values() for name in names} - set(jobs.REGISTRY) == set()
