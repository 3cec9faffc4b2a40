"""Pages of a list by key: the cost of page 400 equals that of page 1, and nothing is skipped when rows arrive.

A mark is "after:<id>" or "before:<id>". Lists are ordered by one unique, time-ordered key.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.sql.elements import ColumnElement

R = TypeVar("R")
PAGE_SIZE = 25
COUNT_CAP = 1000


@dataclass(frozen=True)
class Page(Generic[R]):
    """Rows in order, and the marks of the neighbouring pages (None where there is none)."""

    rows: Sequence[R]
    next_mark: str | None = None
    previous_mark: str | None = None

    def map(self, change: "Callable[[R], Any]") -> "Page[Any]":
        """Return the same page with each row changed."""
        return Page([change(row) for row in self.rows], self.next_mark, self.previous_mark)


def parse_mark(mark: str | None) -> tuple[str, uuid.UUID] | None:
    """Return direction and key of a mark, or None when there is none or it is not one of ours."""
    if not mark:
        return None
    direction, _, key = mark.partition(":")
    if direction not in {"after", "before"}:
        return None
    try:
        return direction, uuid.UUID(key)
    except ValueError:
        return None


def page_of(
    db: Session,
    query: Select[Any],
    key: InstrumentedAttribute[uuid.UUID] | ColumnElement[uuid.UUID],
    *,
    mark: str | None,
    size: int = PAGE_SIZE,
    is_newest_first: bool = True,
    key_name: str = "id",
    parameters: Mapping[str, Any] | None = None,
) -> Page[Any]:
    """Return one page of `query`, whose rows carry the key as attribute `key_name`; one statement, no count.

    parameters: values of the query's bound parameters, where a statement is kept and used again.
    """
    parsed = parse_mark(mark)
    is_backward = parsed is not None and parsed[0] == "before"
    is_descending = is_newest_first != is_backward
    if parsed is not None:
        query = query.where(key < parsed[1] if is_descending else key > parsed[1])
    rows: list[Any] = list(db.execute(query.order_by(key.desc() if is_descending else key.asc()).limit(size + 1), parameters))
    has_more = len(rows) > size
    rows = rows[:size]
    if is_backward:
        rows.reverse()
    if not rows:
        return Page([])
    has_next = is_backward or has_more
    has_previous = has_more if is_backward else parsed is not None
    return Page(
        rows,
        next_mark=f"after:{getattr(rows[-1], key_name)}" if has_next else None,
        previous_mark=f"before:{getattr(rows[0], key_name)}" if has_previous else None,
    )
