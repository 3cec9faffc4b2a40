"""Messages of the payment service: stored as they came, by their own id, before anything is done about them."""

from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from portal.core import jobs, limits
from portal.payments.models import PaymentEvent
from portal.payments.rules.messages import Event

OVERLAP = timedelta(hours=1)
DAY = timedelta(days=1)
FIRST_LOOK = timedelta(days=30)


def store(db: Session, event: Event, *, source: str, now: datetime) -> bool:
    """Store a message, enqueue its handling, and return whether it was new."""
    row = {
        "event_id": event.id,
        "kind": event.kind,
        "object_id": event.object_id,
        "payment_id": event.payment_id,
        "is_live": event.is_live,
        "source": source,
        "payload": event.payload,
        "created_at": event.created_at,
        "received_at": now,
    }
    fresh = db.execute(insert(PaymentEvent).values(**row).on_conflict_do_nothing().returning(PaymentEvent.event_id)).first() is not None
    if fresh:
        jobs.enqueue(db, "payments.handle_event", event_id=event.id)
    return fresh


def done(db: Session, event_id: str, *, problem: str | None, now: datetime) -> None:
    """Note that a message was handled, or what was in the way."""
    db.execute(update(PaymentEvent).where(PaymentEvent.event_id == event_id).values(handled_at=now, problem=problem))


def count_refused(sessions: sessionmaker[Session], why: str, *, now: datetime) -> None:
    """Count a message that was refused; nothing else of it is kept."""
    limits.hit(sessions, f"payments.refused:{why}", most=2**30, window=DAY, now=now)


def looked_until(db: Session, *, now: datetime) -> datetime:
    """Return from when on messages have to be asked for: an hour before the newest one, a month back at first."""
    latest: datetime | None = db.execute(select(func.max(PaymentEvent.created_at))).scalar_one()
    return now - FIRST_LOOK if latest is None else max(now - FIRST_LOOK, latest - OVERLAP)
