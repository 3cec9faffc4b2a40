"""One request is one transaction, a form acts once, and a refusal leaves nothing half-done."""

import threading

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from portal.core.ids import new_secret
from portal.web.database import sql
from tests.queries import count_queries

HOST = {"base_url": "http://127.0.0.1:8000"}


def acts(app: Flask) -> list[str]:
    """Return what was done, as the audit trail has it."""
    with app.app_context(), sql.sessionmaker() as db:
        return list(db.execute(text("SELECT action FROM audit_event WHERE subject_kind = 'test' ORDER BY id")).scalars())


def test_once_sent_twice_has_one_effect_and_one_answer(small: Flask) -> None:
    client, token = small.test_client(), new_secret()

    first = client.post("/act", data={"once": token}, **HOST)
    second = client.post("/act", data={"once": token}, **HOST)

    assert (first.status_code, first.headers["Location"]) == (303, "/done/1")
    assert (second.status_code, second.headers["Location"]) == (303, "/done/1")
    assert acts(small) == ["acted"]


def test_once_another_token_acts_again(small: Flask) -> None:
    client = small.test_client()
    for _ in range(2):
        client.post("/act", data={"once": new_secret()}, **HOST)

    assert acts(small) == ["acted", "acted"]


@pytest.mark.parametrize("token", ["", "short", "x" * 101])
def test_once_without_a_token_of_ours_is_refused(small: Flask, token: str) -> None:
    answer = small.test_client().post("/act", data={"once": token}, **HOST)

    assert answer.status_code == 422
    assert acts(small) == []


def test_once_in_parallel_has_one_effect(small_app: Flask, own_database: Engine) -> None:
    token, answers = new_secret(), []
    with small_app.app_context():
        maker, usual = sql.sessionmaker, sql.engine
    maker.configure(bind=own_database)

    def press() -> None:
        answers.append(small_app.test_client().post("/act", data={"once": token}, **HOST).headers.get("Location"))

    threads = [threading.Thread(target=press) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    done = acts(small_app)
    maker.configure(bind=usual)
    assert answers == ["/done/1"] * 6
    assert done == ["acted"]


@pytest.mark.parametrize(("path", "status"), [("/act-and-refuse", 409), ("/act-and-show-errors", 422)])
def test_an_answer_from_400_up_leaves_nothing_done(small: Flask, path: str, status: int) -> None:
    assert small.test_client().post(path, **HOST).status_code == status
    assert acts(small) == []


def test_deadlock_is_tried_again_and_counts_once(small: Flask) -> None:
    answer = small.test_client().post("/deadlock-twice", **HOST)

    assert (answer.status_code, answer.text) == (200, "attempt 3")
    assert acts(small) == ["tried"]


def test_deadlock_without_end_is_a_clear_503(small: Flask) -> None:
    answer = small.test_client().post("/deadlock-always", **HOST)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert "Nothing was changed" in answer.text


def test_a_mistake_shows_a_reference_and_no_detail(small: Flask) -> None:
    answer = small.test_client().get("/mistake", **HOST)

    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "ZeroDivisionError" not in answer.text


def test_a_restarting_database_is_a_503_that_asks_nothing_of_it(small: Flask) -> None:
    with count_queries() as seen:
        answer = small.test_client().get("/database-away", headers={"Accept-Language": "ar"}, **HOST)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert 'dir="rtl"' in answer.text
    assert len(seen) == 0


def test_a_route_without_a_rule_is_refused(small: Flask) -> None:
    assert small.test_client().get("/undeclared", **HOST).status_code == 403


def test_another_host_is_refused(small: Flask) -> None:
    assert small.test_client().get("/invalid", base_url="http://evil.example").status_code == 400


def test_every_answer_carries_the_security_headers(small: Flask) -> None:
    for path in ("/invalid", "/mistake", "/nowhere"):
        headers = small.test_client().get(path, **HOST).headers
        assert "script-src 'self' 'nonce-" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(("language", "direction"), [("en", "ltr"), ("fr", "ltr"), ("ar", "rtl")])
def test_language_follows_the_browser_until_the_person_chooses(small: Flask, language: str, direction: str) -> None:
    client = small.test_client()

    from_browser = client.get("/nowhere", headers={"Accept-Language": f"{language},en;q=0.5"}, **HOST)
    client.post("/language/ar", data={"next": "/nowhere"}, **HOST)
    chosen = client.get("/nowhere", headers={"Accept-Language": f"{language},en;q=0.5"}, **HOST)

    assert f'<html lang="{language}" dir="{direction}"' in from_browser.text
    assert '<html lang="ar" dir="rtl"' in chosen.text


def test_unknown_language_and_theme_are_not_found(small: Flask) -> None:
    client = small.test_client()

    assert client.post("/language/xx", **HOST).status_code == 404
    assert client.post("/theme/pink", **HOST).status_code == 404
