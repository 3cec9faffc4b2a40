"""The programme staff's reads. Applications of one's own, and those with a declared conflict, are hidden from staff too."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, Text, Uuid, bindparam, column, func, literal, select, table, true, union_all
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from portal.core.access import Actor, Role
from portal.core.errors import NotFound
from portal.core.pages import COUNT_CAP, Page, page_of
from portal.identity import relations as identity
from portal.incubation.models import ProgramApplication, ProgramCall, Review, ReviewAnswer, ReviewAssignment, ReviewConflict
from portal.incubation.queries.applications import CARD, COMMENT_TO_APPLICANT, COMMENT_TO_STAFF, ApplicationCard, card
from portal.incubation.queries.reviews import hidden_from, shares_organisation
from portal.incubation.rules import scores
from portal.incubation.states import ApplicationState, AssignmentState

LISTED = tuple(state for state in ApplicationState if state is not ApplicationState.DRAFT)
# Identity exports no relation of roles; these two columns are all that is read.
_roles = table("role_assignment", column("person_id"), column("role"))
MOST_REVIEWERS = 200
# What a filter shows of a state: "100+" is enough to choose by, and costs the same for a call of any size.
STATE_CAP = 100


@dataclass(frozen=True)
class StaffView:
    """An application as staff see it, with the person who leads it."""

    card: ApplicationCard
    lead_name: str
    lead_slug: str
    lead_email: str


@dataclass(frozen=True)
class Candidate:
    """Somebody who could review an application, how much they have open, and what stands against it ("" for nothing)."""

    person_id: uuid.UUID
    name: str
    open_reviews: int
    is_assigned: bool
    shares_organisation: bool
    is_applicant: bool
    has_conflict: bool

    @property
    def may_review(self) -> bool:
        """Return whether nothing stands against it."""
        return not (self.is_assigned or self.shares_organisation or self.is_applicant or self.has_conflict)


@dataclass(frozen=True)
class ReviewLine:
    """One reviewer's work as staff see it; scores of a review that was not sent are not shown."""

    number: int
    reviewer: str
    state: AssignmentState
    submitted_at: datetime | None
    scores: Mapping[str, int | None] = field(default_factory=dict)
    comment_applicant: str = ""
    comment_staff: str = ""


# Statements of the list are built once a process: building them costs more than running them.
_VIEWER = bindparam("viewer_id", type_=Uuid())
_CALL = bindparam("call_id", type_=Uuid())
_STATE = bindparam("state", type_=Text())


@cache
def visible() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of what a member of staff, the parameter `viewer_id`, may see: submitted once, not their own, no declared conflict."""
    own = select(ProgramApplication.id).where(ProgramApplication.lead_id == _VIEWER)
    hidden: CompoundSelect[uuid.UUID] = union_all(hidden_from(_VIEWER), own)
    return ProgramApplication.submitted_at.is_not(None), ProgramApplication.id.not_in(hidden.subquery().select())


def page_of_applications(db: Session, *, actor: Actor, call_id: uuid.UUID, state: ApplicationState | None, mark: str | None) -> Page[Any]:
    """Return one page of a call's applications, newest first, as plain rows.

    Columns: id, number, title, state, asked_ucr, submitted_at, lead, reviews_sent, reviews_assigned.
    """
    parameters = {"viewer_id": actor.person_id, "call_id": call_id, "state": state.value if state else None}
    return page_of(db, _applications(has_state=state is not None), ProgramApplication.id, mark=mark, parameters=parameters)


@cache
def _applications(*, has_state: bool) -> Select[Any]:
    person = identity.person.c
    counts = (
        select(
            func.count().filter(ReviewAssignment.state == AssignmentState.SUBMITTED.value).label("sent"),
            func.count().filter(ReviewAssignment.state != AssignmentState.DECLINED.value).label("assigned"),
        )
        .where(ReviewAssignment.application_id == ProgramApplication.id)
        .lateral("counts")
    )
    query = (
        select(
            ProgramApplication.id,
            ProgramApplication.number,
            ProgramApplication.title,
            ProgramApplication.state,
            ProgramApplication.asked_ucr,
            ProgramApplication.submitted_at,
            person.display_name.label("lead"),
            counts.c.sent.label("reviews_sent"),
            counts.c.assigned.label("reviews_assigned"),
        )
        .join(identity.person, person.id == ProgramApplication.lead_id)
        .join(counts, true())
        .where(ProgramApplication.call_id == _CALL, *visible())
    )
    return query.where(ProgramApplication.state == _STATE) if has_state else query


def counts_by_state(db: Session, *, actor: Actor, call_id: uuid.UUID) -> dict[ApplicationState, int]:
    """Return how many of a call's applications are in each state, each count ending at STATE_CAP + 1, in one statement."""
    rows = db.execute(_counts(), {"viewer_id": actor.person_id, "call_id": call_id})
    return {ApplicationState(state): count for state, count in rows}


@cache
def _counts() -> Select[Any]:
    listed = func.unnest(literal([state.value for state in LISTED], ARRAY(Text))).table_valued("state", name="listed").render_derived()
    some = (
        select(literal(1).label("one"))
        .where(ProgramApplication.call_id == _CALL, ProgramApplication.state == listed.c.state, *visible())
        # The order makes the index the cheapest way to the first hundred, also where a state is rare.
        .order_by(ProgramApplication.id.desc())
        .limit(STATE_CAP + 1)
        .lateral("some")
    )
    return select(listed.c.state, func.count(some.c.one)).select_from(listed).join(some, true(), isouter=True).group_by(listed.c.state)


