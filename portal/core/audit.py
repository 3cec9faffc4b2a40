"""Who did what, when, to what: one append-only row in the transaction of the change itself."""

import uuid
from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, Session

from portal.core.access import Actor
from portal.core.database import Base, Json, PrimaryId
from portal.core.ids import new_id


class AuditEvent(Base):
    """One act. A trigger refuses UPDATE and DELETE (migration 0001)."""

    __tablename__ = "audit_event"

    id: Mapped[PrimaryId]
    happened_at: Mapped[datetime]
    actor_id: Mapped[uuid.UUID | None]
    actor_label: Mapped[str]
    action: Mapped[str]
    subject_kind: Mapped[str]
    subject_id: Mapped[str]
    details: Mapped[Json]

    __table_args__ = (
        Index("ix_audit_event__subject", "subject_kind", "subject_id", "id"),
        Index("ix_audit_event__actor", "actor_id", "id"),
    )


def record(db: Session, action: str, subject_kind: str, subject_id: object, *, by: Actor, now: datetime, **details: object) -> None:
    """Write that `by` did `action` (a past participle: "submitted") to a subject; details are JSON values."""
    db.add(
        AuditEvent(
            id=new_id(),
            happened_at=now,
            actor_id=by.person_id,
            actor_label=by.label,
            action=action,
            subject_kind=subject_kind,
            subject_id=str(subject_id),
            details=details,
        )
    )
