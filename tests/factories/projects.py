"""Projects for tests, made by the real operations."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.projects.operations import members, projects
from portal.projects.states import MemberRole, ProjectKind

TESTS = Actor.process("tests")


def project(db: Session, *, lead: UUID | None = None, name: str = "Saffron yield", kind: ProjectKind = ProjectKind.VENTURE, now: datetime) -> UUID:
    """Open a project, led by a person if one is given."""
    project_id = projects.open(db, kind=kind, name=name, by=TESTS, now=now)
    if lead is not None:
        members.add(db, project_id=project_id, person_id=lead, role=MemberRole.LEAD, by=TESTS, now=now)
    db.flush()
    return project_id
