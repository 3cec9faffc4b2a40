"""Stripe's balance, line by line, against our books: fees and payouts are booked, what stays unexplained is worked on."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Invalid, NotFound
from portal.credits.operations import cash
from portal.credits.states import CashAccount, Currency
from portal.payments.models import BalanceLine, Difference
from portal.payments.operations.purchases import difference
from portal.payments.rules.messages import Line
from portal.payments.states import DIFFERENCE, DifferenceState

READER = Actor.process("balance")
OVERLAP = timedelta(days=2)
FIRST_LOOK = timedelta(days=60)
PATIENCE = timedelta(hours=1)
_EXPLAINED = {"charge", "payment", "refund", "payment_refund", "adjustment", "refund_failure", "payment_failure_refund"}


class NoResolution(Invalid):
    """A difference is closed with a sentence that says what it was."""

    text = N_("Say what it was: the sentence is kept.")
    field = "resolution"


def read_until(db: Session, *, now: datetime) -> datetime:
    """Return from when on the balance has to be read."""
    latest: datetime | None = db.execute(select(func.max(BalanceLine.created_at))).scalar_one()
    return now - FIRST_LOOK if latest is None else latest - OVERLAP


def take(db: Session, lines: Sequence[Line], *, now: datetime) -> int:
    """Store lines, each once, book their fees and payouts, and return how many were new."""
    fresh = 0
    for line in lines:
        row = {"psp_id": line.id, "kind": line.kind, "source_id": line.source_id, "currency": line.currency.value, "amount_minor": line.amount_minor}
        stored = insert(BalanceLine).values(**row, fee_minor=line.fee_minor, created_at=line.created_at, read_at=now).on_conflict_do_nothing()
        if db.execute(stored.returning(BalanceLine.psp_id)).first() is None:
            continue
        fresh += 1
        if line.fee_minor:
            lines_ = {CashAccount.PSP_FEES: line.fee_minor, CashAccount.PSP_CLEARING: -line.fee_minor}
            cash.book(db, key=f"fee:{line.id}", operation="fee", currency=line.currency, lines=lines_, reference=line.id, by=READER, now=now)
        if line.kind == "payout":
            lines_ = {CashAccount.BANK: -line.amount_minor, CashAccount.PSP_CLEARING: line.amount_minor}
            cash.book(db, key=f"payout:{line.id}", operation="payout", currency=line.currency, lines=lines_, reference=line.id, by=READER, now=now)
    return fresh


# Each side by what it refers to: a payment by its own id or the charge's payment, a refund or dispute by its id.
_UNEXPLAINED = """
WITH ours AS (
    SELECT t.reference, t.currency, t.booked_at, sum(e.amount_minor) AS amount FROM cash_transaction t JOIN cash_entry e ON e.transaction_id = t.id
    WHERE e.account = 'psp_clearing' AND t.operation NOT IN ('fee', 'payout') GROUP BY 1, 2, 3
), booked AS (
    SELECT reference, currency, min(booked_at) AS booked_at, sum(amount) AS amount FROM ours GROUP BY 1, 2
), theirs AS (
    SELECT source_id, currency, min(created_at) AS created_at, sum(amount_minor) AS amount FROM balance_line WHERE kind <> 'payout' GROUP BY 1, 2
)
SELECT coalesce(b.reference, s.source_id) AS reference, coalesce(b.currency, s.currency) AS currency, coalesce(s.amount, 0) - coalesce(b.amount, 0) AS off,
    b.reference IS NULL AS is_theirs
FROM booked b FULL JOIN theirs s ON s.source_id = b.reference AND s.currency = b.currency
WHERE coalesce(b.amount, 0) <> coalesce(s.amount, 0)
    AND coalesce(b.booked_at, '-infinity') < :before AND coalesce(s.created_at, '-infinity') < :before
    AND coalesce(b.amount, 0) + coalesce(s.amount, 0) <> 0
ORDER BY 1 LIMIT 500
"""


def compare(db: Session, *, now: datetime) -> int:
    """Leave a difference for whatever one side knows and the other does not, and return how many there are now."""
    rows = db.execute(text(_UNEXPLAINED), {"before": now - PATIENCE}).all()
    for row in rows:
        what = f"Stripe has {row.reference}, our books do not" if row.is_theirs else f"{row.reference} differs between our books and Stripe"
        difference(db, key=f"balance:{row.reference}:{row.off}", what=what, currency=Currency(row.currency), amount_minor=row.off, now=now)
    return len(rows)


def resolve(db: Session, *, difference_id: uuid.UUID, resolution: str, by: Actor, now: datetime) -> None:
    """Close a difference with what it was. Raises NoResolution, WrongState, NotFound."""
    row = db.execute(select(Difference).where(Difference.id == difference_id).with_for_update()).scalar_one_or_none()
    if row is None:
        raise NotFound
    state = DIFFERENCE.target("resolve", DifferenceState(row.state))
    if not resolution.strip():
        raise NoResolution
    values = {"state": state.value, "resolved_at": now, "resolved_by_id": by.id, "resolution": resolution.strip()}
    db.execute(update(Difference).where(Difference.id == difference_id).values(**values))
    audit.record(db, "resolved", "difference", difference_id, by=by, now=now)
