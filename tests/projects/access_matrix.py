"""Who may call the routes of projects."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.projects import relations
from tests.architecture.access_matrix import Row
from tests.factories import projects

ROWS = {
    "projects.project_list": Row("signed_in"),
    "projects.project": Row("signed_in", relation="its members; staff and finance look on", object="project"),
    "projects.leave": Row("signed_in", relation="its members, for themselves", object="project"),
}


def _project(db: Session, owner: UUID, now: datetime) -> Mapping[str, str]:
    project_id = projects.project(db, lead=owner, now=now)
    return {"slug": db.execute(select(relations.project.c.slug).where(relations.project.c.id == project_id)).scalar_one()}


OBJECTS = {"project": _project}
