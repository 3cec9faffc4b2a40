"""Once-tokens: a form carries a random token, and its effect happens once however often the button is pressed.

The token's row is written in the transaction of the effect, so a second request waits for the first, then gets
the first's answer. A refused or failed request rolls its token back and may be tried again.
"""

import uuid
from datetime import datetime

from sqlalchemy import Index, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.core.database import Base
from portal.core.ids import digest


class OnceToken(Base):
    """A form that has had its effect, and where its answer led."""

    __tablename__ = "once_token"

    token_digest: Mapped[str] = mapped_column(primary_key=True)
    actor_id: Mapped[uuid.UUID | None]
    location: Mapped[str | None]
    used_at: Mapped[datetime]

    __table_args__ = (Index("ix_once_token__used_at", "used_at"),)


def claim(db: Session, token: str, *, actor_id: uuid.UUID | None, now: datetime) -> bool:
    """Return whether this request is the token's first; waits while another one holds it."""
    row = insert(OnceToken).values(token_digest=digest(token), actor_id=actor_id, used_at=now)
    return db.execute(row.on_conflict_do_nothing().returning(OnceToken.used_at)).first() is not None


def answer(db: Session, token: str, location: str) -> None:
    """Keep where the first request's answer leads."""
    db.execute(update(OnceToken).where(OnceToken.token_digest == digest(token)).values(location=location))


def location_of(db: Session, token: str, *, actor_id: uuid.UUID | None) -> str | None:
    """Return where the first request's answer led, for the same actor alone."""
    query = select(OnceToken.location).where(OnceToken.token_digest == digest(token), OnceToken.actor_id.is_not_distinct_from(actor_id))
    return db.execute(query).scalar_one_or_none()


def forget(db: Session, *, before: datetime) -> None:
    """Delete tokens used before an instant: older pages are refused by their expired CSRF token."""
    db.execute(delete(OnceToken).where(OnceToken.used_at < before))
