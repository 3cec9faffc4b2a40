"""Expiry: what a lot has left when it ends goes to breakage. Eligibility is decided at read time; this only tidies."""

import uuid
from datetime import datetime

from sqlalchemy import exists, func, literal, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.types import UUID

from portal.core.access import Actor
from portal.credits import bulk
from portal.credits.models import Fund, LedgerAccount, Lot, Meter
from portal.credits.operations import journal, wallets
from portal.credits.states import MeterState

MOST_AT_ONCE = 2000
BREAKAGE_PURCHASED_ACCOUNT_ID = uuid.UUID("00000000-0000-7000-8000-00000000c0fd")
EXPIRY = Actor.process("expiry")


def sweep(db: Session, *, now: datetime, most: int = MOST_AT_ONCE) -> int:
    """Book what expired lots have left, and return how many were booked; four statements whatever their number.

    A lot waits while a session of its wallet may still prove use from before its end that no window holds.
    """
    available = LedgerAccount
    unheld_use = exists().where(
        Meter.wallet_id == Lot.wallet_id,
        or_(Meter.state == MeterState.OPEN, Meter.due_at.is_not(None)),
        Meter.windows_end_at < Lot.expires_at,
    )
    query = (
        select(Lot.id, Lot.wallet_id, Lot.available_account_id, available.balance_ucr, available.version)
        .add_columns(func.coalesce(Fund.breakage_account_id, literal(BREAKAGE_PURCHASED_ACCOUNT_ID, UUID())).label("breakage_account_id"))
        .join(available, available.id == Lot.available_account_id)
        .join(Fund, Fund.id == Lot.fund_id, isouter=True)
        .where(available.kind == "lot_available", available.balance_ucr > 0, Lot.expires_at <= now, ~unheld_use)
        .order_by(Lot.id)
    )
    due = db.execute(query.limit(most)).all()
    if not due:
        return 0
    locked = wallets.lock(db, {row.wallet_id for row in due}, is_patient=False)
    rows = db.execute(query.where(bulk.among(Lot.id, [row.id for row in due]), bulk.among(Lot.wallet_id, locked))).all()
    bookings = [
        journal.Booking(
            f"exp:{row.id}:{row.version}",
            "expiry",
            {"amount": row.balance_ucr},
            [journal.Line(row.available_account_id, -row.balance_ucr), journal.Line(row.breakage_account_id, row.balance_ucr)],
            wallet_id=row.wallet_id,
            lot_id=row.id,
        )
        for row in rows
    ]
    journal.post(db, bookings, by=EXPIRY, now=now)
    return len(bookings)
