"""Lists cost the same with one row and with three, and the staff's list stays quick at ten thousand."""

import html
import json
import re
from collections.abc import Callable
from datetime import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, text
from sqlalchemy.dialects import postgresql
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


def explain(db: Session, query: object) -> str:
    compiled = query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[attr-defined]
    return json.dumps(db.execute(text(f"EXPLAIN (FORMAT JSON) {compiled}".replace(":", r"\:"))).scalar_one())


@pytest.mark.parametrize("state", [None, ApplicationState.IN_REVIEW])
def test_ten_thousand_rows_are_read_through_the_index(db: Session, now: datetime, monkeypatch: pytest.MonkeyPatch, state: ApplicationState | None) -> None:
    world, other = make.call(db, now=now), make.call(db, now=now)
    make.many_applications(db, world, count=10_000, now=now)
    make.many_applications(db, other, count=10_000, now=now)
    queries: list[object] = []
    real = staff.page_of
    monkeypatch.setattr(
        staff, "page_of", lambda db, query, key, *, mark: queries.append(query.order_by(key.desc()).limit(26)) or real(db, query, key, mark=mark)
    )

    page = staff.page_of_applications(db, actor=world.staff.actor, call_id=world.id, state=state, mark=None)
    plan = explain(db, queries[0])

    assert len(page.rows) == 25
    assert ("ix_program_application__call_state" if state else "ix_program_application__call_submitted") in plan
    assert '"Seq Scan"' not in plan
    assert '"Node Type": "Sort"' not in plan


def blocks_read(sessions: sessionmaker[Session], work: Callable[[Session], object]) -> int:
    """Return how many blocks a piece of work touches: what it costs, whatever else the machine is doing."""
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
        explained = [raw.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {sql}", values).fetchone()[0] for sql, values in statements]
    return sum(plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"] for plan in explained)


def test_ten_thousand_rows_cost_little_more_than_two_thousand(own_database: Engine, own_sessions: sessionmaker[Session], now: datetime) -> None:
    with database.transaction(own_sessions) as db:
        small = make.call(db, now=now)
        large = make.call(db, now=now, staff=small.staff)
        make.many_applications(db, small, count=2_000, now=now)
        make.many_applications(db, large, count=10_000, now=now)
    with own_database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    actor = small.staff.actor

    def list_of(world: make.CallWorld) -> Callable[[Session], object]:
        def work(db: Session) -> None:
            by_state = staff.counts_by_state(db, actor=actor, call_id=world.id)
            staff.count_applications(db, actor=actor, call_id=world.id, state=None, by_state=by_state)
            staff.page_of_applications(db, actor=actor, call_id=world.id, state=None, mark=None)

        return work

    few, many = (blocks_read(own_sessions, list_of(world)) for world in (small, large))

    assert (few < 300, many < 1.3 * few) == (True, True), (few, many)


def test_decided_applications_are_counted_by_state(db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    for _ in range(2):
        make.application(db, world, people.person(db, now=now), now=now)
    make.draft(db, world, people.person(db, now=now), now=now)
    number = make.reviewed(db, world, people.person(db, now=now), now=now)
    decisions.release(db, decision_ids=[make.prepared(db, world, number, now=now)], by=world.staff.actor, now=now)

    counts = staff.counts_by_state(db, actor=world.staff.actor, call_id=world.id)

    assert {state: count for state, count in counts.items() if count} == {ApplicationState.SUBMITTED: 2, ApplicationState.ACCEPTED: 1}
