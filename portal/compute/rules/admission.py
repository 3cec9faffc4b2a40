"""Who starts now, who waits, and until when: one decision for one class of devices, pure and deterministic.

Requests stand in the order of their *rank*: the instant at which they came, later by a delay of fair share that is fixed
when they come and never more than `MOST_DELAY_S`. So nobody who comes later than that is ever ahead, and nobody starves.
Whoever is first and does not fit gets a *reservation*: the earliest instant at which enough devices are surely free, since
a session ends at its asked time at the latest. Others start before that only where it cannot come later through them
(EASY backfilling, Lifka 1995): they end before it, or use devices that the first does not need then.

Times are whole seconds of one clock. Nothing here knows credits: whether a request can be paid is asked where it starts.
"""

from bisect import insort
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

HALF_LIFE_S = 7 * 86_400
COUNTED_S = 4 * HALF_LIFE_S
MOST_DELAY_S = 4 * 3600
ENTRY_DELAY_S = 600
OVER_USE_DELAY_S = 3600


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody who waits. asked_s: how long the session may last at most. rank: what the order goes by, in seconds."""

    id: Hashable
    project: Hashable
    asked_s: int
    rank: int
    gpus: int = 1


@dataclass(frozen=True, slots=True)
class Busy:
    """Devices that are held until `ends_at` at the latest."""

    id: Hashable
    ends_at: int
    gpus: int = 1


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is kept for the first who waits: from `at` on it has its devices; `spare` are free then beside them."""

    id: Hashable
    at: int
    spare: int


@dataclass(frozen=True)
class Decision:
    """Who starts now, in the order of rank; for whom devices are kept; who asks for more than there will ever be; who is at a limit."""

    starts: Sequence[Request] = ()
    reservation: Reservation | None = None
    too_large: Sequence[Request] = ()
    limited: Sequence[Request] = field(default=())


def in_order(waiting: Iterable[Request]) -> list[Request]:
    """Return requests in the order in which they are served."""
    return sorted(waiting, key=lambda one: (one.rank, str(one.id)))


def decide(
    capacity: int, busy: Iterable[Busy], waiting: Sequence[Request], *, now: int, limits: Mapping[Hashable, int] | None = None, is_sorted: bool = False
) -> Decision:
    """Decide about one class. waiting: `in_order`, where is_sorted says so. limits: devices that a project may still take.

    A project at its limit waits without keeping anything from others. Devices that should have been free already count as busy
    until their holder is gone: nothing is given twice.
    """
    ends = sorted(busy, key=attrgetter("ends_at"))
    free = capacity - sum(one.gpus for one in ends)
    left = dict(limits or {})
    starts: list[Request] = []
    too_large: list[Request] = []
    limited: list[Request] = []
    kept: Reservation | None = None
    for one in waiting if is_sorted else in_order(waiting):
        if one.gpus > capacity:
            too_large.append(one)
            continue
        if one.gpus > left.get(one.project, one.gpus):
            limited.append(one)
            continue
        if kept is None and one.gpus > free:
            kept = _reserve(one, free, ends, now)
        if kept is None:
            insort(ends, Busy(one.id, now + one.asked_s, one.gpus), key=attrgetter("ends_at"))
        elif one.gpus > free:
            continue
        elif now + one.asked_s > kept.at:
            if one.gpus > kept.spare:
                continue
            kept = Reservation(kept.id, kept.at, kept.spare - one.gpus)
        starts.append(one)
        free -= one.gpus
        if one.project in left:
            left[one.project] -= one.gpus
    return Decision(starts, kept, too_large, limited)


def _reserve(one: Request, free: int, ends: Sequence[Busy], now: int) -> Reservation:
    """Return when a request surely fits, given who is busy; what ends together is free together."""
    at, place = now, 0
    while free < one.gpus:
        free += ends[place].gpus
        at = max(now, ends[place].ends_at)
        place += 1
    while place < len(ends) and ends[place].ends_at <= at:
        free += ends[place].gpus
        place += 1
    return Reservation(one.id, at, free - one.gpus)


def fits_now_for_s(decision: Decision, free: int, *, now: int, gpus: int = 1) -> int | None:
    """Return how long a session could last at most to start at once, None where no length helps."""
    if gpus > free or decision.reservation is None:
        return None
    return max(0, decision.reservation.at - now) or None


def decayed_s(uses: Iterable[tuple[float, float]]) -> float:
    """Return use as it counts now. uses: (age in seconds, device seconds); after each half-life half of it is forgotten."""
    return sum(device_s * 2 ** (-age_s / HALF_LIFE_S) for age_s, device_s in uses)


def delay_s(*, own_s: float, all_s: float, projects: int, own_live: int) -> int:
    """Return by how much a request is put back for fair share.

    own, all: decayed use of the project and of everybody in the class. projects: how many have used it. own_live: sessions and
    requests that the project has in the class already: a burst does not push everybody else back.
    """
    fair_s = all_s / max(1, projects)
    over = max(0.0, own_s / fair_s - 1) if fair_s > 0 and projects > 1 else 0.0
    return min(MOST_DELAY_S, round(OVER_USE_DELAY_S * over) + ENTRY_DELAY_S * max(0, own_live))
