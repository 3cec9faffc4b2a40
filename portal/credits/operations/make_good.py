"""Making the hub's own faults good, by rule: a new lot of fourteen days, with the incident that it is for.

What was charged for the fault stays charged and visible; the lot gives it back. The fund is the hub's own.
"""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.ids import new_id
from portal.core.quantities import credits_ucr
from portal.credits.models import Fund, MakeGood
from portal.credits.operations import funds, grants, wallets
from portal.credits.states import FaultRule

VALID = timedelta(days=14)
FUND_SLUG = "make-good"
BUDGET_UCR = credits_ucr(10_000_000)
RULES = Actor.process("make-good")
# Rules that give a session's seconds back; only one of them pays it (models.ONCE_A_SESSION).
SECONDS = (FaultRule.FAILED_START, FaultRule.NODE_DEATH, FaultRule.OUTAGE)


def give(
    db: Session,
    *,
    rule: FaultRule,
    wallet_id: uuid.UUID,
    amount_ucr: int,
    duration_s: int,
    note: str,
    now: datetime,
    session_id: uuid.UUID | None = None,
    incident_id: uuid.UUID | None = None,
) -> uuid.UUID | None:
    """Give credits for a fault and return the lot; None when there is nothing to give.

    A session's seconds are made good once, whichever fault took them, and each other rule pays it once: again returns
    the first lot. Raises BadAmount, NotFound.
    """
    wallets.lock_one(db, wallet_id)
    if session_id is not None:
        known = db.execute(select(MakeGood.lot_id).where(MakeGood.session_id == session_id, _same(rule))).scalar_one_or_none()
        if known is not None:
            return known
    if amount_ucr <= 0:
        return None
    gift_id = new_id()
    lot_id = grants.give(
        db,
        grant_id=gift_id,
        wallet_id=wallet_id,
        fund_id=_fund(db, now),
        amount_ucr=amount_ucr,
        purpose=f"make_good:{rule.value}",
        classes=None,
        effective_at=now,
        expires_at=now + VALID,
        by=RULES,
        now=now,
        origin="make_good",
    )
    row = {"id": gift_id, "rule": rule.value, "wallet_id": wallet_id, "session_id": session_id, "lot_id": lot_id, "duration_s": duration_s}
    db.execute(insert(MakeGood).values(**row, incident_id=incident_id, amount_ucr=amount_ucr, note=note, recorded_at=now))
    return lot_id


def _same(rule: FaultRule) -> ColumnElement[bool]:
    return MakeGood.rule.in_(SECONDS) if rule in SECONDS else MakeGood.rule == rule.value


def _fund(db: Session, now: datetime) -> uuid.UUID:
    """Return the hub's own fund for this, opened at its first use."""
    found = db.execute(select(Fund.id).where(Fund.slug == FUND_SLUG)).scalar_one_or_none()
    if found is not None:
        return found
    return funds.open(db, slug=FUND_SLUG, name="Made good", sponsor="Tetouan AI Hub", budget_ucr=BUDGET_UCR, by=RULES, now=now)
