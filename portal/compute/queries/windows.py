"""Windows of the pool: what they keep from sessions, and the calendar of those to come."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, ScalarSelect, func, or_, select
from sqlalchemy.orm import Session

from portal.compute.models import ComputeSession, Device, DeviceHold, Node, PoolWindow
from portal.compute.states import LIVE, WindowKind
from portal.core.pages import Page, page_of
from portal.projects import relations as projects


@dataclass(frozen=True)
class WindowRow:
    """A planned window. subject: the node or the type that it is for."""

    id: uuid.UUID
    number: int
    kind: WindowKind
    subject: str
    project_name: str | None
    starts_at: datetime
    ends_at: datetime
    note: str


def kept_until(*, now: datetime, until: ColumnElement[datetime] | datetime, project_id: uuid.UUID | None) -> ScalarSelect[datetime]:
    """Return, for the `Device` of the statement around it, until when windows keep it from a session that ends at `until`.

    NULL where none does. A window that is reserved for the session's own project keeps nothing from it.
    """
    is_for_others = or_(PoolWindow.project_id.is_(None), PoolWindow.project_id.is_distinct_from(project_id))
    return (
        select(func.max(PoolWindow.ends_at))
        .where(PoolWindow.cancelled_at.is_(None), PoolWindow.ends_at > now, PoolWindow.starts_at < until, is_for_others)
        .where(or_(PoolWindow.node_id == Device.node_id, PoolWindow.device_class == Device.device_class))
        .correlate(Device)
        .scalar_subquery()
    )


def page_of_windows(db: Session, *, now: datetime, mark: str | None) -> Page[WindowRow]:
    """Return one page of the windows that are not over."""
    query = (
        select(PoolWindow.id, PoolWindow.number, PoolWindow.kind, func.coalesce(Node.name, PoolWindow.device_class).label("subject"))
        .add_columns(projects.project.c.name.label("project_name"), PoolWindow.starts_at, PoolWindow.ends_at, PoolWindow.note)
        .join(Node, Node.id == PoolWindow.node_id, isouter=True)
        .join(projects.project, projects.project.c.id == PoolWindow.project_id, isouter=True)
        .where(PoolWindow.cancelled_at.is_(None), PoolWindow.ends_at > now)
    )
    return page_of(db, query, PoolWindow.id, mark=mark, is_newest_first=False).map(lambda row: WindowRow(**{**row._asdict(), "kind": WindowKind(row.kind)}))


def sessions_reaching_into(db: Session, window: PoolWindow, *, now: datetime) -> Sequence[uuid.UUID]:
    """Return the live sessions that would still run when a window begins, on what it closes to them."""
    begins_at = func.coalesce(ComputeSession.started_at, ComputeSession.starting_at, now)
    ends_at = begins_at + func.make_interval(0, 0, 0, 0, 0, 0, ComputeSession.duration_s)
    query = (
        select(ComputeSession.id)
        .join(DeviceHold, (DeviceHold.session_id == ComputeSession.id) & DeviceHold.released_at.is_(None))
        .join(Device, Device.id == DeviceHold.device_id)
        .where(ComputeSession.state.in_(LIVE), ends_at > window.starts_at)
    )
    of_node = Device.node_id == window.node_id if window.node_id is not None else Device.device_class == window.device_class
    mine = ComputeSession.project_id.is_distinct_from(window.project_id)
    return list(db.execute(query.where(of_node, mine).order_by(ComputeSession.id)).scalars())


def latest_end(now: datetime, duration_s: int, gives_up: timedelta) -> datetime:
    """Return when a session that is requested now has ended at the latest: its duration counts from its start."""
    return now + gives_up + timedelta(seconds=duration_s)
