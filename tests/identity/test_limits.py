"""A12: attempts are limited per account, per address and for everybody; a store that fails refuses."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from portal.core import clock, limits
from portal.identity import attempts
from tests.factories import identity as people
from tests.identity.browser import is_signed_in, post, sign_in


@pytest.fixture(autouse=True)
def early_in_a_window() -> Iterator[None]:
    """Let no window end in the middle of a test."""
    with time_machine.travel(clock.now().replace(minute=1)):
        yield


def test_a12_account_is_closed_after_ten_tries_then_opens_again(app: Flask, client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    start = clock.now().replace(minute=1, second=0)
    with time_machine.travel(start):
        answers = [sign_in(app.test_client(), ada.email.upper(), f"wrong-password-{number}").status_code for number in range(12)]
        assert answers == [422] * 10 + [429] * 2
        assert sign_in(client, ada.email).status_code == 429
        assert not is_signed_in(client)
    with time_machine.travel(start + timedelta(minutes=15)):
        assert sign_in(client, ada.email).status_code == 303


def test_a12_unknown_accounts_are_closed_alike(app: Flask, db: Session) -> None:
    answers = [sign_in(app.test_client(), "nobody@example.org", f"wrong-password-{number}").status_code for number in range(12)]

    assert answers == [422] * 10 + [429] * 2


def test_a12_many_accounts_from_one_address_are_stopped(app: Flask, db: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(attempts.BOUNDS, "sign_in", replace(attempts.BOUNDS["sign_in"], address=5))
    answers = [sign_in(app.test_client(), f"person{number}@example.net", "wrong-password").status_code for number in range(7)]

    assert answers == [422] * 5 + [429] * 2


def test_a12_many_addresses_are_stopped_together(app: Flask, db: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(attempts.BOUNDS, "sign_in", replace(attempts.BOUNDS["sign_in"], everybody=5))
    answers = []
    for number in range(7):
        browser = app.test_client()
        data = people.csrf(browser) | {"email": f"person{number}@example.net", "password": "wrong-password"}
        answers.append(browser.post("/sign-in", data=data, environ_overrides={"REMOTE_ADDR": f"10.0.0.{number}"}).status_code)

    assert answers == [422] * 5 + [429] * 2


def test_a12_forwarded_address_is_not_believed_without_a_proxy(app: Flask, db: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(attempts.BOUNDS, "sign_in", replace(attempts.BOUNDS["sign_in"], address=3))
    answers = []
    for number in range(5):
        browser = app.test_client()
        data = people.csrf(browser) | {"email": f"person{number}@example.net", "password": "wrong-password"}
        answers.append(browser.post("/sign-in", data=data, headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code)

    assert answers == [422] * 3 + [429] * 2


def test_a12_store_that_fails_lets_nobody_in(client: FlaskClient, db: Session, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = people.person(db, now=now)

    def broken(*_args: object, **_more: object) -> None:
        raise OperationalError("SELECT 1", {}, ConnectionError("down"))

    monkeypatch.setattr(limits, "hit", broken)
    assert sign_in(client, ada.email).status_code == 503
    monkeypatch.undo()
    assert not is_signed_in(client)


@pytest.mark.parametrize(("path", "most"), [("/password/forgotten", 5), ("/confirm", 5)])
def test_a12_mails_with_links_are_limited_per_address(app: Flask, db: Session, path: str, most: int) -> None:
    answers = [post(app.test_client(), path, email="somebody@example.org").status_code for _ in range(most + 2)]

    assert answers == [303] * most + [429] * 2


def test_a12_sign_up_is_limited(app: Flask, db: Session) -> None:
    fields = {"display_name": "Eve", "email": "eve@example.org", "password": "almond-trees", "password_confirm": "almond-trees"}
    answers = [post(app.test_client(), "/sign-up", **fields).status_code for _ in range(7)]

    assert answers == [303] * 5 + [429] * 2


def test_a12_present_password_is_limited(client: FlaskClient, db: Session, now: datetime) -> None:
    people.sign_in(client, people.person(db, now=now))
    fields = {"new_password": "almond-trees-in-february", "new_password_confirm": "almond-trees-in-february"}
    answers = [post(client, "/password/change", password=f"wrong-{number}", **fields).status_code for number in range(12)]

    assert answers == [422] * 10 + [429] * 2
