"""A browser for tests of sign-in: follows forms as people do, with the CSRF token of its own session."""

import re
from datetime import datetime
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from tests.factories import identity as people

SESSION = "portal_session"


def cookie(client: FlaskClient, name: str = SESSION) -> str | None:
    found = client.get_cookie(name, domain="127.0.0.1")
    return found.value if found else None


def set_cookie(client: FlaskClient, value: str) -> None:
    client.set_cookie(SESSION, value, domain="127.0.0.1")


def post(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    return client.post(path, data=people.csrf(client) | fields)


def sign_in(client: FlaskClient, email: str, password: str = people.PASSWORD, **fields: str) -> TestResponse:
    return post(client, "/sign-in", email=email, password=password, **fields)


def is_signed_in(client: FlaskClient) -> bool:
    return client.get("/security").status_code == 200


def mails(db: Session, settings, address: str) -> list[str]:
    """Return the texts of the mails written to an address, oldest first."""
    rows = db.execute(text("SELECT id FROM message WHERE lower(address) = lower(:address) AND state = 'sent' ORDER BY id"), {"address": address})
    return [(settings.mail.outbox_dir / f"{row.id}.eml").read_bytes().decode() for row in rows]


def link_in(mail: str) -> str:
    """Return the path of the first personal link in a mail."""
    whole = mail.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=")
    found = re.search(r"http://127\.0\.0\.1:8000(/(?:confirm|password/new|invitations)/[^\s\"<]+)", whole)
    assert found, whole
    return urlsplit(found[1]).path


def rows_of(db: Session, person) -> int:
    return db.execute(text("SELECT count(*) FROM sign_in_session WHERE person_id = :id"), {"id": person.id}).scalar_one()


def real_now() -> datetime:
    from portal.core import clock

    return clock.now()
