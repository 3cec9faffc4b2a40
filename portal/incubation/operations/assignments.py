"""Staff choose reviewers; reviewers declare conflicts."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor, require
from portal.core.errors import N_, Conflict, Invalid, NotFound, Refused
from portal.core.ids import new_id
from portal.core.states import WrongState
from portal.incubation.models import ApplicationRevision, ProgramApplication, Review, ReviewAssignment, ReviewConflict
from portal.incubation.operations import mails
from portal.incubation.permissions import HOLDERS, Permission
from portal.incubation.queries import staff
from portal.incubation.queries.applications import CARD, card
from portal.incubation.states import APPLICATIONS, ASSIGNMENTS, ApplicationState, AssignmentState, ConflictKind


class NobodyChosen(Invalid):
    """An assignment names at least one reviewer."""

    text = N_("Choose at least one reviewer.")
    field = "reviewers"


class NotAReviewer(Invalid):
    """The person is no active reviewer."""

    text = N_("This person is not a reviewer.")
    field = "reviewers"


class MayNotReview(Refused):
    """Something stands between this reviewer and this application."""

    text = N_("%(name)s cannot review this application: %(why)s")
    field = "reviewers"


class OwnApplication(Refused):
    """Nobody handles their own application, or one that a conflict hides from them."""

    text = N_("You may not handle this application.")


class DecidedAlready(Conflict):
    """A conflict is declared before the decision."""

    text = N_("This application is already decided.")


_WHY_NOT = {
    "is_assigned": N_("already assigned"),
    "is_applicant": N_("the applicant"),
    "shares_organisation": N_("a member of the applicant’s organisation"),
    "has_conflict": N_("a conflict of interest was declared"),
}


def why_not(candidate: staff.Candidate) -> str:
    """Return the English source of what stands against a candidate, "" for nothing."""
    return next((text for name, text in _WHY_NOT.items() if getattr(candidate, name)), "")


def assign(db: Session, *, application_id: uuid.UUID, reviewer_ids: Sequence[uuid.UUID], by: Actor, now: datetime) -> list[int]:
    """Give an application to reviewers and return the reviews' numbers; the first assignment begins the review.

    Raises NotFound, WrongState, OwnApplication, NobodyChosen, NotAReviewer, MayNotReview.
    """
    require(by, Permission.ASSIGN_REVIEWERS, HOLDERS)
    application = locked(db, application_id, by=by)
    state = ApplicationState(application.state)
    if state is ApplicationState.SUBMITTED:
        application.state = APPLICATIONS.target("start_review", state).value
    elif state is not ApplicationState.IN_REVIEW:
        raise WrongState(state=state.value)
    chosen = list(dict.fromkeys(reviewer_ids))
    if not chosen:
        raise NobodyChosen
    known = {row.person_id: row for row in _candidates(db, application.id)}
    for person_id in chosen:
        _check(known.get(person_id))
    revision_id = _last_revision(db, application.id)
    return [_add(db, application.id, revision_id, person_id, by=by, now=now) for person_id in chosen]


def locked(db: Session, application_id: uuid.UUID, *, by: Actor) -> ProgramApplication:
    """Return an application that the actor may handle, locked. Raises NotFound, OwnApplication."""
    query = select(ProgramApplication).where(ProgramApplication.id == application_id).with_for_update().execution_options(populate_existing=True)
    application = db.execute(query).scalar_one_or_none()
    if application is None:
        raise NotFound
    declared = select(ReviewConflict.id).where(ReviewConflict.application_id == application_id, ReviewConflict.person_id == by.person_id)
    if application.lead_id == by.person_id or db.execute(declared).first() is not None:
        raise OwnApplication
    return application


def _candidates(db: Session, application_id: uuid.UUID) -> list[staff.Candidate]:
    row = db.execute(select(*CARD).where(ProgramApplication.id == application_id)).one()
    return staff.candidates(db, application=card(row))


def _check(candidate: staff.Candidate | None) -> None:
    if candidate is None:
        raise NotAReviewer
    if not candidate.may_review:
        raise MayNotReview(name=candidate.name, why=why_not(candidate))


def _last_revision(db: Session, application_id: uuid.UUID) -> uuid.UUID:
    query = select(ApplicationRevision.id).where(ApplicationRevision.application_id == application_id).order_by(ApplicationRevision.id.desc()).limit(1)
    return db.execute(query).scalar_one()


def _add(db: Session, application_id: uuid.UUID, revision_id: uuid.UUID, person_id: uuid.UUID, *, by: Actor, now: datetime) -> int:
    assignment = ReviewAssignment(
        id=new_id(),
        application_id=application_id,
        application_revision_id=revision_id,
        reviewer_id=person_id,
        state=AssignmentState.ASSIGNED.value,
        assigned_at=now,
    )
    db.add(assignment)
    db.flush()
    db.add(Review(id=new_id(), assignment_id=assignment.id, revision=0))
    audit.record(db, "assigned", "program_application", application_id, by=by, now=now, reviewer=str(person_id))
    db.flush()
    mails.review_assigned(db, assignment_id=assignment.id, now=now)
    return assignment.number


def declare_conflict(db: Session, *, number: int, kind: ConflictKind, reason: str, by: Actor, now: datetime) -> None:
    """Declare a conflict with the application of one's own review: it is hidden at once. Raises NotFound, DecidedAlready."""
    query = select(ReviewAssignment).where(ReviewAssignment.number == number, ReviewAssignment.reviewer_id == by.id)
    assignment = db.execute(query.with_for_update()).scalar_one_or_none()
    if assignment is None or assignment.state == AssignmentState.DECLINED.value:
        raise NotFound
    state = db.execute(select(ProgramApplication.state).where(ProgramApplication.id == assignment.application_id)).scalar_one()
    if state != ApplicationState.IN_REVIEW.value:
        raise DecidedAlready
    assignment.state = ASSIGNMENTS.target("decline", AssignmentState(assignment.state)).value
    assignment.ended_at = now
    row = insert(ReviewConflict).values(
        id=new_id(), application_id=assignment.application_id, person_id=by.id, kind=kind.value, reason=reason.strip()[:2000], declared_at=now
    )
    db.execute(row.on_conflict_do_nothing(index_elements=["application_id", "person_id"]))
    audit.record(db, "declared a conflict", "program_application", assignment.application_id, by=by, now=now, kind=kind.value)
    db.flush()
