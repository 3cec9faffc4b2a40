"""Calls, applications, reviews and decisions for tests, made by the real operations.

world = call(db, now=now)                                  a published call with its fund and a member of staff
n = application(db, world, lead, now=now)                  submitted with the sample answers; its number
r1, r2 = in_review(db, world, n, [ada, bob], now=now)      the reviews' numbers
sent_review(db, r1, ada, now=now)                          every criterion scored, a comment, sent
venture(db, world, lead, now=now)                          all the way to an admitted venture; its number
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core.access import Actor, Role
from portal.core.quantities import credits_ucr
from portal.credits.operations import funds
from portal.identity.queries import PersonCard
from portal.incubation import defaults
from portal.incubation.operations import applications, assignments, calls, decisions, reviews
from portal.incubation.queries import applications as application_queries
from portal.incubation.queries import calls as call_queries
from portal.incubation.rules.answers import Raw
from portal.incubation.rules.marks import PageMark
from portal.incubation.states import Outcome
from tests.factories import identity as people

TESTS = Actor.process("tests")
MARK = PageMark("f" * 16, 10**9)
CONSENT = applications.Consent("I agree.", "en")
_numbers = count(1)


@dataclass(frozen=True)
class CallWorld:
    """A call, the fund behind it, and a member of staff."""

    id: uuid.UUID
    slug: str
    fund_id: uuid.UUID
    staff: PersonCard


def call(
    db: Session,
    *,
    now: datetime,
    fund_id: uuid.UUID | None = None,
    staff: PersonCard | None = None,
    budget: int = 10_000,
    fund_budget: int = 20_000,
    is_published: bool = True,
    form: Mapping[str, Any] = defaults.FORM,
    **terms: Any,
) -> CallWorld:
    """Publish a call that opened yesterday and closes in ten days; `budget` in whole credits."""
    number = next(_numbers)
    staff = staff or people.person(db, display_name="Salma Idrissi", roles=[Role.STAFF], now=now)
    fund_id = fund_id or funds.open(
        db, slug=f"fund-{number}-{uuid.uuid4().hex[:6]}", name="Fund", sponsor="Sponsor", budget_ucr=credits_ucr(fund_budget), by=TESTS, now=now
    )
    slug = f"call-{number}-{uuid.uuid4().hex[:6]}"
    dates = {"opens_at": now - timedelta(days=1), "closes_at": now + timedelta(days=10), "reviews_due_at": now + timedelta(days=20)}
    shared = dates | {"seats": 10, "budget_ucr": credits_ucr(budget), "fund_id": fund_id} | terms
    if is_published:
        call_id = calls.open_call(
            db,
            slug=slug,
            programme_slug=defaults.PROGRAMME_SLUG,
            programme_name=defaults.PROGRAMME_NAME,
            title=defaults.CALL["title"],
            intro=defaults.CALL["intro"],
            form=form,
            rubric=defaults.RUBRIC,
            by=TESTS,
            now=now,
            **shared,
        )
    else:
        programme_id = calls.ensure_programme(db, slug=defaults.PROGRAMME_SLUG, name=defaults.PROGRAMME_NAME, by=TESTS, now=now)
        call_id = calls.draft_call(
            db,
            slug=slug,
            programme_id=programme_id,
            title=defaults.CALL["title"],
            intro=defaults.CALL["intro"],
            form_version_id=calls.add_form(db, programme_id=programme_id, definition=form, by=TESTS, now=now),
            rubric_version_id=calls.add_rubric(db, programme_id=programme_id, definition=defaults.RUBRIC, by=TESTS, now=now),
            by=TESTS,
            now=now,
            **shared,
        )
    return CallWorld(call_id, slug, fund_id, staff)


def draft(db: Session, world: CallWorld, lead: PersonCard, *, now: datetime, answers: Mapping[str, Raw] = defaults.SAMPLE_ANSWERS) -> int:
    """Begin an application, fill it in and return its number."""
    number = applications.start(db, call_slug=world.slug, by=lead.actor, now=now)
    if answers:
        applications.save_fields(db, number=number, sent=answers, mark=MARK, by=lead.actor, now=now)
    return number


def application(db: Session, world: CallWorld, lead: PersonCard, *, now: datetime, **answers: Raw) -> int:
    """Submit the sample answers, with some changed, and return the application's number."""
    number = draft(db, world, lead, now=now, answers=dict(defaults.SAMPLE_ANSWERS) | answers)
    applications.submit(db, number=number, consent=CONSENT, by=lead.actor, now=now)
    return number


def reviewer(db: Session, *, now: datetime, name: str = "Driss Alaoui") -> PersonCard:
    """Register a person with the role of reviewer."""
    return people.person(db, display_name=name, roles=[Role.REVIEWER], now=now)


