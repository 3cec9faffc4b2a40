"""What happened, written by a lower domain in its transaction, for domains above it to react to.

`desk/reactions.py` is the one table that says which jobs a fact enqueues. There are no signals.
"""

from datetime import datetime

from sqlalchemy.orm import Mapped, Session

from portal.core import jobs
from portal.core.database import Base, Json, PrimaryId
from portal.core.ids import new_id


class Fact(Base):
    """One thing that happened. A trigger refuses UPDATE and DELETE (migration 0001)."""

    __tablename__ = "fact"

    id: Mapped[PrimaryId]
    name: Mapped[str]
    subject_id: Mapped[str]
    payload: Mapped[Json]
    written_at: Mapped[datetime]


def write(db: Session, name: str, subject_id: object, *, now: datetime, **payload: object) -> None:
    """Write a fact, named "domain.what_happened", and enqueue the reactions to it in the same transaction."""
    fact = Fact(id=new_id(), name=name, subject_id=str(subject_id), payload=payload, written_at=now)
    db.add(fact)
    db.flush()
    jobs.enqueue(db, "desk.react", fact_id=str(fact.id))
