"""An applicant's reads: their own applications and nobody else's."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.incubation.models import (
    ApplicationAnswer,
    ApplicationRevision,
    AwardLine,
    Decision,
    ProgramApplication,
    ProgramCall,
    Review,
    ReviewAnswer,
    ReviewAssignment,
    Venture,
)
from portal.incubation.rules.answers import Raw
from portal.incubation.states import ApplicationState, AssignmentState, CallState, Outcome

COMMENT_TO_APPLICANT, COMMENT_TO_STAFF = "comment_applicant", "comment_staff"


@dataclass(frozen=True)
class ApplicationCard:
    """An application, whole but for its answers."""

    id: uuid.UUID
    number: int
    call_id: uuid.UUID
    lead_id: uuid.UUID
    form_version_id: uuid.UUID
    title: str
    state: ApplicationState
    revision: int
    asked_ucr: int | None
    receipt_hash: str | None
    started_at: datetime
    saved_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None
    withdrawn_at: datetime | None


@dataclass(frozen=True)
class OwnRow:
    """A line of "my applications"."""

    number: int
    title: str
    state: ApplicationState
    saved_at: datetime
    submitted_at: datetime | None
    call: dict[str, str]
    call_state: CallState
    closes_at: datetime

    def is_editable(self, now: datetime) -> bool:
        """Return whether its form still takes answers."""
        return self.state is ApplicationState.DRAFT and self.call_state is CallState.OPEN and now < self.closes_at


@dataclass(frozen=True)
class Line:
    """A line of an award."""

    asked_ucr: int
    awarded_ucr: int
    why: str


@dataclass(frozen=True)
class DecisionCard:
    """A decision with its lines; `venture_number` once there is one."""

    id: uuid.UUID
    outcome: Outcome
    reason: str
    venture_name: str
    credits_expire_at: datetime | None
    prepared_at: datetime
    prepared_by: uuid.UUID
    released_at: datetime | None
    lines: tuple[Line, ...]
    venture_number: int | None

    @property
    def asked_ucr(self) -> int:
        """Return what was asked, in microcredits."""
        return sum(line.asked_ucr for line in self.lines)

    @property
    def awarded_ucr(self) -> int:
        """Return what is awarded, in microcredits."""
        return sum(line.awarded_ucr for line in self.lines)


CARD: tuple[Any, ...] = (
    ProgramApplication.id,
    ProgramApplication.number,
    ProgramApplication.call_id,
    ProgramApplication.lead_id,
    ProgramApplication.form_version_id,
    ProgramApplication.title,
    ProgramApplication.state,
    ProgramApplication.revision,
    ProgramApplication.asked_ucr,
    ProgramApplication.receipt_hash,
    ProgramApplication.started_at,
    ProgramApplication.saved_at,
    ProgramApplication.submitted_at,
    ProgramApplication.decided_at,
    ProgramApplication.withdrawn_at,
)


def card(row: Any) -> ApplicationCard:
    """Return the application of a row that begins with the columns of CARD."""
    values = list(row[: len(CARD)])
    values[6] = ApplicationState(values[6])
    return ApplicationCard(*values)


def own_by_number(db: Session, number: int, *, actor: Actor) -> ApplicationCard:
    """Return the actor's own application. Raises NotFound."""
    row = db.execute(select(*CARD).where(ProgramApplication.number == number, ProgramApplication.lead_id == actor.id)).one_or_none()
    if row is None:
        raise NotFound
    return card(row)


def page_of_own(db: Session, *, actor: Actor, mark: str | None) -> Page[OwnRow]:
    """Return one page of the actor's own applications, newest first."""
    columns: tuple[Any, ...] = (
        ProgramApplication.id,
        ProgramApplication.number,
        ProgramApplication.title,
        ProgramApplication.state,
        ProgramApplication.saved_at,
        ProgramApplication.submitted_at,
        ProgramCall.title.label("call"),
        ProgramCall.state.label("call_state"),
        ProgramCall.closes_at,
    )
    query = select(*columns).join(ProgramCall, ProgramCall.id == ProgramApplication.call_id).where(ProgramApplication.lead_id == actor.id)
    page = page_of(db, query, ProgramApplication.id, mark=mark)
    return page.map(
        lambda row: OwnRow(
            row.number, row.title, ApplicationState(row.state), row.saved_at, row.submitted_at, row.call, CallState(row.call_state), row.closes_at
        )
    )


