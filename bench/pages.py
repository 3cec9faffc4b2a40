"""pages: requests per second of the signed-in applications list at 10,000 rows, as shipped, against a bare page.

The bare page (bench/reference) shows the same 25 rows with as many bytes, from the same PostgreSQL, under the same
server. Rounds are interleaved. Also printed: statements a page, and the time at 10,000 rows against 100.
"""

from collections.abc import Iterator
from datetime import timedelta
from statistics import median
from typing import Any

from sqlalchemy import Engine, text

from bench.machine import VAR, fetch, free_port, gunicorn, private_postgres, requests_per_second
from portal.core import clock, database
from portal.core.access import Actor, Role
from portal.core.quantities import credits_ucr
from portal.credits.operations import funds
from portal.factory import create_app, job_context
from portal.incubation import defaults
from portal.incubation.operations import calls
from tests.conftest import TEST_ENVIRONMENT, make_settings
from tests.factories import identity as people
from tests.queries import count_queries

ROWS = 10_000
FEW = 100
ROUNDS = 5
SECONDS = 4.0
BENCH = Actor.process("bench")


def run() -> Iterator[dict[str, Any]]:
    """Yield one line."""
    with private_postgres() as server:
        server.drop_database("bench_pages")
        server.ensure_database("bench_pages")
        url = server.url("bench_pages")
        port, bare_port = free_port(), free_port()
        environment = TEST_ENVIRONMENT | {
            "DATABASE_URL": url,
            "PORTAL_VAR_DIR": str(VAR / "var"),
            "PORTAL_URL": f"http://127.0.0.1:{port}",
            "PORTAL_DEVELOPMENT": "0",
        }
        cookie, statements = _populate(url)
        headers = {"Host": f"127.0.0.1:{port}", "Cookie": cookie, "Accept-Language": "en"}
        with gunicorn("app:app", port=port, environment=environment):
            status, body = fetch(port, _path("many"), headers)
            if status != 200 or body.count(b"Venture ") < 25:
                raise RuntimeError(f"the list answered {status} with {body.count(b'Venture ')} rows")
            bare = {"BENCH_DATABASE_URL": url.replace("postgresql://", "postgresql+psycopg://", 1)}
            with gunicorn("bench.reference.pages_app:app", port=bare_port, environment=bare):
                bare_bytes = len(fetch(bare_port, "/", {})[1])
            with gunicorn("bench.reference.pages_app:app", port=bare_port, environment=bare | {"PAD_BYTES": str(len(body) - bare_bytes)}):
                ours, reference, few = _rounds(port, bare_port, headers)
    ratio = median(mine / theirs for mine, theirs in zip(ours, reference, strict=True))
    slower = median(less / more for less, more in zip(few, ours, strict=True))
    yield {
        "name": "pages",
        "ours": round(median(ours), 1),
        "reference": round(median(reference), 1),
        "ratio": round(ratio, 3),
        "unit": "requests/s",
        "n": ROUNDS,
        "rows": ROWS,
        "bytes": len(body),
        "statements": statements,
        "times_slower_than_100_rows": round(slower, 3),
        "bounds": {"ratio": 0.3, "statements": 10, "times_slower_than_100_rows": 1.3},
        "met": ratio >= 0.3 and statements <= 10 and slower <= 1.3,
    }


def _rounds(port: int, bare_port: int, headers: dict[str, str]) -> tuple[list[float], list[float], list[float]]:
    ours, reference, few = [], [], []
    requests_per_second(port, _path("many"), headers, seconds=2)
    requests_per_second(bare_port, "/", {}, seconds=2)
    for _ in range(ROUNDS):
        ours.append(requests_per_second(port, _path("many"), headers, seconds=SECONDS))
        reference.append(requests_per_second(bare_port, "/", {}, seconds=SECONDS))
        few.append(requests_per_second(port, _path("few"), headers, seconds=SECONDS))
    return ours, reference, few


def _path(call: str) -> str:
    return f"/programme/calls/bench-{call}/applications"


def _populate(url: str) -> tuple[str, int]:
    """Fill two calls set-based; return the cookie of a signed-in member of staff, and how many statements the page costs."""
    settings = make_settings(url, VAR / "var")
    app = create_app(settings, PORTAL_HOST=None)
    with app.app_context():
        app.extensions["alembic"].upgrade()
    now = clock.now()
    with database.transaction(job_context(app).sessions) as db:
        staff = people.person(db, roles=[Role.STAFF], now=now)
        fund_id = funds.open(db, slug="bench", name="Bench", sponsor="Bench", budget_ucr=credits_ucr(1000), by=BENCH, now=now)
        for name in ("few", "many"):
            calls.open_call(
                db,
                slug=f"bench-{name}",
                programme_slug=defaults.PROGRAMME_SLUG,
                programme_name=defaults.PROGRAMME_NAME,
                title=defaults.CALL["title"],
                intro=defaults.CALL["intro"],
                form=defaults.FORM,
                rubric=defaults.RUBRIC,
                opens_at=now - timedelta(days=3),
                closes_at=now + timedelta(days=3),
                reviews_due_at=now + timedelta(days=9),
                seats=5,
                budget_ucr=credits_ucr(500),
                fund_id=fund_id,
                by=BENCH,
                now=now - timedelta(days=3),
            )
    engine = database.make_engine(url)
    _fill(engine)
    client = app.test_client()
    people.sign_in(client, staff)
    name = app.session_interface.cookie  # type: ignore[attr-defined]
    cookie = client.get_cookie(name, domain="127.0.0.1")
    if cookie is None:
        raise RuntimeError("nobody is signed in")
    engine.dispose()
    client.get(_path("many"), base_url="http://127.0.0.1")
    with count_queries() as seen:
        client.get(_path("many"), base_url="http://127.0.0.1")
    return f"{name}={cookie.value}; lang=en", len(seen)


def _fill(engine: Engine) -> None:
    """Insert people and submitted applications in a few statements; the reference's flat rows too."""
    person = """INSERT INTO person (id, email, display_name, language, zone, is_active, fs_uniquifier, joined_at)
                SELECT gen_random_uuid(), 'bench-' || n || '@example.org', 'Person ' || n, 'en', 'Africa/Casablanca', true, gen_random_uuid()::text, now()
                FROM generate_series(1, :rows) n"""
    application = """INSERT INTO program_application (id, call_id, lead_id, form_version_id, title, state, revision, started_at, saved_at,
                                                      submitted_at, receipt_hash)
                     SELECT gen_random_uuid(), c.id, p.id, c.form_version_id, 'Venture ' || p.number, 'submitted', 3, now(), now(), now(), repeat('0', 64)
                     FROM program_call c, (SELECT id, number FROM person WHERE email LIKE 'bench-%' ORDER BY number LIMIT :rows) p WHERE c.slug = :slug"""
    reference = """CREATE TABLE bench_reference AS
                   SELECT a.number, a.title, a.state, p.display_name AS applicant FROM program_application a
                   JOIN program_call c ON c.id = a.call_id AND c.slug = 'bench-many' JOIN person p ON p.id = a.lead_id"""
    with engine.begin() as connection:
        connection.execute(text(person), {"rows": ROWS})
        connection.execute(text(application), {"rows": FEW, "slug": "bench-few"})
        connection.execute(text(application), {"rows": ROWS, "slug": "bench-many"})
        connection.execute(text(reference))
        connection.execute(text("ALTER TABLE bench_reference ADD PRIMARY KEY (number)"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
