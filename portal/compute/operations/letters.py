"""Letters to the person of a session."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.compute.models import ComputeSession, Profile
from portal.core.database import Json
from portal.credits import queries as ledger
from portal.identity import relations as identity
from portal.notifications.operations import outbox
from portal.notifications.recipients import Recipient
from portal.projects import relations as projects


def write_letters(
    db: Session, kind: str, session_ids: Sequence[uuid.UUID], *, now: datetime, more: Mapping[uuid.UUID, Mapping[str, object]] | None = None
) -> None:
    """Queue a letter of a kind for each session, all of them in a few statements. more: what a session's letter also tells."""
    if not session_ids:
        return
    costs = ledger.session_costs(db, list(session_ids), now=now)
    person, project = identity.person.c, projects.project.c
    query = (
        select(ComputeSession.id, ComputeSession.number, ComputeSession.label, Profile.name.label("profile"), project.name.label("project"), project.slug)
        .add_columns(person.id.label("person_id"), person.display_name, person.email, person.language, person.zone)
        .join(Profile, Profile.id == ComputeSession.profile_id)
        .join(projects.project, project.id == ComputeSession.project_id)
        .join(identity.person, person.id == ComputeSession.person_id)
        .where(ComputeSession.id.in_(session_ids))
        .order_by(ComputeSession.id)
    )
    letters: list[tuple[Recipient, Json]] = []
    for row in db.execute(query):
        cost = costs.get(row.id)
        context = {
            "name": row.display_name,
            "session": row.label or row.profile.get(row.language) or row.profile["en"],
            "number": row.number,
            "project": row.project,
            "ends_at": cost.window_ends_at.isoformat() if cost is not None else None,
            "cost_ucr": cost.cost_ucr if cost is not None else 0,
        }
        letters.append((Recipient(row.person_id, row.email, row.language, row.zone), {**context, **(more or {}).get(row.id, {})}))
    outbox.queue_each(db, kind=kind, letters=letters, now=now)
