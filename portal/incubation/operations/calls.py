"""Programmes, form and rubric versions, and calls: set up, publish, close."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor, require
from portal.core.errors import N_, Invalid, NotFound
from portal.core.ids import new_id
from portal.incubation.models import FormVersion, ProgramCall, Programme, RubricVersion
from portal.incubation.permissions import HOLDERS, Permission
from portal.incubation.rules.questions import parse_form
from portal.incubation.rules.scores import parse_rubric
from portal.incubation.states import CALLS, CallState
from portal.settings import TIME_ZONE


class CallNotReady(Invalid):
    """A call is published with a title and an introduction in every language, and a closing time to come."""

    text = N_("The call cannot be published: %(why)s")


def ensure_programme(db: Session, *, slug: str, name: Mapping[str, str], by: Actor, now: datetime) -> uuid.UUID:
    """Return the programme with this slug, made now when there is none."""
    require(by, Permission.MANAGE_CALLS, HOLDERS)
    row = insert(Programme).values(id=new_id(), slug=slug, name=dict(name), created_at=now)
    made = db.execute(row.on_conflict_do_nothing(index_elements=["slug"]).returning(Programme.id)).scalar_one_or_none()
    if made is not None:
        audit.record(db, "created", "programme", made, by=by, now=now, slug=slug)
        return made
    return db.execute(select(Programme.id).where(Programme.slug == slug)).scalar_one()


def add_form(db: Session, *, programme_id: uuid.UUID, definition: Mapping[str, Any], by: Actor, now: datetime) -> uuid.UUID:
    """Add a form version, the next number of its programme. Raises BadForm."""
    require(by, Permission.MANAGE_CALLS, HOLDERS)
    parse_form(definition)
    return _add_version(db, FormVersion, programme_id, definition, by=by, now=now)


def add_rubric(db: Session, *, programme_id: uuid.UUID, definition: Mapping[str, Any], by: Actor, now: datetime) -> uuid.UUID:
    """Add a rubric version, the next number of its programme. Raises BadRubric."""
    require(by, Permission.MANAGE_CALLS, HOLDERS)
    parse_rubric(definition)
    return _add_version(db, RubricVersion, programme_id, definition, by=by, now=now)


def _add_version(
    db: Session, table: type[FormVersion] | type[RubricVersion], programme_id: uuid.UUID, definition: Mapping[str, Any], *, by: Actor, now: datetime
) -> uuid.UUID:
    # The programme's row is the lock: two versions never get one number.
    db.execute(select(Programme.id).where(Programme.id == programme_id).with_for_update()).one()
    number = db.execute(select(func.coalesce(func.max(table.number), 0) + 1).where(table.programme_id == programme_id)).scalar_one()
    version = table(id=new_id(), programme_id=programme_id, number=number, definition=dict(definition), created_at=now)
    db.add(version)
    db.flush()
    audit.record(db, "added", table.__tablename__, version.id, by=by, now=now, number=number)
    return version.id


def draft_call(
    db: Session,
    *,
    slug: str,
    programme_id: uuid.UUID,
    title: Mapping[str, str],
    intro: Mapping[str, str],
    opens_at: datetime,
    closes_at: datetime,
    reviews_due_at: datetime,
    form_version_id: uuid.UUID,
    rubric_version_id: uuid.UUID,
    seats: int,
    budget_ucr: int,
    fund_id: uuid.UUID,
    by: Actor,
    now: datetime,
    zone: str = TIME_ZONE,
    reviews_needed: int = 2,
    credits_valid_days: int = 365,
) -> uuid.UUID:
    """Set up a call that staff alone can see."""
    require(by, Permission.MANAGE_CALLS, HOLDERS)
    call = ProgramCall(
        id=new_id(),
        slug=slug,
        programme_id=programme_id,
        title=dict(title),
        intro=dict(intro),
        opens_at=opens_at,
        closes_at=closes_at,
        reviews_due_at=reviews_due_at,
        zone=zone,
        form_version_id=form_version_id,
        rubric_version_id=rubric_version_id,
        seats=seats,
        reviews_needed=reviews_needed,
        budget_ucr=budget_ucr,
        fund_id=fund_id,
        credits_valid_days=credits_valid_days,
        state=CallState.DRAFT.value,
        created_at=now,
    )
    db.add(call)
    db.flush()
    audit.record(db, "drafted", "program_call", call.id, by=by, now=now, slug=slug)
    return call.id


def open_call(
    db: Session,
    *,
    slug: str,
    programme_slug: str,
    programme_name: Mapping[str, str],
    title: Mapping[str, str],
    intro: Mapping[str, str],
    form: Mapping[str, Any],
    rubric: Mapping[str, Any],
    by: Actor,
    now: datetime,
    **terms: Any,
) -> uuid.UUID:
    """Set up a call with its programme, form and rubric, and publish it; `terms` are those of `draft_call`."""
    programme_id = ensure_programme(db, slug=programme_slug, name=programme_name, by=by, now=now)
    form_id = add_form(db, programme_id=programme_id, definition=form, by=by, now=now)
    rubric_id = add_rubric(db, programme_id=programme_id, definition=rubric, by=by, now=now)
    call_id = draft_call(
        db, slug=slug, programme_id=programme_id, title=title, intro=intro, form_version_id=form_id, rubric_version_id=rubric_id, by=by, now=now, **terms
    )
    move(db, call_id=call_id, name="publish", by=by, now=now)
    return call_id


def move(db: Session, *, call_id: uuid.UUID, name: str, by: Actor, now: datetime) -> None:
    """Publish, close or mark a call as decided. Raises WrongState, CallNotReady, NotFound."""
    require(by, Permission.MANAGE_CALLS, HOLDERS)
    call = db.execute(select(ProgramCall).where(ProgramCall.id == call_id).with_for_update()).scalar_one_or_none()
    if call is None or name not in CALLS.transitions:
        raise NotFound
    target = CALLS.target(name, CallState(call.state))
    if target is CallState.OPEN:
        _check_ready(call, now=now)
    call.state = target.value
    audit.record(db, name, "program_call", call.id, by=by, now=now)
    db.flush()


def _check_ready(call: ProgramCall, *, now: datetime) -> None:
    missing = [code for code in ("en", "fr", "ar") if not call.title.get(code) or not call.intro.get(code)]
    if missing:
        raise CallNotReady(why=f"no title or introduction in {', '.join(missing)}")
    if call.closes_at <= now:
        raise CallNotReady(why="its closing time has passed")


def close_due(db: Session, *, by: Actor, now: datetime) -> list[uuid.UUID]:
    """Close every open call whose closing time has come, and return them."""
    due = update(ProgramCall).where(ProgramCall.state == CallState.OPEN.value, ProgramCall.closes_at <= now).values(state=CallState.CLOSED.value)
    closed = list(db.execute(due.returning(ProgramCall.id)).scalars())
    for call_id in closed:
        audit.record(db, "close", "program_call", call_id, by=by, now=now)
    return closed
