"""States of nodes, and devices that are set aside because starts on them keep failing.

A session that runs goes on whatever the state of its node is; only new ones are kept away.
"""

import uuid
from datetime import datetime

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from portal.compute.models import ComputeSession, Device, DeviceHold, Node
from portal.compute.states import NODE, NodeState
from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, NotFound

FAILED_STARTS_MAX = 3


class NotSetAside(Conflict):
    """The device is in service, or was closed by an operator."""

    text = N_("This device is not set aside.")


def change(db: Session, *, name: str, step: str, by: Actor, now: datetime) -> NodeState:
    """Take a node one step of its machine further and return its state. Raises NotFound, WrongState."""
    row = db.execute(select(Node).where(Node.name == name).with_for_update()).scalar_one_or_none()
    if row is None or step not in NODE.transitions:
        raise NotFound
    before = NodeState(row.state)
    after = NODE.target(step, before)
    row.state, row.is_open = after.value, after is NodeState.OPEN
    db.flush()
    audit.record(db, "changed state", "compute_node", row.id, by=by, now=now, before=before.value, after=after.value)
    return after


def reopen_device(db: Session, *, name: str, by: Actor, now: datetime) -> None:
    """Take a device that was set aside back into service; its failures count anew. Raises NotFound, NotSetAside."""
    row = db.execute(select(Device).where(Device.name == name).with_for_update()).scalar_one_or_none()
    if row is None:
        raise NotFound
    if row.set_aside_at is None:
        raise NotSetAside
    row.set_aside_at, row.failed_starts, row.failed_person_id, row.is_open = None, 0, None, True
    db.flush()
    audit.record(db, "reopened", "compute_device", row.id, by=by, now=now, name=name)


def note_start(db: Session, row: ComputeSession) -> None:
    """Note that a session came up on its device: failures before it no longer count."""
    db.execute(update(Device).where(Device.id.in_(_held_by(row.id)), Device.failed_starts > 0).values(failed_starts=0, failed_person_id=None))


def note_failed_start(db: Session, row: ComputeSession, *, by: Actor, now: datetime) -> None:
    """Count a start that failed on the device of a session; after a few in a row the device is set aside.

    Call it while the session still holds the device. Failures of one person in a row count once: their home may be at fault,
    and must not close one device after the other.
    """
    devices = db.execute(select(Device).where(Device.id.in_(_held_by(row.id))).with_for_update()).scalars().all()
    for device in devices:
        if device.failed_person_id == row.person_id:
            continue
        device.failed_starts, device.failed_person_id = device.failed_starts + 1, row.person_id
        if device.failed_starts >= FAILED_STARTS_MAX and device.is_open:
            device.set_aside_at, device.is_open = now, False
            audit.record(db, "set aside", "compute_device", device.id, by=by, now=now, name=device.name, failed_starts=device.failed_starts)
    db.flush()


def _held_by(session_id: uuid.UUID) -> Select[uuid.UUID]:
    return select(DeviceHold.device_id).where(DeviceHold.session_id == session_id, DeviceHold.released_at.is_(None))
