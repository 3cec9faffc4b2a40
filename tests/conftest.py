"""Shared fixtures: a real PostgreSQL, a database per worker cloned from a template, a savepoint per test.

    app, client, db      one test, one outer transaction, rolled back: what a request commits is a savepoint
    own_database         a database of the test's own, for what needs two real connections
    run_jobs             runs what was enqueued, in order, in the same transaction

`TEST_DATABASE_URL` names a server of yours to use instead of the private one; its role must be able to create databases.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_alembic import Alembic
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from portal import settings as portal_settings
from portal.core import database, jobs, roles
from portal.core.local_postgres import LocalPostgres
from portal.factory import create_app
from portal.settings import Settings
from portal.web.database import sql

# Tests act with the privileges of the portal's role, which are fewer than the owner's; what corrupts rows on purpose
# says `SET LOCAL ROLE NONE` and is the superuser `tester` until its transaction ends.
PORTAL_ROLE, TESTER = "portal", "tester"
ROOT = Path(__file__).resolve().parent.parent
TEST_ENVIRONMENT = {
    "PORTAL_DEVELOPMENT": "1",
    "PORTAL_URL": "http://127.0.0.1:8000",
    "HUB_URL": "http://localhost:8001",
    "HUB_REST_URL": "http://127.0.0.1:8003/hub/api",
    "PORTAL_SECRET_KEY": "test-secret-key-of-at-least-32-characters",
    "PORTAL_PASSWORD_SALT": "test-password-salt-of-at-least-32-characters",
    "PORTAL_TOTP_SECRET": "test-totp-secret-of-at-least-32-characters",
    "HUB_PLUGIN_KEY": "test-plugin-key-of-at-least-32-characters",
    "HUB_OIDC_SECRET": "test-oidc-secret-of-at-least-32-characters",
    "HUB_SERVICE_TOKEN": "test-service-token-of-at-least-32-characters",
}


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    """Give the private server of the tests, shared by all workers."""
    server = LocalPostgres(ROOT / "var" / "test-postgres", durable=False)
    with _exclusive(ROOT / "var" / "template.lock"):
        server.ensure_role(PORTAL_ROLE)
        server.ensure_acting_role(TESTER, acts_as=PORTAL_ROLE)
    yield server
    server.stop()


def make_settings(database_url: str, var_dir: Path) -> Settings:
    """Return settings for tests, with every file below `var_dir`."""
    return portal_settings.load(TEST_ENVIRONMENT | {"DATABASE_URL": database_url, "PORTAL_VAR_DIR": str(var_dir)})


@pytest.fixture(scope="session")
def template_database(postgres: LocalPostgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the name of a database built by Alembic; rebuilt when a migration changes."""
    name = f"template_{_migrations_digest()}"
    lock = ROOT / "var" / "template.lock"
    with _exclusive(lock):
        known = postgres.databases()
        if name not in known:
            for old in known:
                if old.startswith(("template_", "building_")) and old not in {"template0", "template1"}:
                    postgres.drop_database(old)
            building = f"building_{_migrations_digest()}"
            postgres.ensure_database(building)
            app = create_app(make_settings(postgres.url(building), tmp_path_factory.mktemp("template")))
            with app.app_context():
                alembic: Alembic = app.extensions["alembic"]
                alembic.upgrade()
                with sql.engine.begin() as connection:
                    roles.grant(connection, PORTAL_ROLE)
                for engine in sql.engines.values():
                    engine.dispose()
            postgres.rename_database(building, name)
    return name


