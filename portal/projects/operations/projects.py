"""Open and close projects."""

import uuid
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict
from portal.core.ids import new_id
from portal.projects.models import Project
from portal.projects.states import ProjectKind


class AlreadyClosed(Conflict):
    """The project was closed before."""

    text = N_("This project is already closed.")


def open(db: Session, *, kind: ProjectKind, name: str, by: Actor, now: datetime) -> uuid.UUID:  # noqa: A001 -- projects.open reads as what it does
    """Open a project and return its id."""
    project = Project(id=new_id(), kind=kind.value, name=name.strip()[:200], opened_at=now, is_open=True)
    db.add(project)
    db.flush()
    audit.record(db, "opened", "project", project.id, by=by, now=now, kind=kind.value, name=project.name)
    return project.id


def close(db: Session, *, project_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Close a project: nothing can be launched or paid from it any more. Raises AlreadyClosed."""
    closed = update(Project).where(Project.id == project_id, Project.is_open).values(is_open=False, closed_at=now).returning(Project.id)
    if db.execute(closed).first() is None:
        raise AlreadyClosed
    audit.record(db, "closed", "project", project_id, by=by, now=now)
