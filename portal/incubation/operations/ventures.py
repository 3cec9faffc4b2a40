"""An accepted application becomes a venture: project, lead, wallet and credits, in the transaction of the release."""

import uuid
from datetime import datetime

from sqlalchemy.orm import Session

from portal.core import audit, facts
from portal.core.access import Actor
from portal.core.ids import new_id
from portal.credits.operations import grants, wallets
from portal.identity.queries import actor_of
from portal.incubation.models import Decision, ProgramApplication, Venture
from portal.incubation.states import VentureState
from portal.projects.operations import members, projects
from portal.projects.states import MemberRole, ProjectKind

PURPOSE = "incubation"


def admit(db: Session, *, application: ProgramApplication, decision: Decision, fund_id: uuid.UUID, awarded_ucr: int, by: Actor, now: datetime) -> uuid.UUID:
    """Open the venture's project and wallet, make the applicant its lead, and grant what was awarded.

    Raises what `grants.give` raises when the fund's budget does not reach; nothing stays then.
    """
    project_id = projects.open(db, kind=ProjectKind.VENTURE, name=decision.venture_name, by=by, now=now)
    members.add(db, project_id=project_id, person_id=application.lead_id, role=MemberRole.LEAD, by=by, now=now)
    wallet_id = wallets.open(db, project_id=project_id, by=by, now=now)
    venture = Venture(
        id=new_id(),
        name=decision.venture_name,
        project_id=project_id,
        application_id=application.id,
        decision_id=decision.id,
        state=VentureState.ACTIVE.value,
        admitted_at=now,
    )
    db.add(venture)
    db.flush()
    if awarded_ucr and decision.credits_expire_at is not None:
        grants.give(
            db,
            grant_id=decision.id,
            wallet_id=wallet_id,
            fund_id=fund_id,
            amount_ucr=awarded_ucr,
            purpose=PURPOSE,
            classes=None,
            effective_at=now,
            expires_at=decision.credits_expire_at,
            by=by,
            now=now,
            approved_by=actor_of(db, decision.prepared_by),
        )
    audit.record(db, "admitted", "venture", venture.id, by=by, now=now, project_id=str(project_id), awarded_ucr=awarded_ucr)
    facts.write(db, "incubation.venture_admitted", venture.id, now=now, project_id=str(project_id), person_id=str(application.lead_id))
    return venture.id
