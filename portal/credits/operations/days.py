"""Sums of days that are over, by lot: charts and forecasts read them instead of every booking."""

from datetime import date, datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from portal.credits.calendar import day_end, day_start, local_day
from portal.credits.models import LedgerTransaction, SummedDay

# Bookings are dated when they are made; one that began at midnight is committed long before this.
SETTLED = timedelta(minutes=10)
MOST_AT_ONCE = 31
_LOCK = 7_326_002

# What moves inside a wallet is left out: it is still the wallet's.
SUMS = """
SELECT l.id AS lot_id, coalesce(sum(e.amount_ucr) FILTER (WHERE e.amount_ucr > 0), 0) AS came_ucr,
    coalesce(-sum(e.amount_ucr) FILTER (WHERE t.operation = 'capture'), 0) AS used_ucr, sum(e.amount_ucr) AS total_ucr
FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
JOIN ledger_account a ON a.id = e.account_id AND a.kind LIKE 'lot_%'
JOIN lot l ON l.wallet_id = t.wallet_id AND a.id IN (l.available_account_id, l.held_account_id, l.frozen_account_id)
WHERE t.operation NOT IN ('hold', 'release', 'freeze') AND t.booked_at >= :starts_at AND t.booked_at < :ends_at GROUP BY 1
"""


def sum_due(db: Session, *, now: datetime) -> int:
    """Sum the days that are over and not summed yet, the oldest first; return how many they were."""
    db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    day = _first(db)
    done = 0
    while day is not None and day_end(day) + SETTLED <= now and done < MOST_AT_ONCE:
        db.execute(text("INSERT INTO summed_day (day, summed_at) VALUES (:day, :now)"), {"day": day, "now": now})
        made = f"INSERT INTO lot_day (lot_id, day, came_ucr, used_ucr, total_ucr) SELECT lot_id, :day, came_ucr, used_ucr, total_ucr FROM ({SUMS}) sums"  # noqa: S608
        db.execute(text(made), {"day": day, "starts_at": day_start(day), "ends_at": day_end(day)})
        day += timedelta(days=1)
        done += 1
    return done


def _first(db: Session) -> date | None:
    last = db.execute(select(SummedDay.day).order_by(SummedDay.day.desc()).limit(1)).scalar_one_or_none()
    if last is not None:
        return last + timedelta(days=1)
    first = db.execute(select(LedgerTransaction.booked_at).order_by(LedgerTransaction.booked_at).limit(1)).scalar_one_or_none()
    return local_day(first) if first is not None else None
