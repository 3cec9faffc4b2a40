"""Funds, wallets and lots for tests, made by the real operations."""

import uuid
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.ids import new_id
from portal.core.quantities import credits_ucr
from portal.credits.operations import funds, grants, meters, wallets
from portal.projects.operations import projects
from portal.projects.states import ProjectKind

TESTS = Actor.process("tests")
_numbers = count(1)


def fund(db: Session, *, now: datetime, budget_ucr: int = credits_ucr(1_000_000), slug: str | None = None) -> uuid.UUID:
    """Open a fund."""
    return funds.open(
        db, slug=slug or f"fund-{next(_numbers)}", name="Green compute fund", sponsor="Region of Tetouan", budget_ucr=budget_ucr, by=TESTS, now=now
    )


def wallet(db: Session, *, now: datetime, name: str = "Darija speech") -> uuid.UUID:
    """Open a venture's project with its wallet."""
    project_id = projects.open(db, kind=ProjectKind.VENTURE, name=name, by=TESTS, now=now)
    return wallets.open(db, project_id=project_id, by=TESTS, now=now)


def lot(
    db: Session,
    wallet_id: uuid.UUID,
    *,
    now: datetime,
    amount_ucr: int = credits_ucr(100),
    fund_id: uuid.UUID | None = None,
    classes: frozenset[str] | None = None,
    days: float = 30,
    effective_at: datetime | None = None,
    expires_at: datetime | None = None,
    priority: int = 100,
) -> uuid.UUID:
    """Give a grant."""
    return grants.give(
        db,
        grant_id=new_id(),
        wallet_id=wallet_id,
        fund_id=fund_id or fund(db, now=now),
        amount_ucr=amount_ucr,
        purpose="Incubation tranche 1",
        classes=classes,
        effective_at=effective_at or now,
        expires_at=expires_at or now + timedelta(days=days),
        priority=priority,
        by=TESTS,
        now=now,
    )


def meter(
    db: Session,
    wallet_id: uuid.UUID,
    *,
    now: datetime,
    rate_ucr_per_hour: int = credits_ucr(4),
    started: bool = True,
    session_id: uuid.UUID | None = None,
    charge_class: str = "h100-slice-10",
    limit_s: int | None = None,
) -> uuid.UUID:
    """Authorise a session, and let its process start at once; return the session's id."""
    session_id = session_id or new_id()
    meters.authorise(
        db,
        session_id=session_id,
        generation=1,
        wallet_id=wallet_id,
        charge_class=charge_class,
        rate_ucr_per_hour=rate_ucr_per_hour,
        label="Tokeniser training",
        by=TESTS,
        now=now,
        limit_s=limit_s,
    )
    if started:
        meters.start(db, session_id=session_id, generation=1, started_at=now, now=now)
    return session_id


def proven(session_id: uuid.UUID, *, started_at: datetime, proven_s: int, generation: int = 1) -> meters.Proven:
    """Return evidence that a session ran for some seconds."""
    return meters.Proven(session_id, generation, started_at, proven_s, started_at + timedelta(seconds=proven_s))
