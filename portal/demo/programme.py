"""The incubation programme: one decided call with two ventures, one call in review, one call open."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.quantities import credits_ucr
from portal.demo import people
from portal.demo.people import Cast
from portal.incubation import defaults
from portal.incubation.operations import applications, assignments, calls, decisions, reviews
from portal.incubation.operations.applications import Consent
from portal.incubation.queries import staff
from portal.incubation.queries import ventures as venture_queries
from portal.incubation.queries.applications import COMMENT_TO_APPLICANT
from portal.incubation.rules.marks import PageMark
from portal.incubation.states import Outcome

DAY = timedelta(days=1)
TERMS = Consent("I agree that the programme's staff and reviewers read this application.", "en")
OPEN_CALL = "incubation-2027-second"
REVIEW_CALL = "incubation-2027-first"
DECIDED_CALL = "incubation-2026"


@dataclass(frozen=True)
class Story:
    """One application: who, its title, what it asks, and the scores of each reviewer in the rubric's order."""

    who: people.DemoPerson
    title: str
    credits: int
    scores: Sequence[Sequence[int]] = ()
    comment: str = ""


DARIJA = Story(people.FOUNDER, "Darija speech", 1_500, ((5, 4, 4, 5), (4, 4, 5, 5)), "A real need, clear data and a team that has done it before.")
SAFFRON = Story(
    people.SECOND_FOUNDER, "Saffron yield from drone pictures", 400, ((4, 4, 3, 3), (4, 3, 4, 4)), "Good fields and partners; start with the small slices."
)
VINE = Story(people.APPLICANT, str(defaults.SAMPLE_ANSWERS["title"]), 320, ((4, 4, 5, 3),), "The flight protocol is clear; say how growers were chosen.")
DIALECT = Story(people.SECOND_STUDENT, "Reading help for Amazigh schools", 150)


def build(db: Session, cast: Cast, *, fund_id: uuid.UUID, began_at: datetime, now: datetime) -> list[uuid.UUID]:
    """Make the calls and what happened in them; return the ventures' projects, oldest first."""
    staff_member = cast[people.STAFF]
    decided = {"en": "Incubation 2026", "fr": "Incubation 2026", "ar": "الاحتضان 2026"}
    _call(db, DECIDED_CALL, decided, by=staff_member, opens_at=began_at, closes_at=began_at + 12 * DAY, fund_id=fund_id, now=began_at)
    _decide(db, cast, began_at=began_at)
    opened = now - 20 * DAY
    review_id = _call(db, REVIEW_CALL, defaults.CALL["title"], by=staff_member, opens_at=opened, closes_at=now - 4 * DAY, fund_id=fund_id, now=opened)
    _review(db, cast, call_id=review_id, opened_at=opened, now=now)
    second = {"en": "Incubation 2027, second call", "fr": "Incubation 2027, deuxième appel", "ar": "الاحتضان 2027، النداء الثاني"}
    _call(db, OPEN_CALL, second, by=staff_member, opens_at=now - DAY, closes_at=now + 30 * DAY, fund_id=fund_id, now=now - DAY)
    _draft(db, cast[people.APPLICANT], call_slug=OPEN_CALL, now=now - timedelta(hours=5))
    found = venture_queries.page_of_ventures(db, actor=staff_member, mark=None).rows
    return [card.project_id for card in sorted(found, key=lambda card: card.number)]


def _call(
    db: Session, slug: str, title: Mapping[str, str], *, by: Actor, opens_at: datetime, closes_at: datetime, fund_id: uuid.UUID, now: datetime
) -> uuid.UUID:
    return calls.open_call(
        db,
        slug=slug,
        programme_slug=defaults.PROGRAMME_SLUG,
        programme_name=defaults.PROGRAMME_NAME,
        title=title,
        intro=defaults.CALL["intro"],
        form=defaults.FORM,
        rubric=defaults.RUBRIC,
        opens_at=opens_at,
        closes_at=closes_at,
        reviews_due_at=closes_at + 14 * DAY,
        seats=6,
        budget_ucr=credits_ucr(12_000),
        fund_id=fund_id,
        by=by,
        now=now,
    )


def _decide(db: Session, cast: Cast, *, began_at: datetime) -> None:
    staff_member, second = cast[people.STAFF], cast[people.ADMINISTRATOR]
    for story in (DARIJA, SAFFRON):
        applied_at = began_at + 5 * DAY
        number = _submit(db, cast[story.who], story, call_slug=DECIDED_CALL, now=applied_at)
        view = staff.application_by_number(db, number, actor=staff_member)
        _score(db, cast, story, application_id=view.card.id, now=began_at + 14 * DAY)
        decision_id = decisions.prepare(
            db,
            application_id=view.card.id,
            outcome=Outcome.ACCEPT,
            reason="Both reviewers recommend it, and the machine it asks for fits the plan.",
            awarded_ucr=credits_ucr(story.credits),
            venture_name=story.title,
            credits_expire_at=began_at + 300 * DAY,
            by=staff_member,
            now=began_at + 20 * DAY,
        )
        decisions.release(db, decision_ids=[decision_id], by=second, now=began_at + 21 * DAY)


def _review(db: Session, cast: Cast, *, call_id: uuid.UUID, opened_at: datetime, now: datetime) -> None:
    for story in (VINE, DIALECT):
        number = _submit(db, cast[story.who], story, call_slug=REVIEW_CALL, now=opened_at + 6 * DAY)
        view = staff.application_by_number(db, number, actor=cast[people.STAFF])
        if story.scores:
            _score(db, cast, story, application_id=view.card.id, now=now - 3 * DAY)
    calls.close_due(db, by=Actor.process("demo"), now=now)


def _submit(db: Session, person: Actor, story: Story, *, call_slug: str, now: datetime) -> int:
    number = applications.start(db, call_slug=call_slug, by=person, now=now)
    answers = defaults.SAMPLE_ANSWERS | {"title": story.title, "gpu_credits": str(story.credits)}
    applications.save_fields(db, number=number, sent=answers, mark=PageMark.fresh(0), by=person, now=now + timedelta(minutes=40))
    applications.submit(db, number=number, consent=TERMS, by=person, now=now + timedelta(minutes=55))
    return number


def _draft(db: Session, person: Actor, *, call_slug: str, now: datetime) -> None:
    number = applications.start(db, call_slug=call_slug, by=person, now=now)
    answers = {"title": "كشف مبكر عن أمراض الكروم بالطائرات الصغيرة", "stage": "prototype", "team_size": "4"}
    applications.save_fields(db, number=number, sent=answers, mark=PageMark.fresh(0), by=person, now=now)


def _score(db: Session, cast: Cast, story: Story, *, application_id: uuid.UUID, now: datetime) -> None:
    reviewers = (cast[people.REVIEWER], cast[people.SECOND_REVIEWER])
    numbers = assignments.assign(db, application_id=application_id, reviewer_ids=[one.id for one in reviewers], by=cast[people.STAFF], now=now)
    keys = [criterion["key"] for criterion in defaults.RUBRIC["criteria"]]
    for reviewer, number, scores in zip(reviewers, numbers, story.scores, strict=False):
        sent = {key: str(score) for key, score in zip(keys, scores, strict=True)} | {COMMENT_TO_APPLICANT: story.comment}
        reviews.save_fields(db, number=number, sent=sent, mark=PageMark.fresh(0), by=reviewer, now=now + DAY)
        reviews.submit(db, number=number, by=reviewer, now=now + DAY)
