"""Members of a project come, change role and leave."""

import uuid
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, NotFound, Refused
from portal.core.ids import new_id
from portal.projects.models import Project, ProjectMember
from portal.projects.states import MemberRole


class LastLead(Refused):
    """A project keeps at least one lead."""

    text = N_("This person is the project's last lead. Name another lead first.")


def add(db: Session, *, project_id: uuid.UUID, person_id: uuid.UUID, role: MemberRole, by: Actor, now: datetime) -> None:
    """Make a person a member, or give a member another role; the same again changes nothing."""
    row = insert(ProjectMember).values(id=new_id(), project_id=project_id, person_id=person_id, role=role.value, joined_at=now)
    merged = row.on_conflict_do_update(
        index_elements=["project_id", "person_id"],
        index_where=ProjectMember.left_at.is_(None),
        set_={"role": role.value},
        where=ProjectMember.role != role.value,
    ).returning(ProjectMember.id)
    if db.execute(merged).first() is not None:
        audit.record(db, "joined", "project", project_id, by=by, now=now, person_id=str(person_id), role=role.value)


def remove(db: Session, *, project_id: uuid.UUID, person_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """End a membership. Raises NotFound for somebody who is no member, LastLead for the only lead."""
    # The project's row is the lock: two leads who leave at once would otherwise both see the other.
    db.execute(select(Project.id).where(Project.id == project_id).with_for_update())
    current = ProjectMember.project_id == project_id, ProjectMember.left_at.is_(None)
    role = db.execute(select(ProjectMember.role).where(*current, ProjectMember.person_id == person_id)).scalar_one_or_none()
    if role is None:
        raise NotFound
    leads = db.execute(select(func.count()).select_from(ProjectMember).where(*current, ProjectMember.role == MemberRole.LEAD)).scalar_one()
    if role == MemberRole.LEAD and leads == 1:
        raise LastLead
    db.execute(update(ProjectMember).where(*current, ProjectMember.person_id == person_id).values(left_at=now))
    audit.record(db, "left", "project", project_id, by=by, now=now, person_id=str(person_id))
