"""Reads of ventures: members see their own, staff and finance all."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.incubation.models import ProgramApplication, ProgramCall, Venture
from portal.incubation.permissions import HOLDERS, Permission
from portal.incubation.states import VentureState
from portal.projects import relations as projects


@dataclass(frozen=True)
class VentureCard:
    """A venture with its project and the application that it came from."""

    id: uuid.UUID
    number: int
    name: str
    state: VentureState
    admitted_at: datetime
    project_id: uuid.UUID
    project_slug: str
    application_id: uuid.UUID
    application_number: int
    lead_id: uuid.UUID
    call: dict[str, str]


def _visible(actor: Actor) -> Select[Any]:
    project, member = projects.project.c, projects.member.c
    query = (
        select(
            Venture.id,
            Venture.number,
            Venture.name,
            Venture.state,
            Venture.admitted_at,
            Venture.project_id,
            project.slug,
            ProgramApplication.id.label("application_id"),
            ProgramApplication.number.label("application_number"),
            ProgramApplication.lead_id,
            ProgramCall.title.label("call"),
        )
        .join(projects.project, project.id == Venture.project_id)
        .join(ProgramApplication, ProgramApplication.id == Venture.application_id)
        .join(ProgramCall, ProgramCall.id == ProgramApplication.call_id)
    )
    if actor.has(*HOLDERS[Permission.SEE_VENTURES]):
        return query
    return query.where(Venture.project_id.in_(select(member.project_id).where(member.person_id == actor.id)))


def _card(row: Any) -> VentureCard:
    values = list(row)
    values[3] = VentureState(values[3])
    return VentureCard(*values)


def page_of_ventures(db: Session, *, actor: Actor, mark: str | None) -> Page[VentureCard]:
    """Return one page of the ventures that the actor may see, newest first."""
    return page_of(db, _visible(actor), Venture.id, mark=mark).map(_card)


def venture_by_number(db: Session, number: int, *, actor: Actor) -> VentureCard:
    """Return a venture that the actor may see. Raises NotFound."""
    row = db.execute(_visible(actor).where(Venture.number == number)).one_or_none()
    if row is None:
        raise NotFound
    return _card(row)
