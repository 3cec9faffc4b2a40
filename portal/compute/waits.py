"""Why not now, and what would help: what a page says of a request that waits, or would wait."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal.compute.queries import Offer, offers
from portal.compute.queries import waiting as reads
from portal.compute.rules import DURATIONS_S, admission
from portal.core.ids import new_id

MOST_ALTERNATIVES = 3


@dataclass(frozen=True)
class Wait:
    """How a request stands. ahead: who is served before. free: devices that are free, and kept for whoever is first until `kept_until`.

    half_by, most_by: by when it starts, half the time and nine times in ten. shorter_s: the longest offered duration that would start
    now, None where none would. alternatives: other machines that start now, the cheapest first.
    """

    ahead: int
    total: int
    free: int
    kept_until: datetime | None
    half_by: datetime | None
    most_by: datetime | None
    shorter_s: int | None
    alternatives: Sequence[Offer] = ()


def wait_if_asked(db: Session, device_class: str, project_id: uuid.UUID, duration_s: int, *, now: datetime) -> Wait | None:
    """Return how a request would wait that came now, None where it would start at once; at most six statements."""
    stand = reads.standing(db, device_class, now=now)
    if stand.capacity and not stand.is_contended:
        return None
    me = new_id()
    delay_s = reads.delay_s(db, device_class, project_id, besides=me, now=now)
    waiter = reads.Waiter(me, project_id, duration_s, now + timedelta(seconds=delay_s))
    if me in {one.id for one in stand.decision(with_one=waiter).starts}:
        return None
    found = reads.forecast(db, stand, rank_at=waiter.rank_at, session_id=me)
    half_by, most_by = (now + timedelta(seconds=found[0].half_s), now + timedelta(seconds=found[0].most_s)) if found else (None, None)
    return _wait(stand, waiter, half_by, most_by)


def wait_of(db: Session, session_id: uuid.UUID, profile_slug: str, *, now: datetime) -> Wait | None:
    """Return how a request waits that is in the queue, with what would start at once instead; None once it has left. Four statements."""
    found = offers(db, now=now)
    own = next((one for one in found if one.slug == profile_slug), None)
    if own is None:
        return None
    stand = reads.standing(db, own.device_class, now=now)
    me = next((one for one in stand.waiters if one.session_id == session_id), None)
    if me is None:
        return None
    # Whoever waits for a GPU is not helped by a machine without one.
    helping = (one for one in found if one.free and one.device_class != own.device_class and (one.gpu_memory_gb > 0 or not own.gpu_memory_gb))
    others = sorted(helping, key=lambda one: one.rate_ucr_per_hour)
    return _wait(stand, me, None, None, others[:MOST_ALTERNATIVES])


def _wait(stand: reads.Standing, me: reads.Waiter, half_by: datetime | None, most_by: datetime | None, others: Sequence[Offer] = ()) -> Wait:
    decision = stand.without(me.session_id).decision(with_one=me)
    fits_s = admission.fits_now_for_s(decision, len(stand.free_ids), now=int(stand.as_of.timestamp()))
    shorter_s = max((one for one in DURATIONS_S if fits_s is not None and one <= fits_s and one < me.duration_s), default=None)
    kept = decision.reservation
    kept_until = datetime.fromtimestamp(kept.at, tz=stand.as_of.tzinfo) if kept is not None and kept.id != me.session_id and stand.free_ids else None
    return Wait(len(stand.ahead_of(me.rank_at, me.session_id)), stand.capacity, len(stand.free_ids), kept_until, half_by, most_by, shorter_s, others)
