"""Tables of incubation; private to the domain. Constraints and triggers are in migration 0008."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, PrimaryKeyConstraint, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Base, Json, Number, PrimaryId
from portal.core.states import state_check
from portal.incubation.states import ApplicationState, AssignmentState, CallState, ConflictKind, Outcome, VentureState


class Programme(Base):
    """What calls belong to: "Incubation"."""

    __tablename__ = "programme"

    id: Mapped[PrimaryId]
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[dict[str, str]]
    created_at: Mapped[datetime]


class FormVersion(Base):
    """Typed questions (`rules.questions`); never changes."""

    __tablename__ = "form_version"

    id: Mapped[PrimaryId]
    programme_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("programme.id"))
    number: Mapped[int]
    definition: Mapped[Json]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("programme_id", "number"),)


class RubricVersion(Base):
    """Criteria with weights and anchors (`rules.scores`); never changes."""

    __tablename__ = "rubric_version"

    id: Mapped[PrimaryId]
    programme_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("programme.id"))
    number: Mapped[int]
    definition: Mapped[Json]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("programme_id", "number"),)


class ProgramCall(Base):
    """A call for applications, open from `opens_at` until `closes_at`, end exclusive."""

    __tablename__ = "program_call"

    id: Mapped[PrimaryId]
    slug: Mapped[str] = mapped_column(unique=True)
    programme_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("programme.id"))
    title: Mapped[dict[str, str]]
    intro: Mapped[dict[str, str]]
    opens_at: Mapped[datetime]
    closes_at: Mapped[datetime]
    reviews_due_at: Mapped[datetime]
    zone: Mapped[str]
    form_version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("form_version.id"))
    rubric_version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("rubric_version.id"))
    seats: Mapped[int]
    reviews_needed: Mapped[int]
    budget_ucr: Mapped[int]
    fund_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("fund.id"))
    credits_valid_days: Mapped[int]
    state: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(state_check(CallState, "state"), name="state"),
        CheckConstraint("opens_at < closes_at AND closes_at <= reviews_due_at", name="dates"),
        CheckConstraint("seats > 0 AND budget_ucr >= 0 AND reviews_needed >= 0 AND credits_valid_days > 0", name="numbers"),
        Index("ix_program_call__state_closes_at", "state", "closes_at"),
    )


class ProgramApplication(Base):
    """One person's application to a call. `revision` counts every change of an answer."""

    __tablename__ = "program_application"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("program_call.id"))
    lead_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    form_version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("form_version.id"))
    title: Mapped[str]
    state: Mapped[str]
    revision: Mapped[int]
    asked_ucr: Mapped[int | None]
    receipt_hash: Mapped[str | None]
    started_at: Mapped[datetime]
    saved_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(state_check(ApplicationState, "state"), name="state"),
        CheckConstraint("state IN ('draft', 'withdrawn') OR submitted_at IS NOT NULL", name="submitted_has_time"),
        CheckConstraint("(submitted_at IS NULL) = (receipt_hash IS NULL)", name="submitted_has_receipt"),
        CheckConstraint("(state = 'withdrawn') = (withdrawn_at IS NOT NULL)", name="withdrawn_has_time"),
        CheckConstraint("asked_ucr >= 0", name="asked"),
        Index("uq_program_application__one_per_person", "call_id", "lead_id", unique=True, postgresql_where=text("state <> 'withdrawn'")),
        # The staff's list: by state, and all of them; both read in the page's order, drafts left out.
        Index("ix_program_application__call_state", "call_id", "state", "id", postgresql_where=text("submitted_at IS NOT NULL")),
        Index("ix_program_application__call_submitted", "call_id", "id", postgresql_where=text("submitted_at IS NOT NULL")),
        Index("ix_program_application__lead", "lead_id", "id"),
    )


class ApplicationAnswer(Base):
    """One answer of a draft, as it was typed; `revision` and `page` say which save it comes from."""

    __tablename__ = "application_answer"

    application_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("program_application.id"))
    key: Mapped[str]
    value: Mapped[Any] = mapped_column(JSONB)
    revision: Mapped[int]
    page: Mapped[str]
    saved_at: Mapped[datetime]

    __table_args__ = (PrimaryKeyConstraint("application_id", "key"),)


