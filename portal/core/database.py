"""PostgreSQL through SQLAlchemy: the declarative base, column types and the engine's settings.

Every table is born in an Alembic migration. Instants are aware and UTC. Relationships, where a domain has any,
are `lazy="raise"`: a page loads what it needs.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

from psycopg import OperationalError
from sqlalchemy import BigInteger, DateTime, Engine, Identity, MetaData, Text, TypeDecorator, create_engine
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, sessionmaker

NAMING = {
    "ix": "ix_%(table_name)s__%(column_0_N_name)s",
    "uq": "uq_%(table_name)s__%(column_0_N_name)s",
    "ck": "ck_%(table_name)s__%(constraint_name)s",
    "fk": "fk_%(table_name)s__%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Instant(TypeDecorator[datetime]):
    """`timestamptz`; refuses naive datetimes and hands UTC back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Refuse a naive datetime: it would be read in the server's zone."""
        if value is not None and value.tzinfo is None:
            message = "naive datetime; use an aware one in UTC"
            raise ValueError(message)
        return value

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return the instant in UTC, whatever the connection's zone."""
        return value.astimezone(UTC) if value is not None else None


Json: TypeAlias = dict[str, Any]

# Columns that every domain writes the same way.
PrimaryId = Annotated[uuid.UUID, mapped_column(UUID(as_uuid=True), primary_key=True)]
Number = Annotated[int, mapped_column(BigInteger, Identity(always=True), unique=True)]


class Base(DeclarativeBase):
    """Base of every table; constraint names follow one convention, so that migrations can name them."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 -- SQLAlchemy reads a plain dict here
        datetime: Instant,
        int: BigInteger,
        str: Text,
        uuid.UUID: UUID(as_uuid=True),
        Json: JSONB,
        dict[str, str]: JSONB,
        list[str]: JSONB,
    }


PING_AFTER_S = 1.0


def _note_use(_connection: Any, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


def _ping_when_idle(connection: Any, record: Any, _proxy: Any) -> None:
    """Ask a connection whether it lives, unless it was used a moment ago; the pool replaces a dead one.

    SQLAlchemy's own pre-ping asks before every request, which costs a busy portal a round trip each.
    """
    if time.monotonic() - record.info.get("used_at", float("-inf")) < PING_AFTER_S:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.rollback()
    except OperationalError as error:
        raise DisconnectionError from error


ENGINE_OPTIONS: dict[str, Any] = {
    "pool_events": [(_note_use, "checkin"), (_ping_when_idle, "checkout")],
    "connect_args": {"options": "-c timezone=UTC -c lock_timeout=2s -c idle_in_transaction_session_timeout=60s", "connect_timeout": 5},
}
SESSION_OPTIONS: dict[str, Any] = {"expire_on_commit": False, "autoflush": True}


def psycopg_url(url: str) -> str:
    """Return the URL with SQLAlchemy's psycopg 3 driver, from any way people write a PostgreSQL URL."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def make_engine(url: str, **options: Any) -> Engine:
    """Return an engine for processes that are not Flask: the worker, the command line."""
    return create_engine(psycopg_url(url), **(ENGINE_OPTIONS | options))


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """Return a session factory with the same options as the web's."""
    return sessionmaker(engine, **SESSION_OPTIONS)


@contextmanager
def transaction(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """Give a session that is committed at the end, or rolled back when anything is raised."""
    with sessions() as db, db.begin():
        yield db
