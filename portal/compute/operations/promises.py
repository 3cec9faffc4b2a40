"""A start later than the instant stated for nine in ten: the first 15 minutes are free, by rule.

What was charged stays charged and visible; a lot of 14 days gives it back (`credits.operations.make_good`), once for a session.
"""

import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.compute import rules
from portal.compute.models import ComputeSession, PriceVersion
from portal.compute.operations.letters import write_letters
from portal.core import audit
from portal.core.quantities import charge_ucr, decimal_credits
from portal.credits import queries as ledger
from portal.credits.operations import make_good
from portal.credits.states import FaultRule


def make_late_good(db: Session, *, session_id: uuid.UUID, now: datetime) -> uuid.UUID | None:
    """Give back the first 15 minutes of an ended session that was admitted later than promised, and return the lot; None where it was not."""
    query = select(ComputeSession, PriceVersion.rate_ucr_per_hour).join(PriceVersion, PriceVersion.id == ComputeSession.price_version_id)
    found = db.execute(query.where(ComputeSession.id == session_id, ComputeSession.ended_at.is_not(None))).one_or_none()
    if found is None:
        return None
    row: ComputeSession = found[0]
    if row.most_by is None or row.admitted_at is None or row.admitted_at <= row.most_by:
        return None
    # The first window keeps the price that it was held at.
    free_s = min(rules.WINDOW_S, row.proven_s)
    amount_ucr = charge_ucr(found[1], free_s)
    wallet_id = ledger.wallet_of_project(db, row.project_id)
    terms = {"wallet_id": wallet_id, "session_id": session_id, "note": "", "now": now}
    lot_id = make_good.give(db, rule=FaultRule.LATE_START, amount_ucr=amount_ucr, duration_s=free_s, **terms)  # type: ignore[arg-type]
    if lot_id is None or _was_told(db, row):
        return lot_id
    row.late_told_at = now
    audit.record(
        db, "made good", "compute_session", session_id, by=make_good.RULES, now=now, rule=FaultRule.LATE_START.value, amount=decimal_credits(amount_ucr)
    )
    more = {"kind": FaultRule.LATE_START.value, "amount_ucr": amount_ucr, "ends_at": (now + make_good.VALID).isoformat(), "note": ""}
    write_letters(db, "compute.made_good", [session_id], now=now, more={session_id: more})
    return lot_id


def _was_told(db: Session, row: ComputeSession) -> bool:
    db.refresh(row, with_for_update=True)
    return row.late_told_at is not None
