"""Reads of calls, forms and rubrics."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, Text, bindparam, func, select
from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.incubation.models import AwardLine, Decision, FormVersion, ProgramApplication, ProgramCall, Programme, RubricVersion
from portal.incubation.permissions import HOLDERS, Permission
from portal.incubation.rules.questions import FormDefinition, parse_form
from portal.incubation.rules.scores import Rubric, parse_rubric
from portal.incubation.states import ApplicationState, CallState, Outcome


@dataclass(frozen=True)
class CallCard:
    """A call as pages show it; texts are `{lang: text}`."""

    id: uuid.UUID
    slug: str
    programme: dict[str, str]
    title: dict[str, str]
    intro: dict[str, str]
    opens_at: datetime
    closes_at: datetime
    reviews_due_at: datetime
    zone: str
    form_version_id: uuid.UUID
    rubric_version_id: uuid.UUID
    seats: int
    reviews_needed: int
    budget_ucr: int
    fund_id: uuid.UUID
    credits_valid_days: int
    state: CallState

    def is_open(self, now: datetime) -> bool:
        """Return whether the call takes applications now."""
        return self.state is CallState.OPEN and self.opens_at <= now < self.closes_at


@dataclass(frozen=True)
class CallUse:
    """What released decisions have used of a call."""

    seats: int
    awarded_ucr: int


_COLUMNS: tuple[Any, ...] = (
    ProgramCall.id,
    ProgramCall.slug,
    Programme.name.label("programme"),
    ProgramCall.title,
    ProgramCall.intro,
    ProgramCall.opens_at,
    ProgramCall.closes_at,
    ProgramCall.reviews_due_at,
    ProgramCall.zone,
    ProgramCall.form_version_id,
    ProgramCall.rubric_version_id,
    ProgramCall.seats,
    ProgramCall.reviews_needed,
    ProgramCall.budget_ucr,
    ProgramCall.fund_id,
    ProgramCall.credits_valid_days,
    ProgramCall.state,
)


def _cards() -> Select[Any]:
    return select(*_COLUMNS).join(Programme, Programme.id == ProgramCall.programme_id)


def _card(row: Any) -> CallCard:
    values = list(row)
    values[-1] = CallState(values[-1])
    return CallCard(*values)


def may_manage(actor: Actor) -> bool:
    """Return whether the actor sees calls that are not published."""
    return actor.has(*HOLDERS[Permission.MANAGE_CALLS])


def page_of_calls(db: Session, *, mark: str | None) -> Page[CallCard]:
    """Return one page of published calls, newest first: the same for everybody."""
    return page_of(db, _cards().where(ProgramCall.state != CallState.DRAFT.value), ProgramCall.id, mark=mark).map(_card)


def page_of_all_calls(db: Session, *, mark: str | None) -> Page[CallCard]:
    """Return one page of all calls, newest first, for staff."""
    return page_of(db, _cards(), ProgramCall.id, mark=mark).map(_card)


@cache
def _by_slug() -> Select[Any]:
    return _cards().where(ProgramCall.slug == bindparam("slug", type_=Text()))


def call_by_slug(db: Session, slug: str, *, actor: Actor) -> CallCard:
    """Return a call that the actor may see. Raises NotFound."""
    row = db.execute(_by_slug(), {"slug": slug}).one_or_none()
    if row is None or (row.state == CallState.DRAFT.value and not may_manage(actor)):
        raise NotFound
    return _card(row)


def call_by_id(db: Session, call_id: uuid.UUID) -> CallCard:
    """Return a call. Raises NotFound."""
    row = db.execute(_cards().where(ProgramCall.id == call_id)).one_or_none()
    if row is None:
        raise NotFound
    return _card(row)


def form_by_id(db: Session, form_version_id: uuid.UUID) -> FormDefinition:
    """Return a form version, read."""
    return parse_form(db.execute(select(FormVersion.definition).where(FormVersion.id == form_version_id)).scalar_one())


def rubric_by_id(db: Session, rubric_version_id: uuid.UUID) -> Rubric:
    """Return a rubric version, read."""
    return parse_rubric(db.execute(select(RubricVersion.definition).where(RubricVersion.id == rubric_version_id)).scalar_one())


def use_of_call(db: Session, call_id: uuid.UUID) -> CallUse:
    """Return the seats and credits that a call's released decisions have used."""
    accepted = ProgramApplication.call_id == call_id, ProgramApplication.state == ApplicationState.ACCEPTED.value
    seats = select(func.count()).select_from(ProgramApplication).where(*accepted).scalar_subquery()
    awarded = (
        select(func.coalesce(func.sum(AwardLine.awarded_ucr), 0))
        .join(Decision, Decision.id == AwardLine.decision_id)
        .join(ProgramApplication, ProgramApplication.id == Decision.application_id)
        .where(*accepted, Decision.outcome == Outcome.ACCEPT.value, Decision.released_at.is_not(None))
        .scalar_subquery()
    )
    row = db.execute(select(seats.label("seats"), awarded.label("awarded"))).one()
    return CallUse(row.seats, int(row.awarded))


def own_application_number(db: Session, call_id: uuid.UUID, *, actor: Actor) -> int | None:
    """Return the number of the actor's application to a call, None when there is none."""
    if actor.person_id is None:
        return None
    mine = ProgramApplication.call_id == call_id, ProgramApplication.lead_id == actor.person_id
    query = select(ProgramApplication.number).where(*mine, ProgramApplication.state != ApplicationState.WITHDRAWN.value)
    return db.execute(query).scalar_one_or_none()