def count_applications(db: Session, *, actor: Actor, call_id: uuid.UUID, state: ApplicationState | None, by_state: Mapping[ApplicationState, int]) -> int:
    """Return how many applications a list has, ending at COUNT_CAP + 1; asks only where the counts by state do not say."""
    known = list(by_state.values()) if state is None else [by_state[state]]
    if max(known) <= STATE_CAP:
        return min(sum(known), COUNT_CAP + 1)
    parameters = {"viewer_id": actor.person_id, "call_id": call_id, "state": state.value if state else None}
    return int(db.execute(_capped_count(has_state=state is not None), parameters).scalar_one())


@cache
def _capped_count(*, has_state: bool) -> Select[Any]:
    some = select(literal(1)).where(ProgramApplication.call_id == _CALL, *visible()).order_by(ProgramApplication.id.desc()).limit(COUNT_CAP + 1)
    if has_state:
        some = some.where(ProgramApplication.state == _STATE)
    return select(func.count()).select_from(some.subquery())


def application_by_number(db: Session, number: int, *, actor: Actor) -> StaffView:
    """Return a submitted application that the actor may handle. Raises NotFound."""
    person = identity.person.c
    query = (
        select(*CARD, person.display_name, person.slug, person.email)
        .join(identity.person, person.id == ProgramApplication.lead_id)
        .where(ProgramApplication.number == number, *visible())
    )
    row = db.execute(query, {"viewer_id": actor.person_id}).one_or_none()
    if row is None:
        raise NotFound
    return StaffView(card(row), row.display_name, row.slug, row.email)


def candidates(db: Session, *, application: ApplicationCard) -> list[Candidate]:
    """Return the reviewers by name, those with the fewest open reviews first, each with what stands against them."""
    person = identity.person.c
    open_reviews = (
        select(func.count())
        .select_from(ReviewAssignment)
        .where(ReviewAssignment.reviewer_id == person.id, ReviewAssignment.state == AssignmentState.ASSIGNED.value)
        .scalar_subquery()
    )
    assigned = select(ReviewAssignment.reviewer_id).where(ReviewAssignment.application_id == application.id)
    conflicted = select(ReviewConflict.person_id).where(ReviewConflict.application_id == application.id)
    lead_id = literal(application.lead_id)
    query = (
        select(
            person.id,
            person.display_name,
            open_reviews.label("open_reviews"),
            person.id.in_(assigned).label("is_assigned"),
            shares_organisation(person.id, lead_id).label("shares_organisation"),
            (person.id == lead_id).label("is_applicant"),
            person.id.in_(conflicted).label("has_conflict"),
        )
        .where(person.is_active, person.id.in_(select(_roles.c.person_id).where(_roles.c.role == Role.REVIEWER.value)))
        .order_by(open_reviews, person.display_name, person.id)
        .limit(MOST_REVIEWERS)
    )
    return [Candidate(*row) for row in db.execute(query)]


def reviews_of(db: Session, *, application_id: uuid.UUID, criteria: frozenset[str]) -> list[ReviewLine]:
    """Return the application's assignments with what was sent, in two statements."""
    person = identity.person.c
    query = (
        select(ReviewAssignment.number, ReviewAssignment.state, Review.id, Review.submitted_at, person.display_name)
        .join(Review, Review.assignment_id == ReviewAssignment.id)
        .join(identity.person, person.id == ReviewAssignment.reviewer_id)
        .where(ReviewAssignment.application_id == application_id)
        .order_by(ReviewAssignment.id)
    )
    rows = db.execute(query).all()
    sent = [row.id for row in rows if row.state == AssignmentState.SUBMITTED.value]
    values: dict[uuid.UUID, dict[str, Any]] = {review_id: {} for review_id in sent}
    answers = select(ReviewAnswer.review_id, ReviewAnswer.key, ReviewAnswer.score, ReviewAnswer.comment).where(ReviewAnswer.review_id.in_(sent))
    for answer in db.execute(answers):
        values[answer.review_id][answer.key] = answer.comment if answer.score is None else answer.score
    return [_line(row, values.get(row.id, {}), criteria) for row in rows]


def _line(row: Any, values: Mapping[str, Any], criteria: frozenset[str]) -> ReviewLine:
    given = {key: values.get(key) for key in criteria} if row.state == AssignmentState.SUBMITTED.value else {}
    return ReviewLine(
        number=row.number,
        reviewer=row.display_name,
        state=AssignmentState(row.state),
        submitted_at=row.submitted_at,
        scores=given,
        comment_applicant=values.get(COMMENT_TO_APPLICANT) or "",
        comment_staff=values.get(COMMENT_TO_STAFF) or "",
    )


def means(lines: list[ReviewLine], rubric: scores.Rubric) -> dict[str, scores.Mean]:
    """Return the raw mean of each criterion, and under "" that of the reviews that are complete."""
    sent = [line.scores for line in lines if line.state is AssignmentState.SUBMITTED]
    result = {row.key: scores.mean((given.get(row.key) for given in sent), of=len(sent)) for row in rubric.criteria}
    return result | {"": scores.mean_of_weighted(sent, rubric)}


def waiting_for_reviewers(db: Session, *, actor: Actor) -> list[Any]:
    """Return, for each call, how many applications wait for reviewers (slug, title, count up to COUNT_CAP + 1); for the home page."""
    some = select(ProgramApplication.call_id).where(ProgramApplication.state == ApplicationState.SUBMITTED.value, *visible()).limit(COUNT_CAP + 1).subquery()
    query = (
        select(ProgramCall.slug, ProgramCall.title, func.count().label("count"))
        .join(some, some.c.call_id == ProgramCall.id)
        .group_by(ProgramCall.id)
        .order_by(ProgramCall.closes_at)
        .limit(5)
    )
    return list(db.execute(query, {"viewer_id": actor.person_id}))
