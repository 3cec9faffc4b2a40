"""Tables of learning; private to the domain."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Base, Number, PrimaryId
from portal.learning.states import ENROLMENT


class CourseRun(Base):
    """A course given from one day to another. `title` and `course_revision` are what they were when it was opened."""

    __tablename__ = "course_run"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    slug: Mapped[str] = mapped_column(Computed("'r-' || number", persisted=True), unique=True)
    course_id: Mapped[uuid.UUID]
    course_revision: Mapped[str]
    title: Mapped[dict[str, str]]
    language: Mapped[str]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("project.id"), unique=True)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    capacity: Mapped[int]
    is_open: Mapped[bool] = mapped_column(default=True)
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="interval"),
        CheckConstraint("capacity BETWEEN 1 AND 10000", name="capacity"),
        CheckConstraint("language IN ('en', 'fr', 'ar')", name="language"),
        CheckConstraint("is_open = (closed_at IS NULL)", name="closed_has_time"),
        Index("ix_course_run__course", "course_id", "starts_at"),
    )


class Enrolment(Base):
    """A person in a run. Whoever leaves and comes back keeps the same row and what they had read."""

    __tablename__ = "enrolment"

    id: Mapped[PrimaryId]
    run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("course_run.id"))
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    state: Mapped[str]
    joined_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(ENROLMENT.check(), name="state"),
        CheckConstraint("(state = 'left') = (left_at IS NOT NULL)", name="left_has_time"),
        CheckConstraint("(state = 'completed') = (completed_at IS NOT NULL)", name="completed_has_time"),
        UniqueConstraint("run_id", "person_id"),
        Index("ix_enrolment__person", "person_id", "id"),
        Index("ix_enrolment__run", "run_id", "id"),
    )


class LessonVisit(Base):
    """What somebody read of a lesson. `revision` is the course's when they finished it."""

    __tablename__ = "lesson_visit"

    enrolment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("enrolment.id"), primary_key=True)
    lesson: Mapped[str] = mapped_column(primary_key=True)
    first_read_at: Mapped[datetime]
    last_read_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    revision: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("last_read_at >= first_read_at", name="order"),
        CheckConstraint("(finished_at IS NULL) = (revision IS NULL)", name="finished_has_revision"),
    )


class LabLaunch(Base):
    """A compute session that somebody opened for a lab."""

    __tablename__ = "lab_launch"

    session_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("compute_session.id"), primary_key=True)
    enrolment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("enrolment.id"))
    lab: Mapped[str]
    language: Mapped[str]
    revision: Mapped[str]
    launched_at: Mapped[datetime]

    __table_args__ = (Index("ix_lab_launch__enrolment", "enrolment_id", "lab", "session_id"),)
