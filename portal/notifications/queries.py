"""Reads of messages, scoped by whose they are."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.notifications.models import Message
from portal.notifications.states import MessageState


@dataclass(frozen=True)
class MessageRow:
    """A message as lists and its own page show it; `body` is None while it waits, or when it carried a personal link."""

    id: uuid.UUID
    kind: str
    address: str
    language: str
    is_secret: bool
    state: MessageState
    queued_at: datetime
    sent_at: datetime | None
    subject: str | None
    body: str | None


_COLUMNS: tuple[Any, ...] = (
    Message.id,
    Message.kind,
    Message.address,
    Message.language,
    Message.is_secret,
    Message.state,
    Message.queued_at,
    Message.sent_at,
    Message.subject,
    Message.body,
)


def _select() -> Select[Any]:
    return select(*_COLUMNS)


def _row(row: Sequence[Any]) -> MessageRow:
    message_id, kind, address, language, is_secret, state, queued_at, sent_at, subject, body = row
    return MessageRow(message_id, kind, address, language, is_secret, MessageState(state), queued_at, sent_at, subject, body)


def messages_of(db: Session, person_id: uuid.UUID, *, mark: str | None) -> Page[MessageRow]:
    """Return one page of a person's delivered messages, newest first."""
    query = _select().where(Message.recipient_id == person_id, Message.state == MessageState.SENT.value)
    return page_of(db, query, Message.id, mark=mark).map(_row)


def message_of(db: Session, person_id: uuid.UUID, message_id: uuid.UUID) -> MessageRow:
    """Return one of a person's delivered messages. Raises NotFound."""
    return _one(db, _select().where(Message.id == message_id, Message.recipient_id == person_id, Message.state == MessageState.SENT.value))


def all_messages(db: Session, *, mark: str | None) -> Page[MessageRow]:
    """Return one page of all messages, newest first; for the page of the development."""
    return page_of(db, _select(), Message.id, mark=mark).map(_row)


def any_message(db: Session, message_id: uuid.UUID) -> MessageRow:
    """Return any message; for the page of the development. Raises NotFound."""
    return _one(db, _select().where(Message.id == message_id))


def _one(db: Session, query: Select[Any]) -> MessageRow:
    row = db.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return _row(row)
