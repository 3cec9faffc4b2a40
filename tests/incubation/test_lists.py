"""Lists cost the same with one row and with three, and the staff's list stays quick at ten thousand."""

import html
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session, sessionmaker

from portal.core import clock, database
from portal.incubation.operations import decisions
from portal.incubation.queries import staff
from portal.incubation.states import ApplicationState
from tests.factories import identity as people
from tests.factories import incubation as make
from tests.queries import count_queries

MOST_QUERIES = 10


@pytest.fixture
def now() -> datetime:
    return clock.now()


def cost(client: FlaskClient, path: str) -> int:
    assert client.get(path).status_code == 200
    with count_queries() as seen:
        assert client.get(path).status_code == 200
    return len(seen)


def compare(client: FlaskClient, db: Session, path: str, add: Callable[[], object]) -> tuple[int, int]:
    """Return the queries of a list with one row and with three."""
    add()
    db.commit()
    one = cost(client, path)
    add()
    add()
    db.commit()
    return one, cost(client, path)


def test_public_calls(client: FlaskClient, db: Session, now: datetime) -> None:
    one, three = compare(client, db, "/calls", lambda: make.call(db, now=now))

    assert one == three <= MOST_QUERIES


def test_own_applications(client: FlaskClient, db: Session, now: datetime) -> None:
    lead = people.person(db, now=now)
    people.sign_in(client, lead)

    one, three = compare(client, db, "/applications", lambda: make.draft(db, make.call(db, now=now), lead, now=now))

    assert one == three <= MOST_QUERIES


def test_own_reviews(client: FlaskClient, db: Session, now: datetime) -> None:
    world, reviewer = make.call(db, now=now), make.reviewer(db, now=now)
    db.commit()
    people.sign_in(client, reviewer)

    def add() -> None:
        make.in_review(db, world, make.application(db, world, people.person(db, now=now), now=now), [reviewer], now=now)

    one, three = compare(client, db, "/reviews", add)

    assert one == three <= MOST_QUERIES


