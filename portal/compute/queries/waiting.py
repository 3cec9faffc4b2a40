"""What the admission decision looks at, as plain values: devices, who holds them, who waits, who used how much.

Read under the class's lock where something is decided, without it where a page says how things stand.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Float, and_, cast, extract, func, select
from sqlalchemy.orm import Session, aliased

from portal.compute.models import ComputeSession, Device, DeviceHold, Node, Profile
from portal.compute.rules import admission, promise
from portal.compute.rules.admission import Busy, Decision, Request, decide
from portal.compute.rules.promise import Ahead, Calibration, Estimate, Live
from portal.compute.states import UNENDED, SessionState

RATIOS_READ = 600


@dataclass(frozen=True)
class Holder:
    """A session that holds a device. begins_at: when its time counts from; until it runs, from now."""

    session_id: uuid.UUID
    begins_at: datetime
    duration_s: int

    @property
    def ends_at(self) -> datetime:
        """Return when it ends at the latest."""
        return self.begins_at + timedelta(seconds=self.duration_s)


@dataclass(frozen=True)
class Waiter:
    """A request that waits."""

    session_id: uuid.UUID
    project_id: uuid.UUID
    duration_s: int
    rank_at: datetime


@dataclass(frozen=True)
class Standing:
    """A class of devices at an instant: those that are open. A closed one is no more waited for, whoever still holds it."""

    device_class: str
    free_ids: Sequence[uuid.UUID]
    holders: Sequence[Holder]
    waiters: Sequence[Waiter]
    as_of: datetime

    @property
    def capacity(self) -> int:
        """Return how many devices are open."""
        return len(self.free_ids) + len(self.holders)

    @property
    def is_contended(self) -> bool:
        """Return whether whoever comes now has to be weighed against others."""
        return bool(self.waiters) or not self.free_ids

    def decision(self, *, with_one: Waiter | None = None) -> Decision:
        """Return who starts now, as the rules decide it."""
        now_s = _second(self.as_of)
        busy = [Busy(holder.session_id, _second(holder.ends_at)) for holder in self.holders]
        waiting = [_request(waiter) for waiter in (*self.waiters, *([with_one] if with_one else []))]
        return decide(self.capacity, busy, waiting, now=now_s)

    def ahead_of(self, rank_at: datetime, session_id: uuid.UUID) -> list[Waiter]:
        """Return who is served before."""
        return [waiter for waiter in self.waiters if (waiter.rank_at, str(waiter.session_id)) < (rank_at, str(session_id))]

    def longer(self, session_id: uuid.UUID, more_s: int) -> "Standing":
        """Return the same with one session that goes on for longer."""
        holders = [replace(one, duration_s=one.duration_s + more_s) if one.session_id == session_id else one for one in self.holders]
        return Standing(self.device_class, self.free_ids, holders, self.waiters, self.as_of)

    def without(self, session_id: uuid.UUID) -> "Standing":
        """Return the same without one who waits."""
        left = [waiter for waiter in self.waiters if waiter.session_id != session_id]
        return Standing(self.device_class, self.free_ids, self.holders, left, self.as_of)


def _second(at: datetime) -> int:
    return int(at.timestamp())


def _request(waiter: Waiter) -> Request:
    return Request(waiter.session_id, waiter.project_id, waiter.duration_s, _second(waiter.rank_at))


def standing(db: Session, device_class: str, *, now: datetime) -> Standing:
    """Return how a class of devices stands; two statements."""
    hold = aliased(DeviceHold)
    begins_at = func.coalesce(ComputeSession.started_at, ComputeSession.starting_at, now)
    query = (
        select(Device.id, hold.session_id, begins_at.label("begins_at"), ComputeSession.duration_s)
        .join(Node, Node.id == Device.node_id)
        .join(hold, and_(hold.device_id == Device.id, hold.released_at.is_(None)), isouter=True)
        .join(ComputeSession, ComputeSession.id == hold.session_id, isouter=True)
        .where(Device.device_class == device_class, Device.is_open, Node.is_open)
        .order_by(Device.name)
    )
    rows = db.execute(query).all()
    waiting = (
        select(ComputeSession.id, ComputeSession.project_id, ComputeSession.duration_s, ComputeSession.rank_at)
        .join(Profile, Profile.id == ComputeSession.profile_id)
        .where(ComputeSession.state == SessionState.QUEUED, Profile.device_class == device_class)
        .order_by(ComputeSession.rank_at, ComputeSession.id)
    )
    return Standing(
        device_class,
        [row.id for row in rows if row.session_id is None],
        [Holder(row.session_id, row.begins_at, row.duration_s) for row in rows if row.session_id is not None],
        [Waiter(row.id, row.project_id, row.duration_s, row.rank_at) for row in db.execute(waiting)],
        now,
    )


def classes_waited_for(db: Session) -> list[str]:
    """Return the classes of devices that somebody waits for."""
    query = select(Profile.device_class).join(ComputeSession, ComputeSession.profile_id == Profile.id).where(ComputeSession.state == SessionState.QUEUED)
    return list(db.execute(query.distinct().order_by(Profile.device_class)).scalars())


def delay_s(db: Session, device_class: str, project_id: uuid.UUID, *, besides: uuid.UUID, now: datetime) -> int:
    """Return by how much a project's next request is put back for fair share; two statements. besides: that request itself."""
    age_s = cast(extract("epoch", now - ComputeSession.ended_at), Float)
    decayed = func.sum(ComputeSession.proven_s * func.pow(2.0, -age_s / admission.HALF_LIFE_S))
    ended = (
        select(ComputeSession.project_id, decayed.label("used_s"))
        .join(Profile, Profile.id == ComputeSession.profile_id)
        .where(Profile.device_class == device_class, ComputeSession.ended_at > now - timedelta(seconds=admission.COUNTED_S), ComputeSession.proven_s > 0)
        .group_by(ComputeSession.project_id)
    )
    used: Mapping[uuid.UUID, float] = {row.project_id: row.used_s for row in db.execute(ended)}
    live = (
        select(func.count())
        .select_from(ComputeSession)
        .join(Profile, Profile.id == ComputeSession.profile_id)
        .where(Profile.device_class == device_class, ComputeSession.project_id == project_id, ComputeSession.state.in_(UNENDED), ComputeSession.id != besides)
    )
    return admission.delay_s(own_s=used.get(project_id, 0.0), all_s=sum(used.values()), projects=len(used), own_live=db.execute(live).scalar_one())