def id_of(db: Session, number: int) -> uuid.UUID:
    """Return an application's id."""
    return db.execute(text("SELECT id FROM program_application WHERE number = :number"), {"number": number}).scalar_one()


def in_review(db: Session, world: CallWorld, number: int, reviewers: Sequence[PersonCard], *, now: datetime) -> list[int]:
    """Assign reviewers and return the reviews' numbers."""
    return assignments.assign(db, application_id=id_of(db, number), reviewer_ids=[person.id for person in reviewers], by=world.staff.actor, now=now)


def sent_review(db: Session, number: int, person: PersonCard, *, now: datetime, **scores: int) -> None:
    """Send a review; criteria that are not named get 4."""
    given = {"problem": 4, "team": 4, "feasibility": 4, "computing": 4} | scores
    values = {key: str(score) for key, score in given.items()} | {"comment_applicant": "Clear and measured.", "comment_staff": "Take it."}
    reviews.save_fields(db, number=number, sent=values, mark=MARK, by=person.actor, now=now)
    reviews.submit(db, number=number, by=person.actor, now=now)


def reviewed(db: Session, world: CallWorld, lead: PersonCard, *, now: datetime, **answers: Raw) -> int:
    """Return the number of an application with two sent reviews."""
    number = application(db, world, lead, now=now, **answers)
    both = [reviewer(db, now=now), reviewer(db, now=now, name="Houda Tazi")]
    for review_number, person in zip(in_review(db, world, number, both, now=now), both, strict=True):
        sent_review(db, review_number, person, now=now)
    return number


def prepared(db: Session, world: CallWorld, number: int, *, now: datetime, outcome: Outcome = Outcome.ACCEPT, awarded: int = 320, **more: Any) -> uuid.UUID:
    """Prepare a decision that awards whole credits and return its id."""
    terms: dict[str, Any] = {"reason": "A clear need and measured results."}
    if outcome is Outcome.ACCEPT:
        terms |= {
            "awarded_ucr": credits_ucr(awarded),
            "venture_name": "Vine Watch",
            "credits_expire_at": now + timedelta(days=365),
            "why": "" if awarded == 320 else "A smaller first step.",
        }
    return decisions.prepare(db, application_id=id_of(db, number), outcome=outcome, by=world.staff.actor, now=now, **(terms | more))


def venture(db: Session, world: CallWorld, lead: PersonCard, *, now: datetime) -> int:
    """Admit a venture and return its number."""
    number = reviewed(db, world, lead, now=now)
    decisions.release(db, decision_ids=[prepared(db, world, number, now=now)], by=world.staff.actor, now=now)
    found = application_queries.decision_of(db, id_of(db, number), is_released=True)
    assert found is not None
    assert found.venture_number is not None
    return found.venture_number


def many_applications(db: Session, world: CallWorld, *, count: int, now: datetime) -> None:
    """Write many submitted applications, each of a person of its own, in two statements: for lists of realistic size.

    The states go round: submitted, in_review, accepted, declined, waitlisted. There are no answers behind them.
    """
    form_id = call_queries.call_by_id(db, world.id).form_version_id
    people_sql = """
        INSERT INTO person (id, email, display_name, language, zone, is_active, joined_at, fs_uniquifier)
        SELECT gen_random_uuid(), 'many-' || n || '-' || :tag || '@example.org', 'Applicant ' || n, 'en', 'Africa/Casablanca', true, :now, md5(:tag || n)
        FROM generate_series(1, :count) AS n RETURNING 1
    """
    tag = uuid.uuid4().hex[:8]
    db.execute(text(people_sql), {"count": count, "tag": tag, "now": now})
    applications_sql = """
        INSERT INTO program_application
            (id, call_id, lead_id, form_version_id, title, state, revision, asked_ucr, receipt_hash, started_at, saved_at, submitted_at, decided_at)
        SELECT (lpad(to_hex(:epoch_ms + n), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(p.email::text), 1, 15))::uuid,
            :call_id, p.id, :form_id, 'Forecasting water demand in district ' || n,
            (ARRAY['submitted', 'in_review', 'accepted', 'declined', 'waitlisted'])[1 + n % 5], 12, (50 + n % 400) * 1000000, md5(n::text) || md5(n::text),
            :now, :now, :now, CASE WHEN n % 5 IN (2, 3, 4) THEN :now END
        FROM (SELECT id, email, row_number() OVER (ORDER BY email) AS n FROM person WHERE email LIKE 'many-%-' || :tag || '@example.org') AS p
    """
    parameters = {"epoch_ms": int(now.timestamp() * 1000), "call_id": world.id, "form_id": form_id, "now": now, "tag": tag}
    db.execute(text(applications_sql), parameters)
    db.execute(text("SET LOCAL ROLE NONE; ANALYZE program_application; ANALYZE person; RESET ROLE"))