class ApplicationRevision(Base):
    """What was submitted, whole; never changes."""

    __tablename__ = "application_revision"

    id: Mapped[PrimaryId]
    application_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("program_application.id"))
    revision: Mapped[int]
    content: Mapped[Json]
    content_hash: Mapped[str]
    submitted_at: Mapped[datetime]
    submitted_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))

    __table_args__ = (UniqueConstraint("application_id", "revision"),)


class ReviewConflict(Base):
    """A person who must not see an application; never changes."""

    __tablename__ = "review_conflict"

    id: Mapped[PrimaryId]
    application_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("program_application.id"))
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str]
    reason: Mapped[str]
    declared_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(state_check(ConflictKind, "kind"), name="kind"),
        UniqueConstraint("application_id", "person_id"),
        Index("ix_review_conflict__person", "person_id", "application_id"),
    )


class ReviewAssignment(Base):
    """One reviewer's work on one submitted revision."""

    __tablename__ = "review_assignment"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    application_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("program_application.id"))
    application_revision_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("application_revision.id"))
    reviewer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    state: Mapped[str]
    assigned_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(state_check(AssignmentState, "state"), name="state"),
        UniqueConstraint("application_id", "reviewer_id"),
        Index("ix_review_assignment__reviewer", "reviewer_id", "id"),
    )


class Review(Base):
    """What a reviewer writes; `revision` counts the saves. It never changes once `submitted_at` is set."""

    __tablename__ = "review"

    id: Mapped[PrimaryId]
    assignment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("review_assignment.id"), unique=True)
    revision: Mapped[int]
    saved_at: Mapped[datetime | None]
    submitted_at: Mapped[datetime | None]


class ReviewAnswer(Base):
    """A score of a criterion, or a comment. A score that was not given has no row, or neither value."""

    __tablename__ = "review_answer"

    review_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("review.id"))
    key: Mapped[str]
    score: Mapped[int | None]
    comment: Mapped[str | None]
    revision: Mapped[int]
    page: Mapped[str]

    __table_args__ = (
        PrimaryKeyConstraint("review_id", "key"),
        CheckConstraint("score BETWEEN 1 AND 10", name="score"),
        CheckConstraint("num_nonnulls(score, comment) <= 1", name="one_value"),
    )


class Decision(Base):
    """What the programme answers. Prepared, then released once; a released decision never changes."""

    __tablename__ = "decision"

    id: Mapped[PrimaryId]
    application_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("program_application.id"))
    outcome: Mapped[str]
    reason: Mapped[str]
    venture_name: Mapped[str]
    credits_expire_at: Mapped[datetime | None]
    prepared_at: Mapped[datetime]
    prepared_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    released_at: Mapped[datetime | None]
    released_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))

    __table_args__ = (
        CheckConstraint(state_check(Outcome, "outcome"), name="outcome"),
        CheckConstraint("(released_at IS NULL) = (released_by IS NULL)", name="released_by"),
        CheckConstraint("length(reason) > 0", name="reason"),
        Index("uq_decision__one_prepared", "application_id", unique=True, postgresql_where=text("released_at IS NULL")),
        Index("ix_decision__application", "application_id", "id"),
    )


class AwardLine(Base):
    """What was asked, what is awarded, and why the two differ. Thin: one line, the GPU credits."""

    __tablename__ = "award_line"

    id: Mapped[PrimaryId]
    decision_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("decision.id", ondelete="CASCADE"))
    position: Mapped[int]
    asked_ucr: Mapped[int]
    awarded_ucr: Mapped[int]
    why: Mapped[str]

    __table_args__ = (
        UniqueConstraint("decision_id", "position"),
        CheckConstraint("0 <= awarded_ucr AND awarded_ucr <= asked_ucr", name="within_asked"),
        CheckConstraint("awarded_ucr = asked_ucr OR length(why) > 0", name="cut_has_reason"),
    )


class Venture(Base):
    """An admitted application: its project, and through it its wallet and members."""

    __tablename__ = "venture"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    name: Mapped[str]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("project.id"), unique=True)
    application_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("program_application.id"), unique=True)
    decision_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("decision.id"), unique=True)
    state: Mapped[str]
    admitted_at: Mapped[datetime]

    __table_args__ = (CheckConstraint(state_check(VentureState, "state"), name="state"),)
