"""The outbox: a message is queued with what it tells about, and leaves by the job `notifications.deliver`."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from portal.core import jobs
from portal.core.database import Json
from portal.core.ids import new_id
from portal.notifications.models import Message
from portal.notifications.recipients import Recipient
from portal.notifications.states import MESSAGE, MessageState

_KIND = re.compile(r"[a-z_]+\.[a-z_0-9]+")


@dataclass(frozen=True)
class Letter:
    """A queued message on its way: what the renderer and the carrier need."""

    id: uuid.UUID
    kind: str
    address: str
    language: str
    zone: str
    context: Json
    queued_at: datetime


def queue(db: Session, *, kind: str, recipient: Recipient, context: Json, now: datetime, is_secret: bool = False) -> uuid.UUID:
    """Queue a message in the session's transaction and return its id.

    kind: "domain.name", rendered from `domain/mail/name.txt`. context: JSON values for that template.
    is_secret: it carries a personal link, so context and body are forgotten once it is sent.
    """
    if not _KIND.fullmatch(kind):
        raise ValueError(kind)
    message = Message(**_row(kind, recipient, context, now=now, is_secret=is_secret))
    db.add(message)
    db.flush()
    jobs.enqueue(db, "notifications.deliver", message_id=str(message.id), lock=f"message:{message.id}")
    return message.id


def queue_each(db: Session, *, kind: str, letters: Sequence[tuple[Recipient, Json]], now: datetime) -> None:
    """Queue a message for each of many recipients, with its own context; two statements, whatever their number."""
    if not _KIND.fullmatch(kind):
        raise ValueError(kind)
    rows = [_row(kind, recipient, context, now=now, is_secret=False) for recipient, context in letters]
    if rows:
        db.execute(insert(Message), rows)
        jobs.enqueue_each(db, "notifications.deliver", [jobs.Call({"message_id": str(row["id"])}, lock=f"message:{row['id']}") for row in rows])


def _row(kind: str, recipient: Recipient, context: Json, *, now: datetime, is_secret: bool) -> dict[str, Any]:
    return {
        "id": new_id(),
        "kind": kind,
        "recipient_id": recipient.id,
        "address": recipient.address,
        "language": recipient.language,
        "zone": recipient.zone,
        "context": context,
        "is_secret": is_secret,
        "state": MessageState.QUEUED.value,
        "attempts": 0,
        "queued_at": now,
    }


def take(db: Session, message_id: uuid.UUID) -> Letter | None:
    """Count an attempt and return the letter, None when it has left already."""
    columns: tuple[Any, ...] = (Message.id, Message.kind, Message.address, Message.language, Message.zone, Message.context, Message.queued_at)
    waiting = update(Message).where(Message.id == message_id, Message.state.in_(MESSAGE.sources("send"))).values(attempts=Message.attempts + 1)
    row = db.execute(waiting.returning(*columns)).one_or_none()
    return Letter(*row) if row is not None else None


def sent(db: Session, message_id: uuid.UUID, *, subject: str, body: str, now: datetime) -> None:
    """Note that the mail server took a message; keep its text unless it carried a personal link."""
    is_secret = db.execute(select(Message.is_secret).where(Message.id == message_id)).scalar_one()
    kept: dict[str, object] = {"subject": subject, "body": None, "context": {}} if is_secret else {"subject": subject, "body": body}
    _leave(db, message_id, "send", sent_at=now, **kept)


def give_up(db: Session, message_id: uuid.UUID) -> None:
    """Note that a message cannot be delivered; its text is kept unless it carried a personal link."""
    _leave(db, message_id, "give_up")


def _leave(db: Session, message_id: uuid.UUID, transition: str, **values: object) -> None:
    target = MESSAGE.transitions[transition].target.value
    db.execute(update(Message).where(Message.id == message_id, Message.state.in_(MESSAGE.sources(transition))).values(state=target, **values))
