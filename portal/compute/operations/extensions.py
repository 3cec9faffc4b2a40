"""A running session goes on for longer than was chosen: priced, and never at the cost of whoever was promised the machine."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.compute import rules
from portal.compute.models import ComputeSession, DeviceHold, Profile
from portal.compute.operations import allowances, waiting
from portal.compute.queries import waiting as reads
from portal.compute.states import SessionState
from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid, NotFound, Refused
from portal.credits import queries as ledger
from portal.credits.operations import meters


class NotExtendable(Conflict):
    """Only a session that runs can go on for longer."""

    text = N_("Only a session that runs can be extended.")


class NoSuchExtension(Invalid):
    """A session is extended by one of the offered lengths."""

    text = N_("Choose one of the offered lengths.")


class LongestReached(Refused):
    """A session has a longest life."""

    text = N_("A session lasts %(hours)s hours at most. Save your work and start another one.")


class KeptForOthers(Refused):
    """Whoever waits was promised the machine."""

    text = N_("Somebody who waits is to have a machine of this kind when your time ends, so it cannot go on longer.")


class NothingLeft(Refused):
    """The credits do not last beyond the present end."""

    text = N_("The credits end before the time that you have already. Nothing longer can be paid.")


@dataclass(frozen=True)
class Extension:
    """How much longer a session may go on, and what that costs."""

    more_s: int
    cost_ucr: int


def extend(db: Session, *, session_id: uuid.UUID, more_s: int, by: Actor, now: datetime) -> datetime:
    """Let the actor's own running session go on for longer, and return its new end.

    Raises NotFound, NotExtendable, NoSuchExtension, LongestReached, AllowanceSpent, NothingLeft, KeptForOthers.
    """
    if more_s not in rules.EXTENSIONS_S:
        raise NoSuchExtension
    device_class = db.execute(
        select(Profile.device_class).join(ComputeSession, ComputeSession.profile_id == Profile.id).where(ComputeSession.id == session_id)
    ).scalar_one_or_none()
    if device_class is None:
        raise NotFound
    waiting.lock(db, device_class)
    row = db.execute(select(ComputeSession).where(ComputeSession.id == session_id).with_for_update()).scalar_one()
    if row.person_id != by.person_id:
        raise NotFound
    if row.state != SessionState.RUNNING or row.started_at is None:
        raise NotExtendable
    if row.duration_s + more_s > rules.LONGEST_S:
        raise LongestReached(hours=rules.LONGEST_S // 3600)
    cost = ledger.session_costs(db, [session_id], now=now)[session_id]
    allowances.require(db, project_id=row.project_id, rate_ucr_per_hour=cost.rate_ucr_per_hour, duration_s=more_s, by=by, now=now)
    if cost.is_refused or ledger.balance_of_project(db, row.project_id, now=now).free_ucr <= 0:
        raise NothingLeft
    _require_free_afterwards(db, row, device_class, more_s, now=now)
    row.duration_s += more_s
    db.flush()
    meters.change_limit(db, session_id=session_id, generation=row.generation, limit_s=row.duration_s, now=now)
    audit.record(db, "extended", "compute_session", session_id, by=by, now=now, more_s=more_s, duration_s=row.duration_s)
    return row.started_at + timedelta(seconds=row.duration_s)


def _require_free_afterwards(db: Session, row: ComputeSession, device_class: str, more_s: int, *, now: datetime) -> None:
    """Refuse where whoever is first in the queue would start later for it."""
    held = select(DeviceHold.id).where(DeviceHold.session_id == row.id, DeviceHold.released_at.is_(None))
    if db.execute(held).first() is None:
        return
    stand = reads.standing(db, device_class, now=now)
    kept, later = stand.decision().reservation, stand.longer(row.id, more_s).decision().reservation
    if kept is not None and (later is None or later.at > kept.at):
        raise KeptForOthers
