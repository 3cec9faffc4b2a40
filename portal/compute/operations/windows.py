"""Planned windows: when a node is maintained, a type is closed, or kept for one project."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.compute.models import DeviceType, Node, PoolWindow
from portal.compute.operations.letters import write_letters
from portal.compute.queries.windows import sessions_reaching_into
from portal.compute.states import WindowKind
from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid, NotFound
from portal.core.ids import new_id
from portal.projects import relations as projects

LONGEST = timedelta(days=60)
NOTE_LENGTH = 400


@dataclass(frozen=True)
class Planned:
    """A window that was planned, and how many people of sessions that reach into it were told."""

    number: int
    told: int


class WrongWindow(Invalid):
    """A window lies ahead, ends after it begins and lasts at most LONGEST."""

    text = N_("A window ends after it begins, lies ahead, and lasts 60 days at most.")
    field = "ends"


class NothingChosen(Invalid):
    """Maintenance is of a node; closing and keeping is of a kind of machine, and keeping for a project."""

    text = N_("Choose one.")


class WindowThere(Conflict):
    """Two windows of one subject never overlap."""

    text = N_("There is a window at that time already.")
    field = "begins"


def plan(
    db: Session,
    *,
    kind: WindowKind,
    node: str | None,
    device_class: str | None,
    project: str | None,
    starts_at: datetime,
    ends_at: datetime,
    note: str,
    by: Actor,
    now: datetime,
) -> Planned:
    """Plan a window and write to the people of sessions that reach into it.

    node, project: by name and slug; what the kind does not need is ignored. Raises NothingChosen, WrongWindow, WindowThere.
    """
    if ends_at <= now or not starts_at < ends_at <= starts_at + LONGEST:
        raise WrongWindow
    row = PoolWindow(id=new_id(), kind=kind.value, starts_at=starts_at, ends_at=ends_at, note=note, planned_at=now, cancelled_at=None)
    _set_subject(db, row, kind, node=node, device_class=device_class, project=project)
    same = PoolWindow.node_id == row.node_id if row.node_id is not None else PoolWindow.device_class == row.device_class
    # Windows are planned rarely: one at a time, so that the look and the constraint agree.
    db.execute(select(Node.id if row.node_id is not None else DeviceType.id).with_for_update())
    overlapping = select(PoolWindow.id).where(same, PoolWindow.cancelled_at.is_(None), PoolWindow.starts_at < ends_at, PoolWindow.ends_at > starts_at)
    if db.execute(overlapping).first() is not None:
        raise WindowThere
    db.add(row)
    db.flush()
    audit.record(db, "planned", "pool_window", row.id, by=by, now=now, kind=kind.value, starts_at=starts_at.isoformat(), ends_at=ends_at.isoformat())
    reaching = sessions_reaching_into(db, row, now=now)
    more = {id_: {"begins_at": starts_at.isoformat(), "note": note} for id_ in reaching}
    write_letters(db, "compute.window_ahead", reaching, now=now, more=more)
    return Planned(row.number, len(reaching))


def cancel(db: Session, *, number: int, by: Actor, now: datetime) -> None:
    """Give a window up; a second time changes nothing. Raises NotFound."""
    row = db.execute(select(PoolWindow).where(PoolWindow.number == number).with_for_update()).scalar_one_or_none()
    if row is None:
        raise NotFound
    if row.cancelled_at is None:
        row.cancelled_at = now
        db.flush()
        audit.record(db, "cancelled", "pool_window", row.id, by=by, now=now)


def _set_subject(db: Session, row: PoolWindow, kind: WindowKind, *, node: str | None, device_class: str | None, project: str | None) -> None:
    if kind is WindowKind.MAINTENANCE:
        row.node_id = db.execute(select(Node.id).where(Node.name == node)).scalar_one_or_none()
        if row.node_id is None:
            raise NothingChosen(field="node")
        return
    row.device_class = db.execute(select(DeviceType.slug).where(DeviceType.slug == device_class)).scalar_one_or_none()
    if row.device_class is None:
        raise NothingChosen(field="type")
    if kind is WindowKind.RESERVED:
        row.project_id = db.execute(select(projects.project.c.id).where(projects.project.c.slug == project)).scalar_one_or_none()
        if row.project_id is None:
            raise NothingChosen(field="project")
