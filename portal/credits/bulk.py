"""Many rows in one statement, and several writes in one: the text of a statement depends on columns alone, never on rows.

Rows go in as one array for each column, written out as PostgreSQL's own array text: so each parameter is a string,
every statement is prepared once by the driver, and nothing has to be compiled for each call.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Boolean, ColumnElement, Date, DateTime, Row, Table, Text, any_, cast, literal
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Session
from sqlalchemy.types import UUID

Rows = Sequence[Mapping[str, Any]]
Types = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Part:
    """One write of a statement that does several: its SQL, with its own parameters."""

    sql: str
    parameters: Mapping[str, Any]


def insert_rows(db: Session, model: type[DeclarativeBase], rows: Rows) -> None:
    """Insert all rows in one statement; every row has the same keys, named as the table's columns."""
    together(db, [insert_part(model, rows)])


def update_rows(db: Session, model: type[DeclarativeBase], rows: Rows, *, key: Sequence[str] = ("id",)) -> None:
    """Set the other columns of the rows found by `key`, all in one statement."""
    together(db, [update_part(model, rows, key=key)])


def insert_part(model: type[DeclarativeBase], rows: Rows) -> Part | None:
    """Return an INSERT of rows with the same keys; None where there are none."""
    if not rows:
        return None
    table, types = _types(model, tuple(rows[0]))
    names = ", ".join(name for name, _ in types)
    return Part(f"INSERT INTO {table} ({names}) SELECT {names} FROM {given(table, types)}", arrays(table, types, rows))  # noqa: S608 -- names of columns


def update_part(model: type[DeclarativeBase], rows: Rows, *, key: Sequence[str] = ("id",)) -> Part | None:
    """Return an UPDATE of the other columns of the rows found by `key`; None where there are none."""
    if not rows:
        return None
    table, types = _types(model, tuple(rows[0]))
    changes = ", ".join(f"{name} = given.{name}" for name, _ in types if name not in key)
    found = " AND ".join(f"{table}.{name} = given.{name}" for name in key)
    prefix = f"u_{table}"
    return Part(f"UPDATE {table} SET {changes} FROM {given(prefix, types)} WHERE {found}", arrays(prefix, types, rows))  # noqa: S608 -- names of columns


def together(db: Session, parts: Iterable[Part | None], *, last: Part | None = None) -> Sequence[Row[Any]]:
    """Run parts as one statement and return the rows of the last, if it has any. No two parts may change one row.

    Constraints and triggers look at what the whole statement leaves behind.
    """
    kept = [part for part in parts if part is not None]
    if last is None:
        if not kept:
            return []
        last = kept.pop()
    sql = last.sql.strip()
    if kept:
        before = ", ".join(f"part_{place} AS ({part.sql})" for place, part in enumerate(kept))
        sql = f"WITH {before}, {sql.removeprefix('WITH ')}" if sql.startswith("WITH ") else f"WITH {before} {sql}"
    parameters: dict[str, Any] = {}
    for part in (*kept, last):
        parameters |= part.parameters
    return run(db, sql, parameters)


def run(db: Session, sql: str, parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
    """Run SQL of ours with the driver's own parameters and return its rows, if it has any."""
    result = db.connection().exec_driver_sql(sql, dict(parameters))
    return result.all() if result.returns_rows else []


def given(prefix: str, types: Types) -> str:
    """Return the rows of `arrays` as a table named `given`, for a FROM clause."""
    casts = ", ".join(f"%({prefix}_{name})s::{kind}[]" for name, kind in types)
    return f"unnest({casts}) AS given({', '.join(name for name, _ in types)})"


def arrays(prefix: str, types: Types, rows: Rows) -> dict[str, str]:
    """Return one parameter for each column: its values as PostgreSQL's array text."""
    return {f"{prefix}_{name}": _written(kind, [row[name] for row in rows]) for name, kind in types}


def ids_text(ids: Iterable[uuid.UUID]) -> str:
    """Return ids as array text, for `= ANY(%(ids)s::uuid[])`."""
    return _written("uuid", list(ids))


def _plain(value: Any) -> str:
    return "NULL" if value is None else str(value)


def _id(value: uuid.UUID | None) -> str:
    return "NULL" if value is None else f"{value.int:032x}"


def _instant(value: datetime | None) -> str:
    return "NULL" if value is None else f'"{value.isoformat()}"'


def _quoted(value: Any) -> str:
    if value is None:
        return "NULL"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _json(value: Any) -> str:
    return "NULL" if value is None else _quoted(json.dumps(value, separators=(",", ":")))


_WRITERS: dict[str, Callable[[Any], str]] = {
    "uuid": _id,
    "bigint": _plain,
    "boolean": _plain,
    "date": _plain,
    "timestamptz": _instant,
    "text": _quoted,
    "jsonb": _json,
}


def _written(kind: str, values: list[Any]) -> str:
    return "{" + ",".join(map(_WRITERS[kind], values)) + "}"


@cache
def _types(model: type[DeclarativeBase], names: tuple[str, ...]) -> tuple[str, Types]:
    """Return a table's name and the SQL types of some columns."""
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(model)
    return table.name, tuple((name, _kind(table.c[name].type)) for name in names)


def _kind(type_: Any) -> str:
    inner = getattr(type_, "impl_instance", type_)
    kinds = ((UUID, "uuid"), (BigInteger, "bigint"), (Boolean, "boolean"), (DateTime, "timestamptz"), (Date, "date"), (JSONB, "jsonb"), (Text, "text"))
    return next(kind for class_, kind in kinds if isinstance(inner, class_))


def among(
    id_column: ColumnElement[Any] | InstrumentedAttribute[uuid.UUID] | InstrumentedAttribute[uuid.UUID | None], ids: Iterable[uuid.UUID]
) -> ColumnElement[bool]:
    """Return the condition that a column is one of the ids; one parameter, whatever their number."""
    return id_column == any_(cast(literal(list(ids), ARRAY(UUID())), ARRAY(UUID())))
