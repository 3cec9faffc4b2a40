"""People for tests, made by the real operations; their password is hashed once a run.

ada = person(db, roles=[Role.STAFF], now=now)     a PersonCard: id, number, slug, email, actor, …
sign_in(client, ada)                              opens a real session and gives the browser its cookie
client.post(url, data=csrf(client) | {...})       the CSRF token of this browser's session, and a once-token
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from itertools import count
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from flask_wtf.csrf import generate_csrf
from sqlalchemy.orm import Session

from portal.core import clock
from portal.core.access import Actor, Role
from portal.core.ids import new_secret
from portal.identity import passwords, queries
from portal.identity.operations import people, sign_ins
from portal.identity.queries import PersonCard
from portal.web.database import sql

PASSWORD = "green-doors-of-tetouan"
TESTS = Actor.process("tests")
_numbers = count(1)


@cache
def _hash() -> str:
    return passwords.hash_of(PASSWORD)


def person(
    db: Session,
    *,
    email: str | None = None,
    display_name: str = "Amina Benali",
    roles: Iterable[Role] = (),
    language: str = "en",
    is_confirmed: bool = True,
    now: datetime,
) -> PersonCard:
    """Register a person with the password PASSWORD, and give them roles."""
    person_id = people.register_hashed(
        db,
        email=email or f"person-{next(_numbers)}@example.org",
        display_name=display_name,
        password_hash=_hash(),
        language=language,
        is_confirmed=is_confirmed,
        by=TESTS,
        now=now,
    )
    for role in roles:
        people.give_role(db, person_id=person_id, role=role, by=TESTS, now=now)
    db.flush()
    return queries.person_by_id(db, person_id)


def sign_in(client: FlaskClient, person: PersonCard) -> None:
    """Sign a browser in, without the form: a session row, and its cookie."""
    app = client.application
    with app.app_context(), sql.sessionmaker() as db:
        data = sign_ins.data_for(db, person.id, now=clock.now())
        secret = sign_ins.begin(db, data=data, device="test browser", person_id=person.id, now=clock.now())
        db.commit()
    client.set_cookie(app.session_interface.cookie, secret, domain=_domain(client))  # type: ignore[attr-defined]


def sign_out(client: FlaskClient) -> None:
    """Throw the browser's cookies away; the session row stays."""
    for cookie in (client.application.session_interface.cookie, client.application.session_interface.visitor_cookie):  # type: ignore[attr-defined]
        client.delete_cookie(cookie, domain=_domain(client))


def _domain(client: FlaskClient) -> str:
    return str(urlsplit(client.application.extensions["portal_settings"].public_url).hostname)


def csrf(client: FlaskClient) -> dict[str, str]:
    """Return the form data that every POST needs: this browser's CSRF token, and a new once-token."""
    app = client.application
    context = app.test_request_context()
    client._add_cookies_to_wsgi(context.request.environ)  # as Flask's own `session_transaction`, with the session read inside
    with context:
        token = generate_csrf()
        response = app.response_class()
        app.session_interface.save_session(app, context.session, response)
    client._update_cookies_from_response(_domain(client), "/", response.headers.getlist("Set-Cookie"))
    return {"csrf_token": token, "once": new_secret()}
