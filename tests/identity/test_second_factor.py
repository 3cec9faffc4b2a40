"""Codes from an app and recovery codes: asked for, limited, used once, also by two requests at once."""

import base64
import hmac
import re
import struct
import threading
import time
from datetime import datetime, timedelta

import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from portal.core import clock
from portal.settings import Settings
from tests.factories import identity as people
from tests.identity.browser import cookie, is_signed_in, mails, post, rows_of, set_cookie, sign_in


def totp(key: str, at: datetime, *, steps: int = 0) -> str:
    """Return the code of RFC 6238, written down here a second time."""
    raw = base64.b32decode(key + "=" * (-len(key) % 8))
    mac = hmac.digest(raw, struct.pack(">Q", int(at.timestamp()) // 30 + steps), "sha1")
    offset = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


def switch_on(client: FlaskClient) -> str:
    """Switch codes on as a person does, and return the key; uses the code of the step before the present."""
    page = post(client, "/security/codes", setup="authenticator")
    assert page.status_code == 200
    assert "data:image/svg+xml;base64," in page.text
    key = re.search(r'<code dir="ltr">([A-Z2-7-]+)</code>', page.text)
    action = re.search(r'action="(/security/codes/[^"]+)"', page.text)
    assert key
    assert action
    secret = key[1].replace("-", "")
    assert post(client, action[1], code=totp(secret, clock.now(), steps=-1)).headers["Location"] == "/security"
    return secret


def protected(client: FlaskClient, db: Session, now: datetime):
    """Return a person whose account asks for codes, and the key; the browser is signed out."""
    ada = people.person(db, now=now)
    sign_in(client, ada.email)
    secret = switch_on(client)
    post(client, "/sign-out")
    return ada, secret


def test_sign_in_asks_for_the_code_and_lets_nobody_in_before(client: FlaskClient, db: Session, now: datetime) -> None:
    ada, secret = protected(client, db, now)

    assert sign_in(client, ada.email).headers["Location"].startswith("/sign-in/code")
    assert not is_signed_in(client)
    assert client.get("/sign-in/code").status_code == 200
    assert post(client, "/sign-in/code", code=totp(secret, clock.now())).headers["Location"] == "/"
    assert is_signed_in(client)


def test_next_survives_the_code(client: FlaskClient, db: Session, now: datetime) -> None:
    ada, secret = protected(client, db, now)
    page = sign_in(client, ada.email, next="/organisations").headers["Location"]

    assert page == "/sign-in/code?next=/organisations"
    assert post(client, page, code=totp(secret, clock.now())).headers["Location"] == "/organisations"


def test_a09_code_gives_a_new_session_secret(client: FlaskClient, db: Session, now: datetime) -> None:
    ada, secret = protected(client, db, now)
    sign_in(client, ada.email)
    between = str(cookie(client))
    post(client, "/sign-in/code", code=totp(secret, clock.now()))

    assert cookie(client) not in {None, between}
    thief = client.application.test_client()
    set_cookie(thief, between)
    assert not is_signed_in(thief)


def test_a10_other_sessions_die_when_codes_are_switched_on_and_off(
    app: Flask, client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime
) -> None:
    ada = people.person(db, now=now)
    thief = app.test_client()
    people.sign_in(thief, ada)
    sign_in(client, ada.email)
    before = cookie(client)
    secret = switch_on(client)
    assert not is_signed_in(thief)
    assert is_signed_in(client)
    assert cookie(client) != before

    other = app.test_client()
    sign_in(other, ada.email)
    post(other, "/sign-in/code", code=totp(secret, clock.now()))
    assert is_signed_in(other)
    assert post(client, "/security/codes", setup="disable").headers["Location"] == "/security"
    assert not is_signed_in(other)
    assert is_signed_in(client)
    run_jobs()
    subjects = [re.search(r"Subject: (.*)", mail)[1].strip() for mail in mails(db, settings, ada.email)]  # type: ignore[index]
    assert subjects == ["Sign-in codes are switched on", "Sign-in codes are switched off"]


def test_switching_codes_needs_a_fresh_password(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    sign_in(client, ada.email)
    with time_machine.travel(clock.now() + timedelta(minutes=40)):
        answer = client.get("/security/codes")
        assert answer.headers["Location"].startswith("/sign-in/again?next=/security/codes")
        assert post(client, "/security/codes", setup="authenticator").headers["Location"].startswith("/sign-in/again")
        assert post(client, "/sign-in/again", password="wrong-password", next="/security/codes").status_code == 422
        assert post(client, "/sign-in/again", password=people.PASSWORD, next="/security/codes").headers["Location"] == "/security/codes"
        assert client.get("/security/codes").status_code == 200


def test_a13_code_is_used_once(app: Flask, client: FlaskClient, db: Session, now: datetime) -> None:
    ada, secret = protected(client, db, now)
    code = totp(secret, clock.now())
    sign_in(client, ada.email)
    assert post(client, "/sign-in/code", code=code).status_code == 303

    second = app.test_client()
    sign_in(second, ada.email)
    assert post(second, "/sign-in/code", code=code).status_code == 422
    assert not is_signed_in(second)


def test_a13_one_step_of_skew_and_no_more(app: Flask, client: FlaskClient, db: Session, now: datetime) -> None:
    ada, secret = protected(client, db, now)
    db.commit()
    start = clock.now() + timedelta(hours=1)
    for steps, is_right in ((-2, False), (2, False), (-1, True), (1, True)):
        with time_machine.travel(start + timedelta(minutes=5 * (steps + 3)), tick=False):
            browser = app.test_client()
            sign_in(browser, ada.email)
            answer = post(browser, "/sign-in/code", code=totp(secret, clock.now(), steps=steps))
            assert (answer.status_code == 303) is is_right, steps


def test_a13_guessing_is_limited(client: FlaskClient, db: Session, now: datetime) -> None:
    ada, secret = protected(client, db, now)
    sign_in(client, ada.email)
    codes = {totp(secret, clock.now(), steps=steps) for steps in (-1, 0, 1, 2)}
    guesses = [f"{number:06d}" for number in range(20) if f"{number:06d}" not in codes]
    answers = [post(client, "/sign-in/code", code=guess).status_code for guess in guesses[:12]]

    assert answers[:9] == [422] * 9
    assert 429 in answers[9:]
    assert post(client, "/sign-in/code", code=totp(secret, clock.now())).status_code == 429
    assert not is_signed_in(client)


def test_sign_in_between_password_and_code_ends_after_ten_minutes(client: FlaskClient, db: Session, now: datetime) -> None:
    ada, secret = protected(client, db, now)
    sign_in(client, ada.email)
    with time_machine.travel(clock.now() + timedelta(minutes=11)):
        assert post(client, "/sign-in/code", code=totp(secret, clock.now())).headers["Location"] == "/sign-in"
        assert not is_signed_in(client)


def recovery_codes(client: FlaskClient) -> list[str]:
    page = post(client, "/security/recovery-codes", generate_new_codes="1")
    assert page.status_code == 200
    return re.findall(r'<code dir="ltr">([0-9a-f-]{14})</code>', page.text)


def test_a17_recovery_code_works_once_and_is_told_by_mail(app: Flask, client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    ada = people.person(db, now=now)
    sign_in(client, ada.email)
    switch_on(client)
    codes = recovery_codes(client)
    assert len(set(codes)) == 8
    assert codes[0] not in client.get("/security/recovery-codes?show_codes=1").text
    stored = db.execute(text("SELECT mf_recovery_codes::text FROM person WHERE id = :id"), {"id": ada.id}).scalar_one()
    assert not any(code in stored for code in codes)

    first, second = app.test_client(), app.test_client()
    sign_in(first, ada.email)
    assert post(first, "/sign-in/recovery", code=codes[0].upper()).headers["Location"] == "/"
    assert is_signed_in(first)
    sign_in(second, ada.email)
    assert post(second, "/sign-in/recovery", code=codes[0]).status_code == 422
    assert not is_signed_in(second)
    run_jobs()
    assert "7 codes are left" in mails(db, settings, ada.email)[-1]


def test_a17_new_recovery_codes_replace_the_old(app: Flask, client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    sign_in(client, ada.email)
    switch_on(client)
    old, new = recovery_codes(client), recovery_codes(client)
    browser = app.test_client()
    sign_in(browser, ada.email)

    assert post(browser, "/sign-in/recovery", code=old[0]).status_code == 422
    assert post(browser, "/sign-in/recovery", code=new[0]).status_code == 303


def test_a16_new_password_still_asks_for_the_code(client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    from tests.identity.test_sign_up import NEW, reset_link

    ada, _ = protected(client, db, now)
    with time_machine.travel(clock.now() + timedelta(seconds=2)):
        post(client, reset_link(client, db, settings, run_jobs, ada.email), password=NEW, password_confirm=NEW)
        assert sign_in(client, ada.email, NEW).headers["Location"].startswith("/sign-in/code")
        assert not is_signed_in(client)


def in_parallel(browsers: list[FlaskClient], path: str, code: str) -> list[int]:
    """Send one code from all browsers at the same moment."""
    barrier = threading.Barrier(len(browsers))
    statuses: list[int] = []
    forms = [people.csrf(browser) for browser in browsers]

    def send(browser: FlaskClient, form: dict[str, str]) -> None:
        barrier.wait()
        statuses.append(browser.post(path, data=form | {"code": code}).status_code)

    threads = [threading.Thread(target=send, args=pair) for pair in zip(browsers, forms, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(statuses)


def own_protected(own_app: Flask, own_sessions: sessionmaker[Session]):
    with own_sessions() as db:
        ada = people.person(db, now=clock.now())
        db.commit()
    client = own_app.test_client()
    sign_in(client, ada.email)
    return ada, client, switch_on(client)


def test_a13_code_brought_by_four_requests_at_once_lets_one_in(own_app: Flask, own_sessions: sessionmaker[Session]) -> None:
    ada, _, secret = own_protected(own_app, own_sessions)
    browsers = [own_app.test_client() for _ in range(4)]
    for browser in browsers:
        assert sign_in(browser, ada.email).headers["Location"].startswith("/sign-in/code")
    while time.time() % 30 > 25:
        time.sleep(0.5)

    assert in_parallel(browsers, "/sign-in/code", totp(secret, clock.now())) == [303, 422, 422, 422]
    assert sum(is_signed_in(browser) for browser in browsers) == 1


def test_a17_recovery_code_brought_by_four_requests_at_once_lets_one_in(own_app: Flask, own_sessions: sessionmaker[Session]) -> None:
    ada, client, _ = own_protected(own_app, own_sessions)
    code = recovery_codes(client)[0]
    browsers = [own_app.test_client() for _ in range(4)]
    for browser in browsers:
        sign_in(browser, ada.email)

    assert in_parallel(browsers, "/sign-in/recovery", code) == [303, 422, 422, 422]
    with own_sessions() as db:
        assert rows_of(db, ada) == 2