def forecast(db: Session, stand: Standing, *, rank_at: datetime, session_id: uuid.UUID) -> tuple[Estimate, int] | None:
    """Return when a request starts that is not among those who wait, and how many are ahead; two statements. None where no device is open."""
    if not stand.capacity:
        return None
    ahead = stand.ahead_of(rank_at, session_id)
    live = [Live(max(0, int((stand.as_of - holder.begins_at).total_seconds())), holder.duration_s) for holder in stand.holders]
    found = promise.estimate(
        stand.capacity,
        live,
        [Ahead(waiter.duration_s) for waiter in ahead],
        ratios=_ratios(db, stand.device_class),
        factors=_calibration(db, stand.device_class).factors,
        seed=_second(rank_at),
    )
    return found, len(ahead)


def _ratios(db: Session, device_class: str) -> Sequence[float]:
    """Return how much of their time sessions used lately, ascending; what is usual where too few have ended."""
    query = (
        select(ComputeSession.proven_s, ComputeSession.duration_s)
        .join(Profile, Profile.id == ComputeSession.profile_id)
        .where(Profile.device_class == device_class, ComputeSession.ended_at.is_not(None), ComputeSession.proven_s > 0)
        .order_by(ComputeSession.ended_at.desc())
        .limit(RATIOS_READ)
    )
    found = sorted(min(1.0, row.proven_s / row.duration_s) for row in db.execute(query))
    return found if len(found) >= promise.FEWEST else promise.USUAL_RATIOS


def _calibration(db: Session, device_class: str) -> Calibration:
    """Return how the latest statements fared: those of sessions that have started since."""
    query = (
        select(ComputeSession.requested_at, ComputeSession.admitted_at, ComputeSession.drawn_half_s, ComputeSession.drawn_most_s)
        .join(Profile, Profile.id == ComputeSession.profile_id)
        .where(Profile.device_class == device_class, ComputeSession.most_by.is_not(None), ComputeSession.admitted_at.is_not(None))
        .order_by(ComputeSession.admitted_at.desc())
        .limit(promise.REMEMBERED)
    )
    found = Calibration()
    for row in db.execute(query):
        found.note(waited_s=(row.admitted_at - row.requested_at).total_seconds(), raw_half_s=row.drawn_half_s, raw_most_s=row.drawn_most_s)
    return found
