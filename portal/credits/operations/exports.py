"""Statements written to files in the background: asked for, written with progress, kept for a week."""

import uuid
from datetime import date, datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from portal.core import jobs
from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.credits.models import StatementExport
from portal.credits.states import EXPORT, ExportFormat, ExportState

KEPT = timedelta(days=7)


def ask(
    db: Session, *, export_id: uuid.UUID, wallet_id: uuid.UUID, fmt: ExportFormat, language: str, first_on: date, last_on: date, by: Actor, now: datetime
) -> int:
    """Ask for a file and return its number."""
    row = {"id": export_id, "wallet_id": wallet_id, "person_id": by.id, "format": fmt.value, "language": language, "first_on": first_on, "last_on": last_on}
    made = insert(StatementExport).values(**row, state=ExportState.WAITING.value, lines_done=0, asked_at=now).returning(StatementExport.number)
    number = db.execute(made).scalar_one()
    jobs.enqueue(db, "credits.write_statement", export_id=str(export_id))
    return number


def begin(db: Session, export_id: uuid.UUID) -> StatementExport | None:
    """Take an export up and return it; None when it has ended."""
    row = db.execute(select(StatementExport).where(StatementExport.id == export_id).with_for_update()).scalar_one_or_none()
    if row is None:
        raise NotFound
    if ExportState(row.state) not in EXPORT.transitions["begin"].sources:
        return None
    row.state = EXPORT.target("begin", ExportState(row.state)).value
    db.flush()
    return row


def note(db: Session, export_id: uuid.UUID, *, lines: int, lines_done: int) -> None:
    """Note how far it has come."""
    db.execute(update(StatementExport).where(StatementExport.id == export_id).values(lines=lines, lines_done=lines_done))


def finish(db: Session, export_id: uuid.UUID, content: bytes, *, now: datetime) -> None:
    """Keep the file."""
    values = {"state": ExportState.DONE.value, "content": content, "ended_at": now, "lines_done": StatementExport.lines}
    db.execute(update(StatementExport).where(StatementExport.id == export_id, StatementExport.state.in_(EXPORT.sources("finish"))).values(**values))


def fail(db: Session, export_id: uuid.UUID, *, now: datetime) -> None:
    """Note that it cannot be written."""
    values = {"state": ExportState.FAILED.value, "ended_at": now}
    db.execute(update(StatementExport).where(StatementExport.id == export_id, StatementExport.state.in_(EXPORT.sources("fail"))).values(**values))


def tidy(db: Session, *, now: datetime) -> None:
    """Delete files that are a week old: what they say can be written again at any time."""
    db.execute(delete(StatementExport).where(StatementExport.ended_at < now - KEPT))
