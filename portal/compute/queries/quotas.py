"""Quotas and their use: how many devices of a type a project and a person may hold now."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from portal.compute.models import ComputeSession, Device, DeviceHold, Node, Quota
from portal.compute.states import QuotaScope
from portal.identity import relations as identity
from portal.projects import relations as projects


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota and what is held of it now."""

    guaranteed: int
    borrowable: int
    lendable: int
    used: int

    @property
    def most(self) -> int:
        """Return the most that may be held at once."""
        return self.guaranteed + self.borrowable

    @property
    def kept(self) -> int:
        """Return what nobody else may take although it is not in use."""
        return max(0, self.guaranteed - self.lendable - self.used)


@dataclass(frozen=True, slots=True)
class QuotaStanding:
    """What a project and a person may still take of a type. total, used: of everybody. kept: for other projects."""

    total: int
    used: int
    kept: int
    project: Limit | None
    person: Limit | None

    @property
    def room(self) -> int:
        """Return how many devices more may be taken now, were they free; never negative."""
        unclaimed = max(0, self.total - self.used - self.kept)
        person = unclaimed if self.person is None else max(0, self.person.most - self.person.used)
        if self.project is None:
            return min(unclaimed, person)
        own = max(0, self.project.guaranteed - self.project.used)
        borrowed = max(0, min(self.project.most - max(self.project.used, self.project.guaranteed), unclaimed - own))
        return min(person, own + borrowed) if self.person is not None else own + borrowed


@dataclass(frozen=True)
class QuotaRow:
    """A quota as its staff see it. subject: None for the default."""

    id: uuid.UUID
    device_class: str
    scope: QuotaScope
    subject: str | None
    limit: Limit


def has_quotas(db: Session, device_class: str) -> bool:
    """Return whether anything limits a type."""
    return db.execute(select(Quota.id).where(Quota.device_class == device_class).limit(1)).first() is not None


def quota_standing(db: Session, device_class: str, *, project_id: uuid.UUID, person_id: uuid.UUID | None) -> QuotaStanding:
    """Return how a type stands for one project and one person of it; three statements."""
    quotas = db.execute(select(Quota).where(Quota.device_class == device_class)).scalars().all()
    open_devices = select(func.count()).select_from(Device).join(Node).where(Device.device_class == device_class, Device.is_open, Node.is_open)
    held = _holds().where(Device.device_class == device_class).add_columns(ComputeSession.project_id, ComputeSession.person_id)
    rows = db.execute(held.group_by(ComputeSession.project_id, ComputeSession.person_id)).all()
    of_projects: dict[uuid.UUID, int] = {}
    for row in rows:
        of_projects[row.project_id] = of_projects.get(row.project_id, 0) + row.held
    of_person = sum(row.held for row in rows if row.person_id == person_id)
    others = [quota for quota in quotas if quota.project_id not in {None, project_id}]
    return QuotaStanding(
        total=db.execute(open_devices).scalar_one(),
        used=sum(of_projects.values()),
        kept=sum(_limit(quota, of_projects.get(quota.project_id, 0)).kept for quota in others if quota.project_id is not None),
        project=_effective(quotas, QuotaScope.PROJECT, project_id, of_projects.get(project_id, 0)),
        person=_effective(quotas, QuotaScope.PERSON, person_id, of_person),
    )


def holders_of_project(db: Session, device_class: str, project_id: uuid.UUID) -> Sequence[tuple[str, int]]:
    """Return who of a project holds devices of a type, and how many."""
    person = identity.person.c
    query = (
        _holds()
        .add_columns(person.display_name)
        .join(identity.person, person.id == ComputeSession.person_id)
        .where(Device.device_class == device_class, ComputeSession.project_id == project_id)
        .group_by(person.id, person.display_name)
        .order_by(person.display_name)
    )
    return [(row.display_name, row.held) for row in db.execute(query)]


def quota_rows(db: Session) -> list[QuotaRow]:
    """Return every quota with what is held of it; defaults, which many share, with none."""
    held = _holds().add_columns(Device.device_class, ComputeSession.project_id, ComputeSession.person_id)
    rows = db.execute(held.group_by(Device.device_class, ComputeSession.project_id, ComputeSession.person_id)).all()
    query = (
        select(Quota, func.coalesce(projects.project.c.name, identity.person.c.display_name).label("subject"))
        .join(projects.project, projects.project.c.id == Quota.project_id, isouter=True)
        .join(identity.person, identity.person.c.id == Quota.person_id, isouter=True)
        .order_by(Quota.device_class, Quota.scope.desc(), Quota.id)
    )
    found = []
    for quota, subject in db.execute(query):
        mine = [row for row in rows if row.device_class == quota.device_class]
        used = sum(row.held for row in mine if subject is not None and (row.project_id == quota.project_id or row.person_id == quota.person_id))
        found.append(QuotaRow(quota.id, quota.device_class, QuotaScope(quota.scope), subject, _limit(quota, used)))
    return found


def _holds() -> Select[Any]:
    return (
        select(func.count().label("held"))
        .select_from(DeviceHold)
        .join(Device, Device.id == DeviceHold.device_id)
        .join(ComputeSession, ComputeSession.id == DeviceHold.session_id)
        .where(DeviceHold.released_at.is_(None))
    )


def _limit(quota: Quota, used: int) -> Limit:
    return Limit(quota.guaranteed, quota.borrowable, quota.lendable, used)


def _effective(quotas: Sequence[Quota], scope: QuotaScope, subject: uuid.UUID | None, used: int) -> Limit | None:
    of_scope = [quota for quota in quotas if quota.scope == scope]
    own = [quota for quota in of_scope if subject is not None and subject in {quota.project_id, quota.person_id}]
    default = [quota for quota in of_scope if quota.project_id is None and quota.person_id is None]
    return _limit((own or default)[0], used) if own or default else None
