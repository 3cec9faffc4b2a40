"""The hub's interface over HTTP: who gets in, what a ticket gives, what a delivery answers."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session, sessionmaker

from portal.compute.models import Ticket
from portal.factory import create_hub_api_app
from portal.hub_plugin.contract import parse_delivery_answer, parse_grant
from portal.settings import Settings
from portal.web.database import sql
from tests.compute.conftest import at
from tests.factories import compute as make

__all__ = ["at"]
BASE = "/hub-api/v1"


@pytest.fixture(scope="module")
def hub_app(session_app: Flask) -> Iterator[Flask]:
    """Give the hub's application."""
    app = create_hub_api_app(session_app.extensions["portal_settings"], TESTING=True)
    app.testing = False
    yield app
    with app.app_context():
        for engine in sql.engines.values():
            engine.dispose()


@pytest.fixture
def hub_client(hub_app: Flask, session_maker: sessionmaker[Session]) -> Iterator[FlaskClient]:
    """Give the plug-in's end, in the test's transaction."""
    with hub_app.app_context():
        engine, maker = sql.engine, sql.sessionmaker
    maker.configure(**session_maker.kw)
    yield hub_app.test_client()
    maker.configure(bind=engine, join_transaction_mode="conditional_savepoint")


@pytest.fixture
def key(settings: Settings) -> dict[str, str]:
    """Give the plug-in's key as a header."""
    return {"Authorization": f"Bearer {settings.hub.plugin_key}"}


@pytest.fixture
def launch(db: Session, now: datetime, at) -> tuple[dict[str, str], make.Spender]:
    """Give the body of a redemption that would be accepted."""
    ada = make.spender(db, now=now)
    launched = make.launched(db, make.requested(db, ada, now=now), now=now)
    db.commit()
    return {"ticket": launched.ticket, "username": launched.username, "server": launched.server}, ada


@pytest.mark.parametrize("header", [None, "Bearer wrong-key-wrong-key-wrong-key-wrong-key", "Bearer ", "Basic dGVzdA==", "bearer"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/health"), ("POST", "/tickets/redeem"), ("POST", "/observations")])
def test_without_the_key_nobody_gets_in(hub_client: FlaskClient, launch, db: Session, method: str, path: str, header: str | None) -> None:
    answer = hub_client.open(BASE + path, method=method, json=launch[0] if method == "POST" else None, headers={"Authorization": header} if header else {})

    assert (answer.status_code, answer.mimetype, answer.get_json()["code"]) == (401, "application/problem+json", "machine_unknown")
    assert db.execute(select(func.count()).select_from(Ticket).where(Ticket.used_at.is_not(None))).scalar_one() == 0


def test_health(hub_client: FlaskClient, key: dict[str, str]) -> None:
    assert hub_client.get(BASE + "/health", headers=key).get_json() == {"ok": True}


def test_a_redemption_is_what_the_plugin_reads(hub_client: FlaskClient, key: dict[str, str], launch) -> None:
    answer = hub_client.post(BASE + "/tickets/redeem", json=launch[0], headers=key)

    assert answer.status_code == 200
    grant = parse_grant(answer.get_json())
    assert (grant.home, grant.profile, grant.memory_limit_bytes, grant.generation) == (launch[1].person.slug, "h100-slice-10", 4 * 2**30, 1)
    assert "Set-Cookie" not in answer.headers


def test_replay_of_a_ticket_is_refused(hub_client: FlaskClient, key: dict[str, str], launch) -> None:
    answers = [hub_client.post(BASE + "/tickets/redeem", json=launch[0], headers=key) for _ in range(3)]

    assert [(answer.status_code, answer.get_json().get("code")) for answer in answers] == [(200, None), (403, "ticket_used"), (403, "ticket_used")]


@pytest.mark.parametrize(
    ("change", "minutes", "status", "code"),
    [
        ({"ticket": "A" * 43}, 0, 403, "ticket_unknown"),
        ({"username": "u-424242"}, 0, 403, "ticket_not_yours"),
        ({"server": "s-424242"}, 0, 403, "ticket_not_yours"),
        ({}, 3, 403, "ticket_expired"),
    ],
)
def test_refusals_have_the_protocols_codes(hub_client: FlaskClient, key, launch, at, now: datetime, change, minutes: int, status: int, code: str) -> None:
    at.move_to(now + timedelta(minutes=minutes))
    answer = hub_client.post(BASE + "/tickets/redeem", json=launch[0] | change, headers=key)

    assert (answer.status_code, answer.mimetype, answer.get_json()["code"]) == (status, "application/problem+json", code)


def test_a_session_that_is_not_starting_is_a_conflict(hub_client: FlaskClient, key, launch, db: Session, now: datetime) -> None:
    from portal.compute.operations import sessions
    from portal.compute.states import StopCause

    sessions.stop_all_of_person(db, person_id=launch[1].person.id, by=make.TESTS, now=now, cause=StopCause.PERSON)
    db.commit()

    answer = hub_client.post(BASE + "/tickets/redeem", json=launch[0], headers=key)

    assert (answer.status_code, answer.get_json()["code"]) == (409, "session_not_starting")


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b'{"ticket": 1}', b'{"ticket": "a b", "username": "u", "server": "s"}', b"[" * 100_000, b"\xff\xfe", b'{"ticket": "\\ud800"}'],
)
@pytest.mark.parametrize("path", ["/tickets/redeem", "/observations"])
def test_a_body_that_is_no_request_is_refused(hub_client: FlaskClient, key, path: str, body: bytes) -> None:
    answer = hub_client.post(BASE + path, data=body, headers=key | {"Content-Type": "application/json"})

    assert (answer.status_code, answer.get_json()["code"]) == (422, "malformed_request")


