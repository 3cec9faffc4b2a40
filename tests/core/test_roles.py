"""The portal's role may do its work, and nothing of what the triggers refuse."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from portal.core import roles
from portal.core.database import psycopg_url
from portal.core.local_postgres import LocalPostgres
from tests.conftest import PORTAL_ROLE, ROOT, TEST_ENVIRONMENT

JOURNAL = [
    "audit_event",
    "cash_entry",
    "cash_transaction",
    "fact",
    "ledger_block",
    "ledger_entry",
    "ledger_seal",
    "ledger_transaction",
    "observation",
    "payment_event",
]


def test_the_journal_and_all_that_was_seen_are_guarded(db: Session) -> None:
    found = {guard.table: guard for guard in roles.guards(db.connection())}
    assert set(JOURNAL) <= set(found)
    assert all(found[table].keeps_rows for table in JOURNAL)
    assert all(found[table].keeps_values for table in JOURNAL if table != "payment_event")
    assert "payload" in found["payment_event"].kept_columns
    assert "handled_at" not in found["payment_event"].kept_columns


def test_the_portal_may_change_none_of_it(db: Session) -> None:
    connection = db.connection()
    assert roles.unguarded(connection) == []
    for guard in roles.guards(connection):
        for statement in _forbidden(db, guard):
            with pytest.raises(ProgrammingError, match="permission denied"), db.begin_nested():
                db.execute(text(statement))


def _forbidden(db: Session, guard: roles.Guard) -> Iterator[str]:
    yield f"TRUNCATE {guard.table}"
    if guard.keeps_rows:
        yield f"DELETE FROM {guard.table}"
    columns = sorted(guard.kept_columns)
    if guard.keeps_values:
        columns = [
            db.execute(
                text("SELECT column_name FROM information_schema.columns WHERE table_name = :name AND is_identity = 'NO' AND is_generated = 'NEVER' LIMIT 1"),
                {"name": guard.table},
            ).scalar_one()
        ]
    for column in columns:
        yield f"UPDATE {guard.table} SET {column} = {column}"


def test_the_portal_may_not_change_the_schema(db: Session) -> None:
    for statement in (
        "CREATE TABLE own (id int)",
        "DROP TABLE ledger_entry",
        "ALTER TABLE ledger_entry DISABLE TRIGGER ALL",
        "DROP TRIGGER observation_append_only ON observation",
        "UPDATE alembic_version SET version_num = 'x'",
        "SET LOCAL session_replication_role = replica",
    ):
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), db.begin_nested():
            db.execute(text(statement))


def test_a_privilege_too_many_is_found(db: Session) -> None:
    db.execute(text("SET LOCAL ROLE NONE"))
    db.execute(text("GRANT DELETE ON ledger_entry TO portal"))
    db.execute(text("SET LOCAL ROLE portal"))
    assert roles.unguarded(db.connection()) == ["ledger_entry"]


@pytest.fixture
def bare_database(postgres: LocalPostgres) -> Iterator[str]:
    name = f"bare_{os.getpid()}"
    for role in ("portal_owner", PORTAL_ROLE):
        postgres.ensure_role(role)
    postgres.drop_database(name)
    postgres.ensure_database(name, owner=PORTAL_ROLE)
    yield name
    postgres.drop_database(name)


def _migrate(environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "portal.cli", "migrate"], env=TEST_ENVIRONMENT | environment | {"PATH": os.environ["PATH"]}, cwd=ROOT, check=True, timeout=120
    )


def _asks(url: str, query: str) -> list[str]:
    engine: Engine = create_engine(psycopg_url(url))
    with engine.connect() as connection:
        found = [str(value) for value in connection.execute(text(query)).scalars()]
    engine.dispose()
    return found


def test_an_older_database_is_handed_to_an_owner_and_migrated_by_it(postgres: LocalPostgres, bare_database: str) -> None:
    own = {"DATABASE_URL": postgres.url(bare_database, PORTAL_ROLE)}
    _migrate(own)
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert _asks(own["DATABASE_URL"], owners) == [PORTAL_ROLE]
    for _ in range(2):
        postgres.hand_over(bare_database, old=PORTAL_ROLE, new="portal_owner")
        _migrate(own | {"DATABASE_OWNER_URL": postgres.url(bare_database, "portal_owner")})
    assert _asks(own["DATABASE_URL"], owners) == ["portal_owner"]
    engine = create_engine(psycopg_url(own["DATABASE_URL"]))
    with engine.connect() as connection:
        assert roles.unguarded(connection) == []
        assert connection.execute(text("SELECT count(*) FROM person")).scalar_one() == 0
    engine.dispose()
