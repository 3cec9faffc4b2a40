"""Wallets with something ahead: one whose lot will be lost in part, and one that runs low."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.ids import new_id
from portal.core.quantities import credits_ucr
from portal.credits.operations import grants, wallets
from portal.demo import people
from portal.demo.people import Cast
from portal.projects.operations import members, projects
from portal.projects.states import MemberRole, ProjectKind

DEMO = Actor.process("demo")
DAY = timedelta(days=1)


def add_short_lot(db: Session, *, wallet_id: uuid.UUID, fund_id: uuid.UUID, now: datetime) -> None:
    """Give the founder's venture credits for a competition whose last day comes too soon for all of them."""
    given_at = now - DAY
    _give(db, wallet_id, fund_id, "Speech challenge, autumn", amount=60, given_at=given_at, expires_at=now + 12 * DAY)


def open_small_project(db: Session, cast: Cast, *, fund_id: uuid.UUID, now: datetime) -> uuid.UUID:
    """Open a trial of the second founder's with few credits, and return it: its sessions leave almost nothing."""
    founder, opened_at = cast[people.SECOND_FOUNDER], now - 12 * DAY
    project_id = projects.open(db, kind=ProjectKind.RESEARCH, name="Crocus counting, trial", by=DEMO, now=opened_at)
    members.add(db, project_id=project_id, person_id=founder.id, role=MemberRole.LEAD, by=DEMO, now=opened_at)
    wallet_id = wallets.open(db, project_id=project_id, by=DEMO, now=opened_at)
    _give(db, wallet_id, fund_id, "Small start", amount=30, given_at=opened_at, expires_at=now + 60 * DAY)
    return project_id


def _give(db: Session, wallet_id: uuid.UUID, fund_id: uuid.UUID, purpose: str, *, amount: int, given_at: datetime, expires_at: datetime) -> None:
    grants.give(
        db,
        grant_id=new_id(),
        wallet_id=wallet_id,
        fund_id=fund_id,
        amount_ucr=credits_ucr(amount),
        purpose=purpose,
        classes=None,
        effective_at=given_at,
        expires_at=expires_at,
        by=DEMO,
        now=given_at,
    )
