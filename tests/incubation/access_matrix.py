"""Who may call the pages of incubation (tests/architecture/access_matrix.py)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from portal.core.access import Actor, Role
from portal.identity import queries as identity
from portal.identity.operations import people as identity_people
from portal.incubation.operations import decisions
from portal.incubation.permissions import Permission
from tests.architecture.access_matrix import Row
from tests.factories import identity as people
from tests.factories import incubation as make

_LEAD = "the person who leads the application"
_REVIEWER = "the reviewer it is assigned to, without a conflict"
_VISIBLE = "not their own application, and no conflict declared"

ROWS = {
    "incubation.call_list": Row("public"),
    "incubation.call_page": Row("public", relation="drafts for programme staff alone"),
    "incubation.apply": Row("signed_in", relation="published calls"),
    "incubation.own_applications": Row("signed_in", relation=_LEAD),
    "incubation.application": Row("signed_in", relation=_LEAD, object="application"),
    "incubation.edit_application": Row("signed_in", relation=_LEAD, object="draft"),
    "incubation.save_application": Row("signed_in", relation=_LEAD, object="draft", owner_gets=False),
    "incubation.save_field": Row("signed_in", relation=_LEAD, object="draft", owner_gets=False),
    "incubation.receipt": Row("signed_in", relation=_LEAD, object="application"),
    "incubation.receipt_file": Row("signed_in", relation=_LEAD, object="application"),
    "incubation.withdraw": Row("signed_in", relation=_LEAD, object="application", owner_gets=False),
    "incubation.decision": Row("signed_in", relation=_LEAD, object="decided"),
    "incubation.own_reviews": Row("signed_in", relation=_REVIEWER),
    "incubation.review": Row("signed_in", relation=_REVIEWER, object="review"),
    "incubation.save_review": Row("signed_in", relation=_REVIEWER, object="review", owner_gets=False),
    "incubation.save_review_field": Row("signed_in", relation=_REVIEWER, object="review", owner_gets=False),
    "incubation.declare_conflict": Row("signed_in", relation=_REVIEWER, object="review"),
    "incubation.programme_calls": Row("permission", permission=Permission.MANAGE_CALLS),
    "incubation.move_call": Row("permission", permission=Permission.MANAGE_CALLS),
    "incubation.call_applications": Row("permission", permission=Permission.SEE_APPLICATIONS, relation=_VISIBLE),
    "incubation.staff_application": Row("permission", permission=Permission.SEE_APPLICATIONS, relation=_VISIBLE),
    "incubation.assign_reviewers": Row("permission", permission=Permission.ASSIGN_REVIEWERS, relation=_VISIBLE),
    "incubation.prepare_decision": Row("permission", permission=Permission.DECIDE, relation=_VISIBLE),
    "incubation.release_decision": Row("permission", permission=Permission.DECIDE, relation=_VISIBLE),
    "incubation.venture_list": Row("signed_in", relation="members of the venture's project; staff and finance"),
    "incubation.venture": Row("signed_in", relation="members of the venture's project; staff and finance", object="venture"),
}


def _draft(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    return {"number": make.draft(db, make.call(db, now=now), identity.person_by_id(db, owner), now=now)}


def _application(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    return {"number": make.application(db, make.call(db, now=now), identity.person_by_id(db, owner), now=now)}


def _decided(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    world = make.call(db, now=now)
    number = make.reviewed(db, world, identity.person_by_id(db, owner), now=now)
    decisions.release(db, decision_ids=[make.prepared(db, world, number, now=now)], by=world.staff.actor, now=now)
    return {"number": number}


def _venture(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    return {"number": make.venture(db, make.call(db, now=now), identity.person_by_id(db, owner), now=now)}


def _review(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    world = make.call(db, now=now)
    identity_people.give_role(db, person_id=owner, role=Role.REVIEWER, by=Actor.process("tests"), now=now)
    number = make.application(db, world, people.person(db, now=now), now=now)
    [review] = make.in_review(db, world, number, [identity.person_by_id(db, owner)], now=now)
    return {"number": review}


OBJECTS = {"draft": _draft, "application": _application, "decided": _decided, "review": _review, "venture": _venture}
