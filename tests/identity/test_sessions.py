"""Sessions: their cookie, their end, where one is signed in, and what leads elsewhere."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core import clock
from portal.core.ids import digest
from portal.factory import create_app
from portal.identity import rules
from portal.settings import Settings, load
from tests.conftest import TEST_ENVIRONMENT
from tests.factories import identity as people
from tests.identity.browser import SESSION, cookie, is_signed_in, post, rows_of, set_cookie, sign_in
from tests.queries import count_queries

NEW = "almond-trees-in-february"


def test_cookie_is_opaque_and_locked_down(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    answer = sign_in(client, ada.email)

    header = next(value for value in answer.headers.getlist("Set-Cookie") if value.startswith(SESSION))
    assert {part.strip().partition("=")[0].lower() for part in header.split(";")} == {SESSION, "expires", "max-age", "httponly", "path", "samesite"}
    assert "SameSite=Lax" in header
    assert "Domain" not in header
    stored = db.execute(text("SELECT token_digest, data::text AS data FROM sign_in_session")).one()
    assert stored.token_digest == digest(str(cookie(client)))
    assert str(cookie(client)) not in stored.data


def test_cookies_are_secure_and_host_locked_under_https(tmp_path: Path) -> None:
    environment = TEST_ENVIRONMENT | {"PORTAL_URL": "https://portal.example.org", "HUB_URL": "https://hub.example.org"}
    app = create_app(load(environment | {"DATABASE_URL": "postgresql://nobody@/nothing", "PORTAL_VAR_DIR": str(tmp_path)}))
    header = app.test_client().get("/sign-in", base_url="https://portal.example.org").headers.getlist("Set-Cookie")

    assert len(header) == 1
    assert header[0].startswith("__Host-portal_visitor=")
    assert "; Secure" in header[0]
    assert "Path=/" in header[0]


def test_a09_session_set_before_sign_in_is_replaced(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    set_cookie(client, "x" * 43)
    client.get("/sign-in")
    sign_in(client, ada.email)

    assert cookie(client) not in {None, "x" * 43}
    attacker = client.application.test_client()
    set_cookie(attacker, "x" * 43)
    assert not is_signed_in(attacker)


def test_a09_password_change_gives_a_new_session_secret(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    sign_in(client, ada.email)
    before = str(cookie(client))
    answer = post(client, "/password/change", password=people.PASSWORD, new_password=NEW, new_password_confirm=NEW)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/security")
    assert cookie(client) != before
    assert is_signed_in(client)
    thief = client.application.test_client()
    set_cookie(thief, before)
    assert not is_signed_in(thief)


def test_csrf_token_of_before_the_sign_in_is_refused_after(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    old = people.csrf(client)
    sign_in(client, ada.email)

    assert client.post("/sign-out", data=old).status_code == 400
    assert is_signed_in(client)


def test_a10_stolen_cookie_is_dead_after_sign_out(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    sign_in(client, ada.email)
    thief = client.application.test_client()
    set_cookie(thief, str(cookie(client)))
    assert is_signed_in(thief)

    assert post(client, "/sign-out").headers["Location"] == "/"

    assert not is_signed_in(thief)
    assert not is_signed_in(client)
    assert cookie(client) is None
    assert rows_of(db, ada) == 0


def test_a10_stolen_cookie_is_dead_after_password_reset(client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    from tests.identity.test_sign_up import reset_link

    ada = people.person(db, now=now)
    thief = client.application.test_client()
    people.sign_in(thief, ada)
    assert is_signed_in(thief)
    with time_machine.travel(clock.now() + timedelta(seconds=2)):
        link = reset_link(client, db, settings, run_jobs, ada.email)
        post(client, link, password=NEW, password_confirm=NEW)

        assert not is_signed_in(thief)
        assert rows_of(db, ada) == 0


def test_a10_stolen_cookie_is_dead_after_password_change_elsewhere(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    thief = client.application.test_client()
    people.sign_in(thief, ada)
    people.sign_in(client, ada)
    post(client, "/password/change", password=people.PASSWORD, new_password=NEW, new_password_confirm=NEW)

    assert not is_signed_in(thief)
    assert is_signed_in(client)


def test_suspension_ends_every_session_at_once(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    people.sign_in(client, ada)
    assert is_signed_in(client)
    people.people.suspend(db, person_id=ada.id, by=people.TESTS, now=now)
    db.commit()

    assert not is_signed_in(client)
    fact = db.execute(text("SELECT name, subject_id, payload FROM fact")).one()
    assert fact == ("identity.person_suspended", str(ada.id), {"person_id": str(ada.id)})


@pytest.mark.parametrize(("later", "still"), [(rules.SESSION_IDLE - timedelta(minutes=1), True), (rules.SESSION_IDLE + timedelta(minutes=1), False)])
def test_session_ends_when_idle_too_long(client: FlaskClient, db: Session, now: datetime, later: timedelta, *, still: bool) -> None:
    people.sign_in(client, people.person(db, now=now))
    with time_machine.travel(clock.now() + later):
        assert is_signed_in(client) is still


def test_session_ends_at_its_absolute_age_however_used(client: FlaskClient, db: Session, now: datetime) -> None:
    people.sign_in(client, people.person(db, now=now))
    begun = clock.now()
    for day in range(2, 14, 2):
        with time_machine.travel(begun + timedelta(days=day)):
            assert is_signed_in(client)
    with time_machine.travel(begun + rules.SESSION_ABSOLUTE + timedelta(seconds=1)):
        assert not is_signed_in(client)


def test_last_seen_is_written_at_most_once_a_minute(client: FlaskClient, db: Session, now: datetime) -> None:
    people.sign_in(client, people.person(db, now=now))
    client.get("/security")
    with count_queries() as seen:
        client.get("/security")
    assert [statement for statement in seen.statements if statement.startswith("UPDATE")] == []
    with time_machine.travel(clock.now() + timedelta(seconds=61)):
        with count_queries() as later:
            client.get("/security")
        assert len([statement for statement in later.statements if statement.startswith("UPDATE sign_in_session")]) == 1


def test_devices_are_listed_and_signed_out_one_by_one(app: Flask, client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    phone = app.test_client()
    phone.post(
        "/sign-in",
        data=people.csrf(phone) | {"email": ada.email, "password": people.PASSWORD},
        headers={"User-Agent": "Mozilla/5.0 (Android 15) Firefox/150.0"},
    )
    people.sign_in(client, ada)
    page = client.get("/security").text
    assert "Firefox, Android" in page
    assert "this device" in page

    phone_id = db.execute(text("SELECT id FROM sign_in_session WHERE device LIKE '%Android%'")).scalar_one()
    assert post(client, f"/security/sessions/{phone_id}/end").status_code == 303
    assert not is_signed_in(phone)
    assert is_signed_in(client)


def test_all_other_devices_are_signed_out(app: Flask, client: FlaskClient, db: Session, now: datetime) -> None:
    ada, eve = people.person(db, now=now), people.person(db, now=now)
    others = [app.test_client() for _ in range(3)]
    for other in others[:2]:
        people.sign_in(other, ada)
    people.sign_in(others[2], eve)
    people.sign_in(client, ada)
    post(client, "/security/sessions/end-others")

    assert [is_signed_in(browser) for browser in (*others, client)] == [False, False, True, True]


def test_a21_session_of_another_is_not_found(app: Flask, client: FlaskClient, db: Session, now: datetime) -> None:
    ada, eve = people.person(db, now=now), people.person(db, now=now)
    browser = app.test_client()
    people.sign_in(browser, ada)
    people.sign_in(client, eve)
    session_id = db.execute(text("SELECT id FROM sign_in_session WHERE person_id = :id"), {"id": ada.id}).scalar_one()

    assert post(client, f"/security/sessions/{session_id}/end").status_code == 404
    assert is_signed_in(browser)


@pytest.mark.parametrize("rows", [1, 3])
def test_list_of_devices_costs_the_same_with_one_and_three(app: Flask, client: FlaskClient, db: Session, now: datetime, rows: int) -> None:
    ada = people.person(db, now=now)
    for _ in range(rows - 1):
        people.sign_in(app.test_client(), ada)
    people.sign_in(client, ada)
    client.get("/security")
    with count_queries() as seen:
        client.get("/security")
    own = [statement for statement in seen.statements if any(word in statement for word in ("sign_in_session", "mf_recovery_codes", "fs_uniquifier"))]
    assert len(own) == 3


EVIL = [
    "//evil.example",
    "/\\evil.example",
    "https:evil.example",
    "https://evil.example",
    "%2f%2fevil.example",
    "/%2fevil.example",
    "javascript:alert(1)",
    "\t//evil.example",
]


@pytest.mark.parametrize("target", EVIL)
def test_a11_next_leads_home_when_it_leads_elsewhere(client: FlaskClient, db: Session, now: datetime, target: str) -> None:
    ada = people.person(db, now=now)
    in_form = sign_in(client, ada.email, next=target)
    other = client.application.test_client()
    in_query = other.post("/sign-in", query_string={"next": target}, data=people.csrf(other) | {"email": ada.email, "password": people.PASSWORD})

    for answer in (in_form, in_query):
        assert answer.status_code == 303
        assert answer.headers["Location"] == "/"


def test_next_leads_to_a_page_of_ours(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    asked = client.get("/organisations?mark=x")
    assert asked.headers["Location"] == "/sign-in?next=/organisations?mark%3Dx"
    page = client.get(asked.headers["Location"])
    assert 'value="/organisations?mark=x"' in page.text

    assert sign_in(client, ada.email, next="/organisations?mark=x").headers["Location"] == "/organisations?mark=x"


def test_sign_in_speaks_the_persons_language(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, language="ar", now=now)
    sign_in(client, ada.email)

    assert cookie(client, "lang") == "ar"
    assert '<html lang="ar" dir="rtl"' in client.get("/security").text


def test_choice_of_language_is_kept_with_the_person(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, language="en", now=now)
    people.sign_in(client, ada)
    post(client, "/language/fr", next="/security")

    assert db.execute(text("SELECT language FROM person WHERE id = :id"), {"id": ada.id}).scalar_one() == "fr"


def test_times_are_shown_in_the_persons_zone(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    people.sign_in(client, ada)
    answer = post(client, "/profile", display_name="Ada", language="en", zone="Asia/Tokyo")
    assert answer.headers["Location"] == "/profile"
    db.execute(text("UPDATE person SET password_changed_at = '2026-11-23 20:00Z' WHERE id = :id"), {"id": ada.id})
    db.commit()

    assert "24 November 2026" in client.get("/security").text.replace("\u00a0", " ")


def test_a22_profile_changes_nothing_but_its_three_fields(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    people.sign_in(client, ada)
    post(
        client,
        "/profile",
        display_name="Ada L.",
        language="fr",
        zone="Europe/Paris",
        email="x@example.org",
        is_active="",
        number="7",
        roles="administrator",
        confirmed_at="",
    )

    row = db.execute(text("SELECT display_name, language, zone, email, is_active, number FROM person WHERE id = :id"), {"id": ada.id}).one()
    assert row == ("Ada L.", "fr", "Europe/Paris", ada.email, True, ada.number)


def test_flash_of_a_visitor_is_shown_once_without_a_row(client: FlaskClient, db: Session) -> None:
    post(client, "/password/forgotten", email="somebody@example.org")

    assert "is on its way" in client.get("/sign-in").text
    assert "is on its way" not in client.get("/sign-in").text
    assert db.execute(text("SELECT count(*) FROM sign_in_session")).scalar_one() == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/sign-in"), ("POST", "/sign-up"), ("POST", "/sign-out"), ("POST", "/sign-in/code"), ("POST", "/sign-in/recovery"), ("POST", "/confirm"),
        ("POST", "/confirm/x"), ("POST", "/password/forgotten"), ("POST", "/password/new/x"), ("POST", "/password/change"), ("POST", "/sign-in/again"),
        ("POST", "/security/codes"), ("POST", "/security/codes/x"), ("POST", "/security/recovery-codes"), ("POST", "/profile"), ("POST", "/organisations/new"),
        ("POST", "/organisations/0199aaaa-0000-7000-8000-000000000000"), ("POST", "/security/sessions/end-others"), ("POST", "/invitations/x/accept"),
        ("POST", "/people/1/suspend"), ("POST", "/oauth/end-session"), ("POST", "/language/fr"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("body", ["form", "json", "text"])
def test_a28_post_without_a_token_is_refused(client: FlaskClient, db: Session, now: datetime, method: str, path: str, body: str) -> None:
    ada = people.person(db, now=now)
    if path not in {"/sign-in", "/sign-up", "/sign-in/code"}:
        people.sign_in(client, ada)
    fields = {"email": ada.email, "password": people.PASSWORD}
    sent = {"form": {"data": fields}, "json": {"json": fields}, "text": {"data": "email=x", "content_type": "text/plain"}}[body]
    answer = client.open(path, method=method, headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, **sent)  # type: ignore[arg-type]

    assert answer.status_code == 400
    assert cookie(client) is None or is_signed_in(client)


def test_a28_token_of_another_browser_is_refused(app: Flask, client: FlaskClient, db: Session, now: datetime) -> None:
    ada, eve = people.person(db, now=now), people.person(db, now=now)
    evil = app.test_client()
    people.sign_in(evil, eve)
    people.sign_in(client, ada)

    assert client.post("/profile", data=people.csrf(evil) | {"display_name": "Eve"}).status_code == 400


def test_database_down_is_an_error_never_a_sign_in(app: Flask, client: FlaskClient, db: Session, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    from portal.identity import queries

    people.sign_in(client, people.person(db, now=now))

    def broken(*_args: object, **_more: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(queries, "live_session", broken)
    assert client.get("/security").status_code == 500
