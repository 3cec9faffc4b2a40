"""Rows of compute in the permission matrix."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.compute.models import ComputeSession
from portal.compute.operations import sessions
from portal.compute.permissions import Permission
from portal.credits.operations import wallets
from portal.identity import queries as identity
from portal.projects.operations import members, projects
from portal.projects.states import MemberRole, ProjectKind
from tests.architecture.access_matrix import Row
from tests.factories import compute as make
from tests.factories import credits as ledger


def make_session(db: Session, owner: UUID, now: datetime) -> Mapping[str, Any]:
    """Make a session that the owner requested."""
    make.small_pool(db, now=now)
    project_id = projects.open(db, kind=ProjectKind.PERSON, name="Own work", by=make.TESTS, now=now)
    members.add(db, project_id=project_id, person_id=owner, role=MemberRole.LEAD, by=make.TESTS, now=now)
    ledger.lot(db, wallets.open(db, project_id=project_id, by=make.TESTS, now=now), now=now)
    by = identity.actor_of(db, owner)
    session_id = sessions.request(db, project_id=project_id, profile_slug="cpu-notebook", duration_s=3600, label="Own work", by=by, now=now)
    return {"number": db.execute(select(ComputeSession.number).where(ComputeSession.id == session_id)).scalar_one()}


ROWS = {
    "compute.session_list": Row("signed_in", relation="own sessions; leads also their projects'; staff all"),
    "compute.launch": Row("signed_in", relation="pays from projects of which one is lead or member"),
    "compute.session_page": Row("signed_in", relation="own; lead of its project; staff", object="session"),
    "compute.session_panel": Row("signed_in", relation="own; lead of its project; staff", object="session"),
    "compute.stop": Row("signed_in", relation="own; lead of its project; staff", object="session"),
    "compute.limits": Row("signed_in"),
    "compute.pool": Row("permission", permission=Permission.SEE_POOL),
}
OBJECTS = {"session": make_session}