def test_a_body_beyond_two_megabytes_is_refused(hub_client: FlaskClient, key) -> None:
    assert hub_client.post(BASE + "/observations", data=b" " * (2 * 2**20 + 1), headers=key).status_code == 413


def test_a_delivery_is_answered_as_the_plugin_reads_it(hub_client: FlaskClient, key, launch, now: datetime) -> None:
    grant = hub_client.post(BASE + "/tickets/redeem", json=launch[0], headers=key).get_json()
    plugin = make.Plugin(grant["session_id"], begins_at=now)

    answer = hub_client.post(
        BASE + "/observations", json={"agent": "hub-1", "observations": [plugin.started(offset=1), plugin.seen(0.5, offset=2)]}, headers=key
    )

    assert answer.status_code == 200
    parsed = parse_delivery_answer(answer.get_json())
    assert parsed.acknowledged_offset == 2
    assert {key: (lease.held_until, lease.stop) for key, lease in parsed.leases.items()} == {grant["session_id"]: (now + timedelta(minutes=15), False)}


def test_a_delivery_with_a_gap_asks_again_and_an_empty_one_tells_how_far(hub_client: FlaskClient, key, launch, now: datetime) -> None:
    grant = hub_client.post(BASE + "/tickets/redeem", json=launch[0], headers=key).get_json()
    plugin = make.Plugin(grant["session_id"], begins_at=now)

    def deliver(*items: object) -> int:
        return hub_client.post(BASE + "/observations", json={"agent": "hub-1", "observations": items}, headers=key).get_json()["acknowledged_offset"]

    assert [deliver(plugin.started(offset=1)), deliver(plugin.seen(0.2, offset=5)), deliver(), deliver(plugin.seen(0.1, offset=2)), deliver()] == [
        1,
        1,
        1,
        2,
        2,
    ]


def test_an_unreadable_agent_is_refused(hub_client: FlaskClient, key) -> None:
    answer = hub_client.post(BASE + "/observations", json={"agent": "no agent!", "observations": []}, headers=key)

    assert (answer.status_code, answer.get_json()["code"]) == (422, "malformed_delivery")


def test_the_hubs_worker_serves_no_page_and_the_portal_no_ticket(hub_client: FlaskClient, client: FlaskClient, key) -> None:
    assert hub_client.get("/sessions/", headers=key | {"Accept": "application/json"}).status_code == 404
    assert client.post(BASE + "/tickets/redeem", json={}, headers=key).status_code == 404


def test_parallel_redemptions_over_two_connections_give_one_grant(
    own_database: Engine, own_sessions: sessionmaker[Session], settings: Settings, at, now: datetime
) -> None:
    with own_sessions() as db, db.begin():
        launched = make.launched(db, make.requested(db, make.spender(db, now=now), now=now), now=now)
    own = replace(settings, database_url=own_database.url.render_as_string(hide_password=False))
    app = create_hub_api_app(own, TESTING=True)
    app.testing = False
    body = {"ticket": launched.ticket, "username": launched.username, "server": launched.server}
    barrier, answers = threading.Barrier(4), []

    def go() -> None:
        barrier.wait()
        answer = app.test_client().post(BASE + "/tickets/redeem", data=json.dumps(body), headers={"Authorization": f"Bearer {settings.hub.plugin_key}"})
        answers.append((answer.status_code, answer.get_json().get("code")))

    threads = [threading.Thread(target=go) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    with app.app_context():
        for engine in sql.engines.values():
            engine.dispose()

    assert sorted(answers, key=str) == [(200, None), (403, "ticket_used"), (403, "ticket_used"), (403, "ticket_used")]


def test_an_unknown_address_is_a_problem_in_json(hub_client: FlaskClient) -> None:
    answer = hub_client.get("/nowhere")

    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"
