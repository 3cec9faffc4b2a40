"""Which warnings people want for which wallets, and whom the daily mail concerns."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Subquery, and_, exists, null, select, union
from sqlalchemy.orm import Session

from portal.credits import bulk
from portal.credits.models import CreditDigest, CreditWatch, Wallet
from portal.credits.permissions import HOLDERS, Permission
from portal.credits.queries.wallets import READERS
from portal.credits.rules.thresholds import NOTHING, OF_LEADS, Watch
from portal.identity import relations as identity
from portal.projects import relations as projects
from portal.projects.states import MemberRole

_COLUMNS: tuple[Any, ...] = (
    CreditWatch.below_ucr,
    CreditWatch.days_left,
    CreditWatch.lot_days,
    CreditWatch.lot_over_ucr,
    CreditWatch.used_percent,
    CreditWatch.idle_days,
)


@dataclass(frozen=True)
class Wanted:
    """What a person wants for a wallet; is_chosen: they said so themselves. is_lead: they lead its project."""

    watch: Watch
    is_chosen: bool
    is_lead: bool


@dataclass(frozen=True)
class Concern:
    """A wallet that a person wants to hear about."""

    person_id: uuid.UUID
    wallet_id: uuid.UUID
    project_name: str
    project_slug: str
    watch: Watch


def _wanted(row: Any) -> Wanted:
    is_lead = row.role == MemberRole.LEAD.value
    if row.set_at is not None:
        return Wanted(Watch(*[getattr(row, column.key) for column in _COLUMNS]), is_chosen=True, is_lead=is_lead)
    return Wanted(OF_LEADS if is_lead else NOTHING, is_chosen=False, is_lead=is_lead)


def wanted(db: Session, person_id: uuid.UUID, wallet_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Wanted]:
    """Return what a person wants for wallets, by wallet; one statement."""
    member = projects.member.c
    query = (
        select(Wallet.id, member.role, CreditWatch.set_at, *_COLUMNS)
        .join(projects.member, and_(member.project_id == Wallet.project_id, member.person_id == person_id), isouter=True)
        .join(CreditWatch, and_(CreditWatch.wallet_id == Wallet.id, CreditWatch.person_id == person_id), isouter=True)
        .where(bulk.among(Wallet.id, wallet_ids))
    )
    return {row.id: _wanted(row) for row in db.execute(query)}


def is_switched_off(db: Session, person_id: uuid.UUID) -> bool:
    """Return whether a person switched the daily mail off."""
    return bool(db.execute(select(CreditDigest.is_off).where(CreditDigest.person_id == person_id)).scalar_one_or_none())


def readers() -> Subquery:
    """Return person_id, wallet_id and role of everybody who has a part in an open project, or may read every wallet and chose warnings."""
    member, project = projects.member.c, projects.project.c
    parts: Select[Any] = (
        select(member.person_id, Wallet.id.label("wallet_id"), member.role)
        .join_from(projects.member, projects.project, and_(project.id == member.project_id, project.is_open))
        .join(Wallet, Wallet.project_id == project.id)
        .where(member.role.in_(READERS))
    )
    role = identity.role.c
    roles = [held.value for held in HOLDERS[Permission.SEE_EVERY_WALLET]]
    may_read = exists().where(role.person_id == CreditWatch.person_id, role.role.in_(roles))
    has_part = exists().where(member.person_id == CreditWatch.person_id, member.project_id == project.id, member.role.in_(READERS))
    others = (
        select(CreditWatch.person_id, CreditWatch.wallet_id, null().label("role"))
        .join_from(CreditWatch, Wallet, Wallet.id == CreditWatch.wallet_id)
        .join(projects.project, and_(project.id == Wallet.project_id, project.is_open))
        .where(may_read, ~has_part)
    )
    return union(parts, others).subquery("readers")


def concerns(db: Session, people: Collection[uuid.UUID]) -> list[Concern]:
    """Return the wallets that people want to hear about, by person and project; one statement."""
    reader, project = readers(), projects.project.c
    query = (
        select(reader.c.person_id, reader.c.wallet_id, reader.c.role, project.name, project.slug, CreditWatch.set_at, *_COLUMNS)
        .join_from(reader, Wallet, Wallet.id == reader.c.wallet_id)
        .join(projects.project, project.id == Wallet.project_id)
        .join(CreditWatch, and_(CreditWatch.wallet_id == reader.c.wallet_id, CreditWatch.person_id == reader.c.person_id), isouter=True)
        .where(bulk.among(reader.c.person_id, people))
        .order_by(reader.c.person_id, project.number)
    )
    found = [Concern(row.person_id, row.wallet_id, row.name, row.slug, _wanted(row).watch) for row in db.execute(query)]
    return [concern for concern in found if not concern.watch.is_empty]
