"""Many rows in one statement: arrays go in as parameters and come out as rows, whatever their number."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table, any_, cast, column, func, insert, literal, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Session
from sqlalchemy.types import UUID

Rows = Sequence[Mapping[str, Any]]


def as_rows(types: Mapping[str, Any], rows: Rows, name: str = "given") -> FromClause:
    """Return `rows` as a table of one statement; `types` gives its columns with their SQL types."""
    arrays = [cast(literal([row[key] for row in rows], ARRAY(kind)), ARRAY(kind)) for key, kind in types.items()]
    return func.unnest(*arrays).table_valued(*[column(key, kind) for key, kind in types.items()], name=name).render_derived()


def insert_rows(db: Session, model: type[DeclarativeBase], rows: Rows) -> None:
    """Insert all rows in one statement; every row has the same keys, named as the table's columns."""
    if not rows:
        return
    table = _table(model)
    given = as_rows({key: table.c[key].type for key in rows[0]}, rows)
    db.execute(insert(table).from_select(list(rows[0]), given.select()))


def update_rows(db: Session, model: type[DeclarativeBase], rows: Rows, *, key: Sequence[str] = ("id",)) -> None:
    """Set the other columns of the rows found by `key`, all in one statement."""
    if not rows:
        return
    table = _table(model)
    given = as_rows({name: table.c[name].type for name in rows[0]}, rows)
    changes = {name: given.c[name] for name in rows[0] if name not in key}
    db.execute(update(table).values(changes).where(*[table.c[name] == given.c[name] for name in key]))


def among(id_column: ColumnElement[uuid.UUID] | InstrumentedAttribute[uuid.UUID], ids: Iterable[uuid.UUID]) -> ColumnElement[bool]:
    """Return the condition that a column is one of the ids; one parameter, whatever their number."""
    return id_column == any_(cast(literal(list(ids), ARRAY(UUID())), ARRAY(UUID())))


def _table(model: type[DeclarativeBase]) -> Table:
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(model)
    return table
