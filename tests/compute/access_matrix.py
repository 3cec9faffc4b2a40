"""Rows of compute in the permission matrix."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.compute.models import AllowanceAsk, ComputeSession
from portal.compute.operations import allowances, sessions
from portal.compute.permissions import Permission
from portal.core.access import Actor
from portal.core.quantities import credits_ucr
from portal.credits.operations import wallets
from portal.identity import queries as identity
from portal.projects import relations
from portal.projects.operations import members, projects
from portal.projects.states import MemberRole, ProjectKind
from tests.architecture.access_matrix import Row
from tests.factories import compute as make
from tests.factories import credits as ledger
from tests.factories import identity as people


def make_session(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    """Make a session that the owner requested."""
    make.small_pool(db, now=now)
    project_id = projects.open(db, kind=ProjectKind.PERSON, name="Own work", by=make.TESTS, now=now)
    members.add(db, project_id=project_id, person_id=owner, role=MemberRole.LEAD, by=make.TESTS, now=now)
    ledger.lot(db, wallets.open(db, project_id=project_id, by=make.TESTS, now=now), now=now)
    by = identity.actor_of(db, owner)
    session_id = sessions.request(db, project_id=project_id, profile_slug="cpu-notebook", duration_s=3600, label="Own work", by=by, now=now)
    return {"number": db.execute(select(ComputeSession.number).where(ComputeSession.id == session_id)).scalar_one()}


def make_charge(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    """Make a session of the owner's, whose charge can be opened."""
    number = make_session(db, owner, now)["number"]
    return {"session_id": db.execute(select(ComputeSession.id).where(ComputeSession.number == number)).scalar_one()}


def make_led_project(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    """Make a project that the owner leads, with a member."""
    return {"slug": _led(db, owner, now)[1], "member": "everybody"}


def make_asked(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    """Make a request for more in a project that the owner leads."""
    project_id, slug, member = _led(db, owner, now)
    by = identity.actor_of(db, owner)
    allowances.set_weekly(db, project_id=project_id, person_id=None, weekly_ucr=credits_ucr(5), by=by, now=now)
    id_ = allowances.ask(db, project_id=project_id, asked_ucr=credits_ucr(5), reason="Evaluation", by=member, now=now)
    return {"slug": slug, "number": db.execute(select(AllowanceAsk.number).where(AllowanceAsk.id == id_)).scalar_one()}


def _led(db: Session, owner: UUID, now: datetime) -> tuple[UUID, str, Actor]:
    project_id = projects.open(db, kind=ProjectKind.VENTURE, name="Shared work", by=make.TESTS, now=now)
    members.add(db, project_id=project_id, person_id=owner, role=MemberRole.LEAD, by=make.TESTS, now=now)
    person = people.person(db, now=now)
    members.add(db, project_id=project_id, person_id=person.id, role=MemberRole.MEMBER, by=make.TESTS, now=now)
    return project_id, db.execute(select(relations.project.c.slug).where(relations.project.c.id == project_id)).scalar_one(), person.actor


ROWS = {
    "compute.session_list": Row("signed_in", relation="own sessions; leads also their projects'; staff all"),
    "compute.launch": Row("signed_in", relation="pays from projects of which one is lead or member"),
    "compute.session_page": Row("signed_in", relation="own; lead of its project; staff", object="session"),
    "compute.session_panel": Row("signed_in", relation="own; lead of its project; staff", object="session"),
    "compute.extend": Row("signed_in", relation="own", object="session", owner_gets=False),
    "compute.stop": Row("signed_in", relation="own; lead of its project; staff", object="session"),
    "compute.ask_for_more": Row("signed_in", relation="pays from the project"),
    "compute.withdraw_more": Row("signed_in", relation="pays from the project; the own request alone"),
    "compute.allowance_list": Row("signed_in", relation="leads of the project", object="led_project"),
    "compute.set_allowance": Row("signed_in", relation="leads of the project", object="led_project"),
    "compute.answer_ask": Row("signed_in", relation="leads of the project", object="asked"),
    "compute.charge": Row("signed_in", relation="whoever may see the wallet that pays", object="charge"),
    "compute.limits": Row("signed_in"),
    "compute.promise_list": Row("signed_in", relation="names nobody"),
    "compute.incident_list": Row("permission", permission=Permission.MAKE_GOOD),
    "compute.new_incident": Row("permission", permission=Permission.MAKE_GOOD),
    "compute.incident_page": Row("permission", permission=Permission.MAKE_GOOD),
    "compute.confirm_incident": Row("permission", permission=Permission.MAKE_GOOD, relation="a second person where one's own project would gain"),
    "compute.decide_incident": Row("permission", permission=Permission.MAKE_GOOD, relation="never whoever asked, nor for a project of one's own"),
    "compute.pool": Row("permission", permission=Permission.SEE_POOL),
}
OBJECTS = {"session": make_session, "charge": make_charge, "led_project": make_led_project, "asked": make_asked}
