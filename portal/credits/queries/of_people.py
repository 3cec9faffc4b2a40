"""Balances as people and projects have them: by person, by project."""

import uuid
from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, Uuid, bindparam, select
from sqlalchemy.orm import Session

from portal.core.database import Instant
from portal.core.errors import NotFound
from portal.credits.models import Wallet
from portal.credits.queries.balances import Balance, balance_of_row, balances_query, balances_where
from portal.projects import relations as projects
from portal.projects.states import MemberRole

SPENDERS = (MemberRole.LEAD.value, MemberRole.MEMBER.value)


def wallets_of_projects(db: Session, project_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """Return the wallets of projects, by project; a project without a wallet is left out."""
    if not project_ids:
        return {}
    rows = db.execute(select(Wallet.project_id, Wallet.id).where(Wallet.project_id.in_(project_ids)))
    return {row.project_id: row.id for row in rows}


@cache
def _of_person() -> Select[Any]:
    """Return the statement of every page; it is built once a process, because building it costs more than running it."""
    member, project = projects.member.c, projects.project.c
    own = (
        select(member.project_id)
        .join_from(projects.member, projects.project, project.id == member.project_id)
        .where(member.person_id == bindparam("person_id", type_=Uuid()), member.role.in_(SPENDERS), project.is_open)
    )
    return balances_query(Wallet.project_id.in_(own), bindparam("now", type_=Instant()))


def balance_of_person(db: Session, person_id: uuid.UUID, *, now: datetime) -> Balance | None:
    """Return the sum over the wallets of a person's open projects (a learner's course runs apart), None without any.

    One statement, as every page shows it. The sum carries the first wallet's id and the oldest evidence of all.
    """
    found = [balance_of_row(row, now) for row in db.execute(_of_person(), {"person_id": person_id, "now": now})]
    if not found:
        return None
    seen = [one.seen_at for one in found if one.seen_at is not None]
    return Balance(
        wallet_id=found[0].wallet_id,
        balance_ucr=sum(one.balance_ucr for one in found),
        held_ucr=sum(one.held_ucr for one in found),
        free_ucr=sum(one.free_ucr for one in found),
        debt_ucr=sum(one.debt_ucr for one in found),
        running=sum(one.running for one in found),
        seen_at=min(seen) if seen else None,
        as_of=now,
        given_ucr=sum(one.given_ucr for one in found),
    )


def balance_of_project(db: Session, project_id: uuid.UUID, *, now: datetime) -> Balance:
    """Return the balance of a project's wallet; one statement. Raises NotFound."""
    found = balances_where(db, Wallet.project_id == project_id, now=now)
    if not found:
        raise NotFound
    return next(iter(found.values()))
