"""Quotas: whether a request keeps within them, and how staff set them."""

import uuid
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from portal.compute.models import Device, DeviceType, Quota
from portal.compute.queries import quotas as queries
from portal.compute.states import QuotaScope
from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Invalid, NotFound, Refused
from portal.core.ids import new_id
from portal.projects import relations as projects

MOST = 100_000


class ProjectQuotaReached(Refused):
    """The project holds all that its quota lets it hold at once."""

    text = N_("Your project’s limit for this kind of machine is %(most)s at once, and it is reached: %(who)s. A session that stops makes room.")
    field = "profile"


class PersonQuotaReached(Refused):
    """The person holds all that one person may hold at once."""

    text = N_("One person’s limit for this kind of machine is %(most)s at once, and you are at %(used)s. Stop one of your sessions first.")
    field = "profile"


class KeptForOthers(Refused):
    """What is free is guaranteed to other projects, and not lent."""

    text = N_("The machines of this kind that are free are guaranteed to other projects. Guaranteed to yours: %(guaranteed)s. Try again later.")
    field = "profile"


class NoSuchType(Invalid):
    """There is no such type of device."""

    text = N_("Choose one.")
    field = "type"


class NoSuchProject(Invalid):
    """There is no project of that name."""

    text = N_("There is no project of that short name.")
    field = "project"


class WrongAmounts(Invalid):
    """Amounts are whole numbers; no more is lent than is guaranteed; a default guarantees nothing."""

    text = N_("No more can be lent than is guaranteed, and only a project of its own is guaranteed machines.")
    field = "lendable"


class TooMuchGuaranteed(Invalid):
    """Together, projects are guaranteed no more than there is."""

    text = N_("Machines of this kind: %(total)s. Guaranteed to other projects already: %(guaranteed)s.")
    field = "guaranteed"


def require(db: Session, *, device_class: str, project_id: uuid.UUID, by: Actor) -> None:
    """Raise ProjectQuotaReached, PersonQuotaReached or KeptForOthers where one device more would go beyond a quota.

    Until the transaction ends, no other request for the type passes here.
    """
    if not queries.has_quotas(db, device_class):
        return
    _lock(db, device_class)
    stand = queries.quota_standing(db, device_class, project_id=project_id, person_id=by.person_id)
    if stand.person is not None and stand.person.used >= stand.person.most:
        raise PersonQuotaReached(most=stand.person.most, used=stand.person.used)
    if stand.project is not None and stand.project.used >= stand.project.most:
        who = ", ".join(f"{name} ({held})" for name, held in queries.holders_of_project(db, device_class, project_id))
        raise ProjectQuotaReached(most=stand.project.most, who=who or "–")
    # Where nothing is free at all, nobody's quota is the reason.
    if stand.room == 0 and stand.used < stand.total:
        raise KeptForOthers(guaranteed=stand.project.guaranteed if stand.project is not None else 0)


def set_quota(
    db: Session,
    *,
    device_class: str,
    scope: QuotaScope,
    project: str | None,
    guaranteed: int,
    borrowable: int,
    lendable: int,
    by: Actor,
    now: datetime,
) -> None:
    """Set the quota of a project (by its slug), or where None the default of every project or person.

    Raises NoSuchType, NoSuchProject, WrongAmounts, TooMuchGuaranteed.
    """
    if db.execute(select(DeviceType.id).where(DeviceType.slug == device_class)).first() is None:
        raise NoSuchType
    project_id = _project(db, project) if project and scope is QuotaScope.PROJECT else None
    is_in_range = all(0 <= amount <= MOST for amount in (guaranteed, borrowable, lendable))
    if not is_in_range or lendable > guaranteed or (project_id is None and guaranteed):
        raise WrongAmounts
    _lock(db, device_class)
    _require_there_is_enough(db, device_class, project_id, guaranteed)
    same = (Quota.device_class == device_class, Quota.scope == scope.value, Quota.project_id.is_not_distinct_from(project_id), Quota.person_id.is_(None))
    row = db.execute(select(Quota).where(*same).with_for_update()).scalar_one_or_none()
    if row is None:
        row = Quota(id=new_id(), device_class=device_class, scope=scope.value, project_id=project_id, person_id=None)
        db.add(row)
    row.guaranteed, row.borrowable, row.lendable, row.set_at = guaranteed, borrowable, lendable, now
    db.flush()
    audit.record(db, "set", "compute_quota", row.id, by=by, now=now, type=device_class, guaranteed=guaranteed, borrowable=borrowable, lendable=lendable)


def remove(db: Session, *, quota_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Let a quota no longer hold. Raises NotFound."""
    found = db.execute(delete(Quota).where(Quota.id == quota_id).returning(Quota.device_class)).scalar_one_or_none()
    if found is None:
        raise NotFound
    audit.record(db, "removed", "compute_quota", quota_id, by=by, now=now, type=found)


def _lock(db: Session, device_class: str) -> None:
    db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"compute.quota:{device_class}", 0))))


def _project(db: Session, slug: str) -> uuid.UUID:
    found = db.execute(select(projects.project.c.id).where(projects.project.c.slug == slug)).scalar_one_or_none()
    if found is None:
        raise NoSuchProject
    return found  # type: ignore[no-any-return]


def _require_there_is_enough(db: Session, device_class: str, project_id: uuid.UUID | None, guaranteed: int) -> None:
    total = db.execute(select(func.count()).select_from(Device).where(Device.device_class == device_class)).scalar_one()
    others = select(func.coalesce(func.sum(Quota.guaranteed), 0)).where(Quota.device_class == device_class, Quota.project_id.is_distinct_from(project_id))
    already = int(db.execute(others).scalar_one())
    if guaranteed and guaranteed + already > total:
        raise TooMuchGuaranteed(total=total, guaranteed=already)
