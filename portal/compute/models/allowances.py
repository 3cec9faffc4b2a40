"""What members may take of their project's credits in a week, and what they asked for beyond it."""

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.compute.states import ASK
from portal.core.database import Base, Number, PrimaryId


class Allowance(Base):
    """A weekly allowance: of one member, or where `person_id` is NULL of every member who has none of their own."""

    __tablename__ = "compute_allowance"

    id: Mapped[PrimaryId]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("project.id"))
    person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    weekly_ucr: Mapped[int]
    set_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("weekly_ucr >= 0", name="amount"),
        Index("uq_compute_allowance__member", "project_id", "person_id", unique=True, postgresql_nulls_not_distinct=True),
    )


class AllowanceAsk(Base):
    """A member asked for more. Accepted: `given_ucr` more in the week of `week_on`, or in every week."""

    __tablename__ = "compute_allowance_ask"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("project.id"))
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    asked_ucr: Mapped[int]
    reason: Mapped[str]
    state: Mapped[str]
    asked_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    answered_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    given_ucr: Mapped[int | None]
    week_on: Mapped[date | None]
    is_lasting: Mapped[bool] = mapped_column(default=False)
    answer: Mapped[str] = mapped_column(default="")

    __table_args__ = (
        CheckConstraint(ASK.check(), name="state"),
        CheckConstraint("asked_ucr > 0 AND given_ucr > 0", name="amounts"),
        CheckConstraint("(state = 'accepted') = (given_ucr IS NOT NULL AND week_on IS NOT NULL)", name="accepted_has_amount"),
        CheckConstraint("(state = 'open') = (answered_at IS NULL)", name="answered_has_time"),
        CheckConstraint("length(reason) BETWEEN 1 AND 400 AND length(answer) <= 400", name="lengths"),
        Index("uq_compute_allowance_ask__open", "project_id", "person_id", unique=True, postgresql_where=text("state = 'open'")),
        Index("ix_compute_allowance_ask__member", "project_id", "person_id", "week_on"),
    )
