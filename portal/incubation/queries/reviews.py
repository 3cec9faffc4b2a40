"""A reviewer's reads: what is assigned to them and not hidden by a conflict."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session, aliased

from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.identity import relations as identity
from portal.incubation.models import ApplicationRevision, ProgramApplication, ProgramCall, Review, ReviewAnswer, ReviewAssignment, ReviewConflict
from portal.incubation.states import ApplicationState, AssignmentState

_ENDED = (ApplicationState.WITHDRAWN.value,)


@dataclass(frozen=True)
class ReviewRow:
    """A line of "my reviews"."""

    number: int
    state: AssignmentState
    application_number: int
    title: str
    call: dict[str, str]
    due_at: datetime
    scored: int


@dataclass(frozen=True)
class ReviewCard:
    """One review with the application that it is about, as its reviewer sees it."""

    number: int
    state: AssignmentState
    review_id: uuid.UUID
    revision: int
    saved_at: datetime | None
    submitted_at: datetime | None
    application_id: uuid.UUID
    application_number: int
    application_revision: int
    application_state: ApplicationState
    title: str
    form_version_id: uuid.UUID
    rubric_version_id: uuid.UUID
    content: dict[str, Any]
    applicant: str
    call: dict[str, str]
    due_at: datetime

    @property
    def is_open(self) -> bool:
        """Return whether the reviewer may still write."""
        return self.state is AssignmentState.ASSIGNED and self.application_state is ApplicationState.IN_REVIEW


def shares_organisation(one: ColumnElement[uuid.UUID], other: ColumnElement[uuid.UUID]) -> ColumnElement[bool]:
    """Return the condition that two people are members of one organisation."""
    mine, theirs = aliased(identity.membership, name="mine"), aliased(identity.membership, name="theirs")
    return exists(select(mine.c.person_id).where(mine.c.person_id == one, theirs.c.person_id == other, mine.c.organisation_id == theirs.c.organisation_id))


def hidden_from(person_id: uuid.UUID | ColumnElement[uuid.UUID] | None) -> Select[uuid.UUID]:
    """Select the applications that a person declared a conflict with."""
    return select(ReviewConflict.application_id).where(ReviewConflict.person_id == person_id)


def _mine(actor: Actor) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of what the actor may review: assigned, no conflict, neither own nor of the same organisation."""
    return (
        ReviewAssignment.reviewer_id == actor.id,
        ReviewAssignment.state != AssignmentState.DECLINED.value,
        ProgramApplication.state.not_in(_ENDED),
        ProgramApplication.lead_id != actor.id,
        ProgramApplication.id.not_in(hidden_from(actor.id)),
        ~shares_organisation(ReviewAssignment.reviewer_id.expression, ProgramApplication.lead_id.expression),
    )


def _rows(actor: Actor) -> Select[Any]:
    scored = select(func.count(ReviewAnswer.score)).where(ReviewAnswer.review_id == Review.id).scalar_subquery()
    return (
        select(
            ReviewAssignment.id,
            ReviewAssignment.number,
            ReviewAssignment.state,
            ProgramApplication.number.label("application_number"),
            ProgramApplication.title,
            ProgramCall.title.label("call"),
            ProgramCall.reviews_due_at,
            scored.label("scored"),
        )
        .join(ProgramApplication, ProgramApplication.id == ReviewAssignment.application_id)
        .join(ProgramCall, ProgramCall.id == ProgramApplication.call_id)
        .join(Review, Review.assignment_id == ReviewAssignment.id)
        .where(*_mine(actor))
    )


def _row(row: Any) -> ReviewRow:
    return ReviewRow(row.number, AssignmentState(row.state), row.application_number, row.title, row.call, row.reviews_due_at, row.scored)


def page_of_reviews(db: Session, *, actor: Actor, mark: str | None) -> Page[ReviewRow]:
    """Return one page of the actor's reviews, newest first."""
    return page_of(db, _rows(actor), ReviewAssignment.id, mark=mark).map(_row)


def reviews_waiting(db: Session, *, actor: Actor) -> list[ReviewRow]:
    """Return the reviews that the actor has still to send, the soonest due first; for the home page."""
    waiting = ReviewAssignment.state == AssignmentState.ASSIGNED.value, ProgramApplication.state == ApplicationState.IN_REVIEW.value
    query = _rows(actor).where(*waiting).order_by(ProgramCall.reviews_due_at, ReviewAssignment.id).limit(20)
    return [_row(row) for row in db.execute(query)]


def review_by_number(db: Session, number: int, *, actor: Actor) -> ReviewCard:
    """Return one of the actor's reviews. Raises NotFound, also once a conflict hides it."""
    person = identity.person.c
    query = (
        select(
            ReviewAssignment.number,
            ReviewAssignment.state,
            Review.id.label("review_id"),
            Review.revision,
            Review.saved_at,
            Review.submitted_at,
            ProgramApplication.id.label("application_id"),
            ProgramApplication.number.label("application_number"),
            ApplicationRevision.revision.label("application_revision"),
            ProgramApplication.state.label("application_state"),
            ProgramApplication.title,
            ProgramApplication.form_version_id,
            ProgramCall.rubric_version_id,
            ApplicationRevision.content,
            person.display_name,
            ProgramCall.title.label("call"),
            ProgramCall.reviews_due_at,
        )
        .join(ProgramApplication, ProgramApplication.id == ReviewAssignment.application_id)
        .join(ProgramCall, ProgramCall.id == ProgramApplication.call_id)
        .join(ApplicationRevision, ApplicationRevision.id == ReviewAssignment.application_revision_id)
        .join(Review, Review.assignment_id == ReviewAssignment.id)
        .join(identity.person, person.id == ProgramApplication.lead_id)
        .where(ReviewAssignment.number == number, *_mine(actor))
    )
    row = db.execute(query).one_or_none()
    if row is None:
        raise NotFound
    values = list(row)
    values[1], values[9] = AssignmentState(values[1]), ApplicationState(values[9])
    return ReviewCard(*values)


def values_of_review(db: Session, review_id: uuid.UUID) -> dict[str, str]:
    """Return scores and comments as texts, by key; what is missing has no key."""
    rows = db.execute(select(ReviewAnswer.key, ReviewAnswer.score, ReviewAnswer.comment).where(ReviewAnswer.review_id == review_id))
    return {row.key: row.comment if row.score is None else str(row.score) for row in rows if row.score is not None or row.comment}
