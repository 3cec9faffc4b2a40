"""Letters about a wallet to the people who lead its project."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.credits.models import Wallet
from portal.identity import relations as identity
from portal.notifications.operations import outbox
from portal.notifications.recipients import Recipient
from portal.projects import relations as projects
from portal.projects.states import MemberRole


def tell_leads(db: Session, kind: str, wallet_id: uuid.UUID, context: Mapping[str, Any], *, now: datetime) -> None:
    """Queue a letter of a kind for each lead of a wallet's project; a few statements, whatever their number."""
    person, project, member = identity.person.c, projects.project.c, projects.member.c
    query = (
        select(person.id, person.email, person.display_name, person.language, person.zone, project.name, project.slug)
        .select_from(Wallet)
        .join(projects.project, project.id == Wallet.project_id)
        .join(projects.member, (member.project_id == project.id) & (member.role == MemberRole.LEAD.value))
        .join(identity.person, (person.id == member.person_id) & person.is_active)
        .where(Wallet.id == wallet_id)
        .order_by(person.id)
    )
    letters = [
        (Recipient(row.id, row.email, row.language, row.zone), {"name": row.display_name, "project": row.name, "slug": row.slug, **context})
        for row in db.execute(query)
    ]
    outbox.queue_each(db, kind=kind, letters=letters, now=now)
