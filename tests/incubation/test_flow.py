"""The way of an application, from the call to the venture, over HTTP as people go it."""

import hashlib
import re
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core import clock
from portal.core.access import Role
from portal.core.quantities import credits_ucr
from portal.credits import queries as credit_queries
from portal.incubation import defaults
from portal.projects import queries as project_queries
from tests.conftest import RunJobs
from tests.factories import identity as people
from tests.factories import incubation as make
from tests.incubation.browser import tokens


@pytest.fixture
def now() -> datetime:
    """Views read the clock, so the world of these tests is the present."""
    return clock.now()


def answers_as_form(**changes: object) -> dict[str, object]:
    return {f"q_{key}": value for key, value in (defaults.SAMPLE_ANSWERS | changes).items()}


def apply(client: FlaskClient, slug: str) -> int:
    """Begin, save a field, fill in and submit; return the application's number."""
    assert "Start an application" in client.get(f"/calls/{slug}").text
    edit = client.post(f"/calls/{slug}/apply", data=tokens(client)).headers["Location"]
    number = int(edit.split("/")[2])
    page = client.get(edit).text
    saved = client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_title", "q_title": "كرمة", "revision": mark_of(page)})
    assert (saved.status_code, "Saved at" in saved.text) == (200, True)
    sent = client.post(edit, data=tokens(client) | answers_as_form() | {"revision": mark_of(page), "consent": "y", "action": "submit"})
    assert sent.headers["Location"] == f"/applications/{number}/receipt"
    receipt = client.get(f"/applications/{number}/receipt").text
    assert hashlib.sha256(client.get(f"/applications/{number}/receipt.json").data).hexdigest() in receipt
    return number


def review(client: FlaskClient) -> None:
    """Send the one review that waits."""
    path = found(r'href="(/reviews/\d+)"', client.get("/reviews").text)
    scores = {"problem": "4", "team": "5", "feasibility": "3", "computing": "4", "comment_applicant": "Measured well."}
    sent = client.post(path, data=tokens(client) | scores | {"revision": mark_of(client.get(path).text), "action": "send"})
    assert sent.headers["Location"] == "/reviews"


def admit(client: FlaskClient, number: int) -> None:
    """Prepare the decision and release it, with a double click."""
    decision = {
        "outcome": "accept",
        "reason": "Strong team.",
        "venture_name": "Vine Watch",
        "awarded": "300",
        "why": "Two runs fewer.",
        "expires_on": "2030-01-31",
    }
    assert client.post(f"/programme/applications/{number}/decision", data=tokens(client) | decision).status_code == 303
    page = client.get(f"/programme/applications/{number}").text
    release = tokens(client) | {"decision": found(r'name="decision" value="([0-9a-f-]{36})"', page)}
    answers = [client.post(f"/programme/applications/{number}/release", data=release) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]


def found(pattern: str, page: str) -> str:
    match = re.search(pattern, page)
    assert match, pattern
    return match[1]


def mark_of(page: str) -> str:
    return found(r'name="revision" value="([0-9a-f]{16}\.\d+[^"]*)"', page)


def test_founder_applies_is_reviewed_admitted_and_gets_credits(client: FlaskClient, db: Session, now: datetime, run_jobs: RunJobs) -> None:
    world = make.call(db, now=now)
    lead = people.person(db, display_name="Yasmine Amrani", language="ar", now=now)
    reviewers = [make.reviewer(db, now=now), make.reviewer(db, now=now, name="Houda Tazi")]
    db.commit()

    people.sign_in(client, lead)
    number = apply(client, world.slug)
    people.sign_in(client, world.staff)
    assert "Early detection of vine mildew" in client.get(f"/programme/calls/{world.slug}/applications?state=submitted").text
    chosen = tokens(client) | {"reviewers": [str(person.id) for person in reviewers]}
    assert client.post(f"/programme/applications/{number}/reviewers", data=chosen).status_code == 303
    for person in reviewers:
        people.sign_in(client, person)
        review(client)
    people.sign_in(client, world.staff)
    admit(client, number)

    people.sign_in(client, lead)
    letter = client.get(f"/applications/{number}/decision").text
    assert ("Two runs fewer." in letter, "Measured well." in letter) == (True, True)
    assert "Vine Watch" in client.get(found(r'href="(/ventures/\d+)"', letter)).text
    [project] = project_queries.projects_of(db, lead.id)
    wallet_id = credit_queries.wallet_of_project(db, project.id)
    assert credit_queries.balance(db, wallet_id, now=clock.now()).balance_ucr == credits_ucr(300)
    assert db.execute(text("SELECT expires_at FROM lot")).scalar_one() > now + timedelta(days=365)
    assert run_jobs().count("notifications.deliver") == 4


def test_every_page_is_shown_in_three_languages(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    lead = people.person(db, now=now)
    number = make.reviewed(db, world, lead, now=now)
    make.decisions.release(db, decision_ids=[make.prepared(db, world, number, now=now)], by=world.staff.actor, now=now)
    other = people.person(db, now=now)
    waiting = make.draft(db, world, other, now=now)
    reviewer = make.reviewer(db, now=now)
    third = people.person(db, now=now)
    (review,) = make.in_review(db, world, make.application(db, world, third, now=now), [reviewer], now=now)
    db.commit()
    admin = people.person(db, roles=[Role.ADMINISTRATOR], now=now)
    db.commit()
    venture = make.application_queries.decision_of(db, make.id_of(db, number), is_released=True).venture_number

    walks = [
        (
            lead,
            [
                "/applications",
                f"/applications/{number}",
                f"/applications/{number}/receipt",
                f"/applications/{number}/decision",
                "/ventures",
                f"/ventures/{venture}",
            ],
        ),
        (other, [f"/applications/{waiting}", f"/applications/{waiting}/edit", f"/applications/{waiting}/edit?check=submit", "/ventures"]),
        (reviewer, ["/reviews", f"/reviews/{review}", f"/reviews/{review}/conflict"]),
        (
            admin,
            [
                "/programme/calls",
                f"/programme/calls/{world.slug}/applications",
                f"/programme/applications/{number}",
                f"/programme/applications/{number}/decision",
            ],
        ),
        (None, ["/calls", f"/calls/{world.slug}"]),
    ]
    wrong = []
    for person, paths in walks:
        if person is not None:
            people.sign_in(client, person)
        for path in paths:
            for language in ("en", "fr", "ar"):
                client.set_cookie("lang", language, domain="127.0.0.1")
                answer = client.get(path)
                if answer.status_code != 200 or f'lang="{language}"' not in answer.text[:200]:
                    wrong.append((path, language, answer.status_code))
        people.sign_out(client)

    assert wrong == []
