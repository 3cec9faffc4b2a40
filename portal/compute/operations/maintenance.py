"""What an operator does to all sessions at once."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.compute.models import ComputeSession
from portal.compute.operations import sessions
from portal.compute.states import LIVE, StopCause
from portal.core.access import Actor


def stop_all(db: Session, *, by: Actor, now: datetime) -> int:
    """Ask for the end of every live session; return how many there were."""
    query = select(ComputeSession).where(ComputeSession.state.in_(LIVE)).order_by(ComputeSession.id)
    rows = db.execute(query.with_for_update()).scalars().all()
    sessions.stop_rows(db, rows, by=by, now=now, cause=StopCause.STAFF)
    return len(rows)


def count_live(db: Session) -> int:
    """Return how many sessions have not ended."""
    return db.execute(select(func.count()).select_from(ComputeSession).where(ComputeSession.state.in_(LIVE))).scalar_one()
