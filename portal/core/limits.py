"""Counters for sign-in and abuse limits, in PostgreSQL: shared by every process, and closed when they fail.

A hit is counted in a transaction of its own, so that a request that is rolled back still counts.
"""

from datetime import datetime, timedelta

from sqlalchemy import Index, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column, sessionmaker

from portal.core.database import Base, transaction
from portal.core.errors import TooMany


class LimitWindow(Base):
    """Hits of one key in one fixed window."""

    __tablename__ = "limit_window"

    key: Mapped[str] = mapped_column(primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    hits: Mapped[int]

    __table_args__ = (Index("ix_limit_window__starts_at", "starts_at"),)


def hit(sessions: sessionmaker[Session], key: str, *, most: int, window: timedelta, now: datetime) -> None:
    """Count one attempt. Raises TooMany past `most` in the current window; a database error is not caught."""
    seconds = int(window.total_seconds())
    starts_at = datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, tz=now.tzinfo)
    row = insert(LimitWindow).values(key=key, starts_at=starts_at, hits=1)
    counted = row.on_conflict_do_update(index_elements=["key", "starts_at"], set_={"hits": LimitWindow.hits + 1}).returning(LimitWindow.hits)
    with transaction(sessions) as db:
        hits = db.execute(counted).scalar_one()
    if hits > most:
        left_s = (starts_at + window - now).total_seconds()
        raise TooMany(minutes=max(1, int(-(-left_s // 60))))


def hits_since(db: Session, prefix: str, *, since: datetime) -> int:
    """Return how often keys that begin with a prefix were counted in windows that began after an instant."""
    query = select(func.coalesce(func.sum(LimitWindow.hits), 0)).where(LimitWindow.key.startswith(prefix, autoescape=True), LimitWindow.starts_at > since)
    return int(db.execute(query).scalar_one())


def forget(db: Session, *, before: datetime) -> None:
    """Delete windows that began before an instant."""
    db.execute(delete(LimitWindow).where(LimitWindow.starts_at < before))
