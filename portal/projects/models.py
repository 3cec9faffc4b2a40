"""Tables of projects; private to the domain."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Base, Number, PrimaryId
from portal.core.states import state_check
from portal.projects.states import MemberRole, ProjectKind


class Project(Base):
    """One project."""

    __tablename__ = "project"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    slug: Mapped[str] = mapped_column(Computed("'p-' || number", persisted=True), unique=True)
    kind: Mapped[str]
    name: Mapped[str]
    is_open: Mapped[bool] = mapped_column(default=True)
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(state_check(ProjectKind, "kind"), name="kind"),
        CheckConstraint("is_open = (closed_at IS NULL)", name="closed_has_time"),
        CheckConstraint("length(name) BETWEEN 1 AND 200", name="name_length"),
    )


class ProjectMember(Base):
    """A person in a project, from `joined_at` until `left_at`."""

    __tablename__ = "project_member"

    id: Mapped[PrimaryId]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("project.id"))
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    role: Mapped[str]
    joined_at: Mapped[datetime]
    left_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(state_check(MemberRole, "role"), name="role"),
        Index("uq_project_member__current", "project_id", "person_id", unique=True, postgresql_where=text("left_at IS NULL")),
        Index("ix_project_member__person", "person_id", "project_id", postgresql_where=text("left_at IS NULL")),
    )
