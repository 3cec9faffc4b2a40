"""A statement read page by page, for comparing it with the whole."""

import uuid
from datetime import datetime

from sqlalchemy.orm import Session

from portal.credits.queries.statement_pages import statement_page
from portal.credits.queries.statements import StatementLine


def pages_of(db: Session, wallet_id: uuid.UUID, *, starts_at: datetime, ends_at: datetime, now: datetime, size: int = 3) -> list[StatementLine]:
    """Return the lines of all pages, each of `size` lines, having checked that each page's sums are the statement's."""
    lines: list[StatementLine] = []
    mark: str | None = None
    while True:
        page = statement_page(db, wallet_id, starts_at=starts_at, ends_at=ends_at, mark=mark, now=now, size=size)
        assert page.opening_ucr + page.given_ucr + page.taken_ucr == page.closing_ucr
        assert len(page.lines.rows) <= size
        lines += page.lines.rows
        mark = page.lines.next_mark
        if mark is None:
            assert page.count == len(lines)
            return lines
