"""Statements that were asked for as files, scoped by the person who asked."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.credits.models import StatementExport
from portal.credits.states import ExportFormat, ExportState


@dataclass(frozen=True)
class ExportView:
    """A file and how far it has come. lines: None until they are counted."""

    id: uuid.UUID
    number: int
    format: ExportFormat
    state: ExportState
    first_on: date
    last_on: date
    lines: int | None
    lines_done: int
    asked_at: datetime


def export_by_number(db: Session, wallet_id: uuid.UUID, number: int, *, actor: Actor) -> ExportView:
    """Return an export that the actor asked for. Raises NotFound."""
    row = _own(db, wallet_id, number, actor)
    return ExportView(row.id, row.number, ExportFormat(row.format), ExportState(row.state), row.first_on, row.last_on, row.lines, row.lines_done, row.asked_at)


def content_of(db: Session, wallet_id: uuid.UUID, number: int, *, actor: Actor) -> bytes:
    """Return the file. Raises NotFound while there is none."""
    content = _own(db, wallet_id, number, actor).content
    if content is None:
        raise NotFound
    return content


def _own(db: Session, wallet_id: uuid.UUID, number: int, actor: Actor) -> StatementExport:
    query = select(StatementExport).where(StatementExport.number == number, StatementExport.wallet_id == wallet_id)
    row = db.execute(query.where(StatementExport.person_id == actor.person_id)).scalar_one_or_none()
    if row is None:
        raise NotFound
    return row
