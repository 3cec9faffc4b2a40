"""One page of a statement: the sums of all its lines, and the lots and prices of a hundred of them alone."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.orm import Session

from portal.core.pages import Page
from portal.credits.models import LedgerAccount, LedgerEntry, LedgerTransaction
from portal.credits.queries.statements import LINE_ID, StatementLine, bounds, line_order, lines_of, moves

LINES_SHOWN = 100


@dataclass(frozen=True)
class StatementPage:
    """A page of lines with the statement that they belong to: opening + given + taken = closing, over all its lines.

    A mark is the place of the page's first line. Lines come in the order of their last booking, so new ones come last.
    """

    starts_at: datetime
    ends_at: datetime
    opening_ucr: int
    closing_ucr: int
    given_ucr: int
    taken_ucr: int
    count: int
    lines: Page[StatementLine]
    as_of: datetime


def statement_page(
    db: Session, wallet_id: uuid.UUID, *, starts_at: datetime, ends_at: datetime, mark: str | None, now: datetime, size: int = LINES_SHOWN
) -> StatementPage:
    """Return a page of the statement of [starts_at, ends_at); six statements."""
    opening_ucr, closing_ucr = bounds(db, wallet_id, starts_at, ends_at)
    amount = cast(func.coalesce(func.sum(LedgerEntry.amount_ucr).filter(LedgerAccount.kind.like("lot_%")), 0), BigInteger)
    booked_at = func.max(LedgerTransaction.booked_at)
    period = (LedgerTransaction.booked_at >= starts_at, LedgerTransaction.booked_at < ends_at)
    grouped = (
        moves(wallet_id)
        .add_columns(LINE_ID.label("line_id"), LedgerTransaction.operation, booked_at.label("booked_at"), amount.label("amount_ucr"))
        .where(*period)
        .group_by(LINE_ID, LedgerTransaction.operation)
        .subquery("grouped")
    )
    order = line_order(grouped.c.booked_at, grouped.c.line_id, grouped.c.operation)
    totals = [
        func.count().over().label("lines"),
        cast(func.coalesce(func.sum(grouped.c.amount_ucr).filter(grouped.c.amount_ucr > 0).over(), 0), BigInteger).label("given_ucr"),
        cast(func.coalesce(func.sum(grouped.c.amount_ucr).filter(grouped.c.amount_ucr < 0).over(), 0), BigInteger).label("taken_ucr"),
        cast(func.sum(grouped.c.amount_ucr).over(order_by=order, rows=(None, 0)), BigInteger).label("changed_ucr"),
    ]
    begin = _place(mark)
    rows = db.execute(select(grouped, *totals).order_by(*order).offset(begin).limit(size)).all()
    if not rows and begin:
        return statement_page(db, wallet_id, starts_at=starts_at, ends_at=ends_at, mark=None, now=now, size=size)
    before_ucr = opening_ucr + rows[0].changed_ucr - rows[0].amount_ucr if rows else opening_ucr
    lines = lines_of(db, wallet_id, starts_at, ends_at, before_ucr, only=[(row.line_id, row.operation) for row in rows]) if rows else []
    count = rows[0].lines if rows else 0
    found = Page(lines, str(begin + size) if begin + size < count else None, str(max(0, begin - size)) if begin else None)
    given_ucr, taken_ucr = (rows[0].given_ucr, rows[0].taken_ucr) if rows else (0, 0)
    return StatementPage(starts_at, ends_at, opening_ucr, closing_ucr, given_ucr, taken_ucr, count, found, now)


def _place(mark: str | None) -> int:
    return int(mark) if mark and mark.isascii() and mark.isdecimal() and len(mark) < 9 else 0