def test_programme_calls(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    db.commit()
    people.sign_in(client, world.staff)

    one, three = compare(client, db, "/programme/calls", lambda: make.call(db, now=now))

    assert one == three <= MOST_QUERIES


def test_ventures(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    db.commit()
    people.sign_in(client, world.staff)

    one, three = compare(client, db, "/ventures", lambda: make.venture(db, world, people.person(db, now=now), now=now))

    assert one == three <= MOST_QUERIES


def test_call_applications(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    db.commit()
    people.sign_in(client, world.staff)

    one, three = compare(client, db, f"/programme/calls/{world.slug}/applications", lambda: make.reviewed(db, world, people.person(db, now=now), now=now))

    assert one == three <= MOST_QUERIES


def test_reviews_of_an_application(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    number = make.application(db, world, people.person(db, now=now), now=now)
    db.commit()
    people.sign_in(client, world.staff)

    def add() -> None:
        person = make.reviewer(db, now=now)
        [review] = make.in_review(db, world, number, [person], now=now)
        make.sent_review(db, review, person, now=now)

    one, three = compare(client, db, f"/programme/applications/{number}", add)

    assert one == three <= 14


def test_filters_pages_and_capped_counts(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    make.many_applications(db, world, count=6000, now=now)
    db.commit()
    people.sign_in(client, world.staff)
    path = f"/programme/calls/{world.slug}/applications"

    first = client.get(path).text
    filtered = client.get(path, query_string={"state": "waitlisted"}).text
    seen = _titles(first)
    page, pages = first, 1
    while pages < 4:
        page = client.get(_next(page)).text
        pages += 1
        seen += _titles(page)

    assert 'More than <span class="num">1\u202f000</span> applications' in first
    assert first.count("100</span>+") == 5
    assert 'More than <span class="num">1\u202f000</span>' in filtered
    assert "Waiting list" in filtered
    assert "1\u202f000" not in client.get(path, query_string={"state": "withdrawn"}).text
    assert len(seen) == len(set(seen)) == 100
    assert _titles(client.get(_previous(page)).text) == seen[50:75]
    assert client.get(path, query_string={"state": "draft"}).text.count("<tr>") == first.count("<tr>")
    assert client.get(path, query_string={"mark": "after:nonsense"}).status_code == 200


def _titles(page: str) -> list[str]:
    return re.findall(r"Forecasting water demand in district \d+", page)


def _link(page: str, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', page)
    assert found
    return html.unescape(found[1])


def _next(page: str) -> str:
    return _link(page, "next")


def _previous(page: str) -> str:
    return _link(page, "prev")


def plans_of(sessions: sessionmaker[Session], work: Callable[[Session], object]) -> list[dict[str, Any]]:
    """Do a piece of work and return the plan of each of its statements, with the blocks that it touched."""
    statements: list[tuple[str, object]] = []

    def note(connection, cursor, statement, parameters, context, executemany):
        statements.append((statement, parameters))

    with sessions() as db:
        event.listen(Engine, "before_cursor_execute", note)
        try:
            work(db)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        raw = db.connection().connection.driver_connection
        return [raw.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql}", values).fetchone()[0][0]["Plan"] for sql, values in statements]


def ways_to_applications(plan: dict[str, Any]) -> set[str]:
    """Return the kinds of nodes by which a plan reads applications."""
    own = {plan["Node Type"]} if plan.get("Relation Name") == "program_application" else set()
    return own.union(*(ways_to_applications(part) for part in plan.get("Plans", [])))


def vacuum(engine: Engine) -> None:
    """Tidy the tables as the server does by itself; again while its own tidying keeps rows from being marked as seen by all."""
    seen_by_all = "SELECT relallvisible >= relpages FROM pg_class WHERE relname = 'program_application'"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for _ in range(100):
            connection.execute(text("SET ROLE NONE"))
            connection.execute(text("VACUUM ANALYZE"))
            connection.execute(text("RESET ROLE"))
            if connection.execute(text(seen_by_all)).scalar_one():
                return
            time.sleep(0.1)
    raise AssertionError("the table was never wholly tidied")


def test_ten_thousand_rows_are_read_by_index_and_cost_little_more_than_two_thousand(
    own_database: Engine, own_sessions: sessionmaker[Session], now: datetime
) -> None:
    with database.transaction(own_sessions) as db:
        small = make.call(db, now=now)
        large = make.call(db, now=now, staff=small.staff)
        make.many_applications(db, small, count=2_000, now=now)
        make.many_applications(db, large, count=10_000, now=now)
    vacuum(own_database)
    actor = small.staff.actor

    def list_of(world: make.CallWorld, state: ApplicationState | None) -> Callable[[Session], object]:
        def work(db: Session) -> None:
            by_state = staff.counts_by_state(db, actor=actor, call_id=world.id)
            staff.count_applications(db, actor=actor, call_id=world.id, state=state, by_state=by_state)
            staff.page_of_applications(db, actor=actor, call_id=world.id, state=state, mark=None)

        return work

    for state in (None, ApplicationState.IN_REVIEW, ApplicationState.WITHDRAWN):
        few, many = (plans_of(own_sessions, list_of(world, state)) for world in (small, large))
        blocks = [sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans) for plans in (few, many)]

        assert set().union(*map(ways_to_applications, many)) <= {"Index Scan", "Index Only Scan"}
        assert (blocks[0] < 300, blocks[1] < 1.3 * blocks[0]) == (True, True), (state, blocks)


def test_decided_applications_are_counted_by_state(db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    for _ in range(2):
        make.application(db, world, people.person(db, now=now), now=now)
    make.draft(db, world, people.person(db, now=now), now=now)
    number = make.reviewed(db, world, people.person(db, now=now), now=now)
    decisions.release(db, decision_ids=[make.prepared(db, world, number, now=now)], by=world.staff.actor, now=now)

    counts = staff.counts_by_state(db, actor=world.staff.actor, call_id=world.id)

    assert {state: count for state, count in counts.items() if count} == {ApplicationState.SUBMITTED: 2, ApplicationState.ACCEPTED: 1}