def _migrations_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted((ROOT / "portal" / "migrations").rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _exclusive(path: Path):  # type: ignore[no-untyped-def]
    import fcntl
    from contextlib import contextmanager

    @contextmanager
    def held() -> Iterator[None]:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    return held()


@pytest.fixture(scope="session")
def worker_database_url(postgres: LocalPostgres, template_database: str) -> Iterator[str]:
    """Give this test process its own database, cloned from the template."""
    name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
    with _exclusive(ROOT / "var" / "template.lock"):
        postgres.drop_database(name)
        postgres.ensure_database(name, template=template_database)
    yield postgres.url(name, TESTER)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def session_app(worker_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Give one application for the whole run: building it takes a second."""
    app = create_app(make_settings(worker_database_url, tmp_path_factory.mktemp("var")), TESTING=True, SERVER_NAME="127.0.0.1:8000")
    app.testing = False  # errors become pages, as people see them
    yield app
    with app.app_context():
        for engine in sql.engines.values():
            engine.dispose()


@pytest.fixture
def app(session_app: Flask) -> Iterator[Flask]:
    """Give the application inside one outer transaction that is rolled back at the end.

    No application context stays open: each request has its own, as in life.
    """
    with session_app.app_context():
        engine, maker = sql.engine, sql.sessionmaker
    with engine.connect() as connection:
        outer = connection.begin()
        maker.configure(bind=connection, join_transaction_mode="create_savepoint")
        yield session_app
        maker.configure(bind=engine, join_transaction_mode="conditional_savepoint")
        outer.rollback()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Give a visitor's browser without scripts."""
    return app.test_client()


@pytest.fixture
def session_maker(app: Flask) -> sessionmaker[Session]:
    """Give the factory of sessions in the test's transaction."""
    with app.app_context():
        return sql.sessionmaker


@pytest.fixture
def db(session_maker: sessionmaker[Session]) -> Iterator[Session]:
    """Give a session in the test's transaction; what it commits is a savepoint."""
    with session_maker() as session:
        yield session


@pytest.fixture
def settings(app: Flask) -> Settings:
    """Give the application's settings."""
    value: Settings = app.extensions["portal_settings"]
    return value


@pytest.fixture
def now() -> datetime:
    """Give a fixed present: Monday 23 November 2026, 10:00 UTC."""
    return datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@pytest.fixture
def own_database(postgres: LocalPostgres, template_database: str, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Give an engine on a database of the test's own, for two real connections; dropped at the end."""
    name = "own_" + hashlib.sha256(f"{request.node.nodeid}{os.getpid()}".encode()).hexdigest()[:16]
    with _exclusive(ROOT / "var" / "template.lock"):
        postgres.drop_database(name)
        postgres.ensure_database(name, template=template_database)
    engine = database.make_engine(postgres.url(name, TESTER), pool_size=20, max_overflow=40)
    yield engine
    engine.dispose()
    postgres.drop_database(name)


@pytest.fixture
def own_sessions(own_database: Engine, session_app: Flask) -> sessionmaker[Session]:
    """Give the session factory of `own_database`; the application is there, which registers the jobs."""
    del session_app
    return database.make_sessions(own_database)


RunJobs = Callable[..., list[str]]


@pytest.fixture
def run_jobs(app: Flask, session_maker: sessionmaker[Session], settings: Settings) -> RunJobs:
    """Give a function that runs the waiting jobs in order and returns their names; `resources` replaces the app's."""

    def run(*, only: str | None = None, resources: dict[str, object] | None = None) -> list[str]:
        context = jobs.JobContext(sessions=session_maker, settings=settings, resources=resources or app.extensions.get("job_resources", {}))
        ran: list[str] = []
        while True:
            with session_maker() as session:
                query = "SELECT id, task_name, args FROM procrastinate_jobs WHERE status = 'todo' AND (CAST(:only AS text) IS NULL OR task_name = :only) ORDER BY id LIMIT 1"
                row = session.execute(text(query), {"only": only}).first()
                if row is None:
                    return ran
                session.execute(text("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = :id"), {"id": row.id})
                session.execute(text("UPDATE procrastinate_jobs SET status = 'succeeded' WHERE id = :id"), {"id": row.id})
                session.commit()
            arguments = row.args if isinstance(row.args, dict) else json.loads(row.args)
            jobs.REGISTRY[row.task_name].function(context, **arguments)
            ran.append(row.task_name)

    return run


def with_settings(settings: Settings, **changes: object) -> Settings:
    """Return settings with some fields changed."""
    return replace(settings, **changes)  # type: ignore[arg-type]
