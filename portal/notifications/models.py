"""The outbox; private to the domain."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Base, Json, PrimaryId
from portal.notifications.states import MESSAGE, MessageState


class Message(Base):
    """One message to one recipient; `subject` and `body` are filled by its rendering."""

    __tablename__ = "message"

    id: Mapped[PrimaryId]
    kind: Mapped[str]
    recipient_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    address: Mapped[str]
    language: Mapped[str]
    zone: Mapped[str]
    context: Mapped[Json]
    is_secret: Mapped[bool]
    state: Mapped[str] = mapped_column(default=MessageState.QUEUED.value)
    attempts: Mapped[int] = mapped_column(default=0)
    queued_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    subject: Mapped[str | None]
    body: Mapped[str | None]

    __table_args__ = (
        CheckConstraint(MESSAGE.check(), name="state"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent"),
        CheckConstraint("attempts >= 0", name="attempts"),
        CheckConstraint("position(chr(10) in address) = 0 AND position(chr(13) in address) = 0", name="address"),
        Index("ix_message__recipient_id", "recipient_id", "id"),
    )
