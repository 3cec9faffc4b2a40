"""Reads of projects, scoped by actor."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.identity import relations as identity
from portal.projects import relations
from portal.projects.permissions import HOLDERS, Permission
from portal.projects.states import MemberRole, ProjectKind


@dataclass(frozen=True)
class ProjectCard:
    """A project as somebody sees it; `role` is theirs, None for staff who look on."""

    id: uuid.UUID
    number: int
    slug: str
    kind: ProjectKind
    name: str
    is_open: bool
    role: MemberRole | None

    @property
    def is_learner(self) -> bool:
        """Return whether this is a course's project seen by a learner: its wallet and the other learners are not theirs to see."""
        return self.role is MemberRole.LEARNER


@dataclass(frozen=True)
class MemberRow:
    """A current member."""

    person_id: uuid.UUID
    display_name: str
    role: MemberRole
    joined_at: datetime


def _visible(actor: Actor) -> Select[tuple[uuid.UUID, int, str, str, str, bool, str | None]]:
    """Select the projects that an actor may see, with the actor's own role."""
    project, member = relations.project.c, relations.member.c
    own = and_(member.project_id == project.id, member.person_id == actor.person_id)
    query = select(project.id, project.number, project.slug, project.kind, project.name, project.is_open, member.role)
    joined = query.join_from(relations.project, relations.member, own, isouter=True)
    return joined if actor.has(*HOLDERS[Permission.SEE_ALL_PROJECTS]) else joined.where(member.role.is_not(None))


def _card(row: Any) -> ProjectCard:
    role = MemberRole(row.role) if row.role else None
    return ProjectCard(row.id, row.number, row.slug, ProjectKind(row.kind), row.name, row.is_open, role)


def project_by_slug(db: Session, slug: str, *, actor: Actor) -> ProjectCard:
    """Return a project that the actor may see. Raises NotFound."""
    row = db.execute(_visible(actor).where(relations.project.c.slug == slug)).one_or_none()
    if row is None:
        raise NotFound
    return _card(row)


def project_by_id(db: Session, project_id: uuid.UUID, *, actor: Actor) -> ProjectCard:
    """Return a project that the actor may see. Raises NotFound."""
    row = db.execute(_visible(actor).where(relations.project.c.id == project_id)).one_or_none()
    if row is None:
        raise NotFound
    return _card(row)


def projects_of(db: Session, person_id: uuid.UUID, *, roles: frozenset[MemberRole] = frozenset(MemberRole)) -> list[ProjectCard]:
    """Return the open projects that a person is a current member of, in any of the roles, oldest first."""
    project, member = relations.project.c, relations.member.c
    query = (
        select(project.id, project.number, project.slug, project.kind, project.name, project.is_open, member.role)
        .join_from(relations.project, relations.member, member.project_id == project.id)
        .where(member.person_id == person_id, member.role.in_([role.value for role in roles]), project.is_open)
        .order_by(project.number)
        .limit(200)
    )
    return [_card(row) for row in db.execute(query)]


def page_of_projects(db: Session, actor: Actor, *, mark: str | None) -> Page[ProjectCard]:
    """Return one page of the projects that an actor may see, newest first."""
    return page_of(db, _visible(actor), relations.project.c.id, mark=mark).map(_card)


def require_member(db: Session, project_id: uuid.UUID, actor: Actor, *roles: MemberRole) -> MemberRole:
    """Return the actor's role in a project. Raises NotFound unless it is one of `roles` (any, when none are named)."""
    member = relations.member.c
    query = select(member.role).where(member.project_id == project_id, member.person_id == actor.person_id)
    role = db.execute(query).scalar_one_or_none()
    if role is None or (roles and role not in roles):
        raise NotFound
    return MemberRole(role)


def page_of_members(db: Session, project: ProjectCard, *, actor: Actor, mark: str | None) -> Page[MemberRow]:
    """Return one page of a project's current members, by person; a learner sees its leads and themselves."""
    member, person = relations.member.c, identity.person.c
    query = (
        select(person.id.label("id"), person.display_name, member.role, member.joined_at)
        .join_from(relations.member, identity.person, person.id == member.person_id)
        .where(member.project_id == project.id)
    )
    if project.is_learner:
        query = query.where(or_(member.role == MemberRole.LEAD.value, person.id == actor.id))
    page = page_of(db, query, person.id, mark=mark, is_newest_first=False)
    return page.map(lambda row: MemberRow(row.id, row.display_name, MemberRole(row.role), row.joined_at))


def count_members(db: Session, project_id: uuid.UUID) -> int:
    """Return how many current members a project has."""
    return db.execute(select(func.count()).select_from(relations.member).where(relations.member.c.project_id == project_id)).scalar_one()
