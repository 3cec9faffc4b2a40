"""Closing a month: openings and closings of every wallet are written down, and nothing is booked into it any more."""

from datetime import date, datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict
from portal.credits.calendar import day_start, local_day, month_after
from portal.credits.models import LedgerMonth, LedgerTransaction

# A wallet's closing is its opening and what its lots gained and lost in the month; holds stay inside it.
_CLOSE = """
WITH changed AS (
    SELECT l.wallet_id, sum(e.amount_ucr) AS change FROM ledger_transaction t
    JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id AND a.kind LIKE 'lot_%'
    JOIN lot l ON a.id IN (l.available_account_id, l.held_account_id, l.frozen_account_id)
    WHERE t.booked_at < :ends_at AND (CAST(:starts_at AS timestamptz) IS NULL OR t.booked_at >= :starts_at) GROUP BY 1
), opened AS (
    SELECT wallet_id, closing_ucr FROM wallet_month WHERE month = :previous
), rows AS (
    SELECT coalesce(o.wallet_id, c.wallet_id) AS wallet_id, coalesce(o.closing_ucr, 0) AS opening_ucr,
        coalesce(o.closing_ucr, 0) + coalesce(c.change, 0) AS closing_ucr
    FROM opened o FULL JOIN changed c ON c.wallet_id = o.wallet_id
), month AS (
    INSERT INTO ledger_month (month, ends_at, wallets, opening_ucr, closing_ucr, closed_at, closed_by_id)
    SELECT :month, :ends_at, count(*), coalesce(sum(opening_ucr), 0), coalesce(sum(closing_ucr), 0), :now, :by FROM rows RETURNING month
)
INSERT INTO wallet_month (month, wallet_id, opening_ucr, closing_ucr)
SELECT m.month, r.wallet_id, r.opening_ucr, r.closing_ucr FROM rows r CROSS JOIN month m
"""


class NotOver(Conflict):
    """A month is closed when it is over, and after the one before it."""

    text = N_("Only the next month that is over can be closed.")


def next_month(db: Session, *, now: datetime) -> date | None:
    """Return the first day of the month to close next; None when it is not over yet, or nothing was ever booked."""
    last = db.execute(select(LedgerMonth.month).order_by(LedgerMonth.month.desc()).limit(1)).scalar_one_or_none()
    if last is not None:
        month = month_after(last)
    else:
        first = db.execute(select(LedgerTransaction.booked_at).order_by(LedgerTransaction.booked_at).limit(1)).scalar_one_or_none()
        if first is None:
            return None
        month = local_day(first).replace(day=1)
    return month if day_start(month_after(month)) <= now else None


def close(db: Session, *, month: date, by: Actor, now: datetime) -> int:
    """Close a month and return the number of wallets in it. Raises NotOver.

    Bookings wait while it is closed, and those after it are refused before its end by a trigger.
    """
    db.execute(text("SELECT lock_journal()"))
    if month != next_month(db, now=now):
        raise NotOver
    previous = db.execute(select(LedgerMonth.month).order_by(LedgerMonth.month.desc()).limit(1)).scalar_one_or_none()
    terms = {"month": month, "previous": previous, "now": now, "by": by.person_id, "ends_at": day_start(month_after(month))}
    done = db.execute(text(_CLOSE), terms | {"starts_at": day_start(month) if previous is not None else None})
    audit.record(db, "closed", "ledger_month", month.isoformat(), by=by, now=now)
    return int(done.rowcount)  # type: ignore[attr-defined]  # CursorResult