def drafts_due(db: Session, *, actor: Actor, now: datetime) -> list[OwnRow]:
    """Return the actor's drafts that can still be submitted, the soonest to close first; for the home page."""
    query = (
        select(ProgramApplication.number, ProgramApplication.title, ProgramApplication.saved_at, ProgramCall.title.label("call"), ProgramCall.closes_at)
        .join(ProgramCall, ProgramCall.id == ProgramApplication.call_id)
        .where(ProgramApplication.lead_id == actor.id, ProgramApplication.state == ApplicationState.DRAFT.value)
        .where(ProgramCall.state == CallState.OPEN.value, ProgramCall.closes_at > now)
        .order_by(ProgramCall.closes_at)
        .limit(5)
    )
    return [OwnRow(row.number, row.title, ApplicationState.DRAFT, row.saved_at, None, row.call, CallState.OPEN, row.closes_at) for row in db.execute(query)]


def answers_of_draft(db: Session, application_id: uuid.UUID) -> dict[str, Raw]:
    """Return a draft's answers as they were typed."""
    rows = db.execute(select(ApplicationAnswer.key, ApplicationAnswer.value).where(ApplicationAnswer.application_id == application_id))
    return {row.key: row.value for row in rows}


def submitted_content(db: Session, application_id: uuid.UUID) -> dict[str, Any]:
    """Return what was submitted, as it was hashed. Raises NotFound before the submission."""
    query = select(ApplicationRevision.content).where(ApplicationRevision.application_id == application_id).order_by(ApplicationRevision.id.desc()).limit(1)
    content = db.execute(query).scalar_one_or_none()
    if content is None:
        raise NotFound
    return content


def decision_of(db: Session, application_id: uuid.UUID, *, is_released: bool) -> DecisionCard | None:
    """Return the application's last released decision, or the one that is prepared; None when there is none."""
    query = (
        select(
            Decision.id,
            Decision.outcome,
            Decision.reason,
            Decision.venture_name,
            Decision.credits_expire_at,
            Decision.prepared_at,
            Decision.prepared_by,
            Decision.released_at,
            Venture.number.label("venture_number"),
        )
        .join(Venture, Venture.decision_id == Decision.id, isouter=True)
        .where(Decision.application_id == application_id, Decision.released_at.is_not(None) if is_released else Decision.released_at.is_(None))
        .order_by(Decision.released_at.desc())
        .limit(1)
    )
    row = db.execute(query).one_or_none()
    if row is None:
        return None
    lines = db.execute(select(AwardLine.asked_ucr, AwardLine.awarded_ucr, AwardLine.why).where(AwardLine.decision_id == row.id).order_by(AwardLine.position))
    return DecisionCard(
        id=row.id,
        outcome=Outcome(row.outcome),
        reason=row.reason,
        venture_name=row.venture_name,
        credits_expire_at=row.credits_expire_at,
        prepared_at=row.prepared_at,
        prepared_by=row.prepared_by,
        released_at=row.released_at,
        lines=tuple(Line(*line) for line in lines),
        venture_number=row.venture_number,
    )


def comments_to_applicant(db: Session, application_id: uuid.UUID) -> list[str]:
    """Return what reviewers wrote to the applicant, without names, in the order in which they were sent."""
    query = (
        select(ReviewAnswer.comment)
        .join(Review, Review.id == ReviewAnswer.review_id)
        .join(ReviewAssignment, ReviewAssignment.id == Review.assignment_id)
        .where(ReviewAssignment.application_id == application_id, ReviewAssignment.state == AssignmentState.SUBMITTED.value)
        .where(ReviewAnswer.key == COMMENT_TO_APPLICANT, ReviewAnswer.comment != "")
        .order_by(Review.submitted_at)
        .limit(20)
    )
    return [comment for comment in db.execute(query).scalars() if comment]
