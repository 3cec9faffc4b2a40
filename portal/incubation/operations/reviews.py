"""A reviewer's writes: scores and comments saved one by one, then sent."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Invalid, NotFound, Refused
from portal.incubation.models import Review, ReviewAnswer, ReviewAssignment
from portal.incubation.operations.fields import Saved, Stored, changes
from portal.incubation.queries import calls as call_queries
from portal.incubation.queries import reviews as review_queries
from portal.incubation.queries.applications import COMMENT_TO_APPLICANT, COMMENT_TO_STAFF
from portal.incubation.queries.reviews import ReviewCard
from portal.incubation.rules.marks import PageMark
from portal.incubation.rules.scores import Rubric, parse_score
from portal.incubation.states import ASSIGNMENTS, AssignmentState

COMMENTS = (COMMENT_TO_APPLICANT, COMMENT_TO_STAFF)
COMMENT_CHARS = 1200


class ReviewClosed(Refused):
    """A review is written while it is open."""

    text = N_("This review can no longer be changed.")


class CommentTooLong(Invalid):
    """The comment is over its limit."""

    text = N_("%(used)s characters; at most %(limit)s are allowed. Please shorten it.")


class NothingScored(Invalid):
    """A review without a single score says nothing."""

    text = N_("Score at least one criterion before you send the review.")


class CommentMissing(Invalid):
    """The applicant is owed a sentence."""

    text = N_("Write at least a sentence for the applicant.")
    field = COMMENT_TO_APPLICANT


def save_fields(db: Session, *, number: int, sent: Mapping[str, str], mark: PageMark, by: Actor, now: datetime, keep: Collection[str] = ()) -> Saved:
    """Keep scores (texts of digits, "" for none) and comments. Raises NotFound, ReviewClosed, BadScore, CommentTooLong, ChangedElsewhere."""
    seen, review, rubric = _own_open(db, number, by=by)
    if not sent.keys() <= rubric.keys | set(COMMENTS):
        raise NotFound
    checked = {key: _checked(key, value, rubric) for key, value in sent.items()}
    stored = _stored(db, review)
    changed = changes(stored, checked, mark=mark, keep=keep, nothing="")
    if changed:
        review.revision += 1
        review.saved_at = now
        _write(db, review, changed, page=mark.page)
        if seen.saved_at is None:
            audit.record(db, "began", "review", review.id, by=by, now=now)
        db.flush()
    return Saved(review.revision, frozenset(changed))


def submit(db: Session, *, number: int, by: Actor, now: datetime) -> None:
    """Send a review as it is kept; missing scores stay missing. Raises NotFound, ReviewClosed, NothingScored, CommentMissing."""
    _, review, rubric = _own_open(db, number, by=by)
    values = review_queries.values_of_review(db, review.id)
    if rubric.keys.isdisjoint(values):
        raise NothingScored(field=rubric.criteria[0].key)
    if COMMENT_TO_APPLICANT not in values:
        raise CommentMissing
    review.submitted_at = now
    assignment = db.execute(select(ReviewAssignment).where(ReviewAssignment.id == review.assignment_id).with_for_update()).scalar_one()
    assignment.state = ASSIGNMENTS.target("submit", AssignmentState(assignment.state)).value
    assignment.ended_at = now
    audit.record(db, "sent", "review", review.id, by=by, now=now, scored=len(rubric.keys & values.keys()), of=len(rubric.keys))
    db.flush()


def _own_open(db: Session, number: int, *, by: Actor) -> tuple[ReviewCard, Review, Rubric]:
    seen = review_queries.review_by_number(db, number, actor=by)
    query = select(Review).where(Review.id == seen.review_id).with_for_update().execution_options(populate_existing=True)
    review = db.execute(query).scalar_one()
    if not seen.is_open or review.submitted_at is not None:
        raise ReviewClosed
    return seen, review, call_queries.rubric_by_id(db, seen.rubric_version_id)


def _checked(key: str, value: str, rubric: Rubric) -> str:
    if key in rubric.keys:
        score = parse_score(value, scale_max=rubric.scale_max)
        return "" if score is None else str(score)
    text = value.replace("\r\n", "\n").replace("\x00", "").strip()
    if len(text) > COMMENT_CHARS:
        raise CommentTooLong(field=key, used=len(text), limit=COMMENT_CHARS)
    return text


def _stored(db: Session, review: Review) -> dict[str, Stored[str]]:
    query = select(ReviewAnswer.key, ReviewAnswer.score, ReviewAnswer.comment, ReviewAnswer.revision, ReviewAnswer.page)
    rows = db.execute(query.where(ReviewAnswer.review_id == review.id))
    return {row.key: Stored((row.comment or "") if row.score is None else str(row.score), row.revision, row.page, review.saved_at) for row in rows}


def _write(db: Session, review: Review, changed: Mapping[str, str], *, page: str) -> None:
    rows = [
        {
            "review_id": review.id,
            "key": key,
            "score": int(value) if value and key not in COMMENTS else None,
            "comment": value if value and key in COMMENTS else None,
            "revision": review.revision,
            "page": page,
        }
        for key, value in changed.items()
    ]
    statement = insert(ReviewAnswer).values(rows)
    new = statement.excluded
    merged = {"score": new.score, "comment": new.comment, "revision": new.revision, "page": new.page}
    db.execute(statement.on_conflict_do_update(index_elements=["review_id", "key"], set_=merged))
