"""The browser's session: rows behind an opaque cookie."""

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.factories import identity as people
from tests.queries import count_queries


def rows(db: Session) -> int:
    return db.execute(text("SELECT count(*) FROM sign_in_session")).scalar_one()


def test_visitor_gets_no_row(client: FlaskClient, db: Session) -> None:
    client.get("/")

    assert rows(db) == 0


def test_visitor_csrf_token_survives_between_pages(client: FlaskClient, db: Session) -> None:
    client.get("/")
    answer = client.post("/language/fr", data=people.csrf(client) | {"next": "/"})

    assert answer.status_code == 303
    assert rows(db) == 0


def test_signed_in_page_costs_one_statement_for_session_person_and_roles(app: Flask, client: FlaskClient, db: Session, now) -> None:
    people.sign_in(client, people.person(db, now=now))
    client.get("/")
    with count_queries() as seen:
        client.get("/")

    about_people = [statement for statement in seen.statements if any(word in statement for word in ("sign_in_session", "role_assignment", "fs_uniquifier"))]
    assert len(about_people) == 1
