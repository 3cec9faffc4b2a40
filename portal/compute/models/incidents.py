"""Faults of the hub, and the sessions that each one struck."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, PrimaryKeyConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.compute.states import INCIDENT, IncidentKind
from portal.core.database import Base, Number, PrimaryId
from portal.core.states import state_check


class Incident(Base):
    """A fault of the hub: of one node or of all (None), noticed by a rule (nobody opened it) or by staff.

    asked: who wanted it made good and how much that was then; above the limit another person decides.
    """

    __tablename__ = "incident"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    kind: Mapped[str]
    node_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("compute_node.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    note: Mapped[str]
    state: Mapped[str]
    opened_at: Mapped[datetime]
    opened_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    asked_ucr: Mapped[int | None]
    asked_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    takes_two: Mapped[bool] = mapped_column(default=False)
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))

    __table_args__ = (
        CheckConstraint(state_check(IncidentKind, "kind"), name="kind"),
        CheckConstraint(INCIDENT.check(), name="state"),
        CheckConstraint("starts_at <= ends_at", name="times"),
        CheckConstraint("(asked_by_id IS NULL) = (asked_ucr IS NULL) AND (state <> 'waiting' OR asked_by_id IS NOT NULL)", name="asked"),
        CheckConstraint("NOT takes_two OR state NOT IN ('giving', 'made_good') OR decided_by_id <> asked_by_id", name="second_person"),
        Index("ix_incident__kind", "kind", "ends_at"),
    )


class IncidentSession(Base):
    """A session that an incident struck, and what it gets. A session is made good by one incident alone."""

    __tablename__ = "incident_session"

    incident_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("incident.id"))
    session_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("compute_session.id"))
    duration_s: Mapped[int]
    amount_ucr: Mapped[int]
    late_ucr: Mapped[int]
    given_at: Mapped[datetime | None]

    __table_args__ = (
        PrimaryKeyConstraint("incident_id", "session_id"),
        UniqueConstraint("session_id"),
        CheckConstraint("duration_s >= 0 AND amount_ucr >= 0 AND late_ucr >= 0 AND amount_ucr + late_ucr > 0", name="amounts"),
        Index("ix_incident_session__waiting", "incident_id", postgresql_where=text("given_at IS NULL")),
    )
