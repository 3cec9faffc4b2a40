"""When a waiting request will start: half the time by one instant, nine times in ten by another.

The queue is played forward many times, with ends drawn from how much of their asked time sessions really used. What the
ninth in ten comes to is then stretched or shrunk by how the same statement fared lately (conformal calibration), so that
nine in ten of what is stated comes true whatever the draw leaves out: later arrivals that are ahead, backfilling, habits.

Deterministic: the draws come from a generator that is seeded with what is asked about. Floats: an estimate, no money.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, heapreplace, nsmallest
from random import Random

DRAWS = 48
REMEMBERED = 400
FEWEST = 40
STATED = 0.9
# Until enough was seen: most sessions use about half of what they ask for.
USUAL_RATIOS = tuple(place / 20 for place in range(1, 21))


@dataclass(frozen=True, slots=True)
class Ahead:
    """A request that is served before: how long it asks for."""

    asked_s: int
    gpus: int = 1


@dataclass(frozen=True, slots=True)
class Live:
    """A session that runs: how long it has, and for how long it asked."""

    elapsed_s: int
    asked_s: int
    gpus: int = 1


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds from now: half of such waits end by `half_s`, nine in ten by `most_s`. raw: before the calibration."""

    half_s: int
    most_s: int
    raw_half_s: int
    raw_most_s: int


@dataclass
class Calibration:
    """How statements fared lately: actual waits as a share of what was drawn."""

    most: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    half: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def note(self, *, waited_s: float, raw_half_s: float, raw_most_s: float) -> None:
        """Remember how a wait ended."""
        self.most.append(waited_s / max(1.0, raw_most_s))
        self.half.append(waited_s / max(1.0, raw_half_s))

    @property
    def factors(self) -> tuple[float, float]:
        """Return by what the half and the most are multiplied."""
        if len(self.most) < FEWEST:
            return 1.0, 1.0
        return quantile(sorted(self.half), 0.5), quantile(sorted(self.most), STATED)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value that a share of an ordered sequence does not exceed, the next one up for few values."""
    return ordered[min(len(ordered) - 1, int(share * (len(ordered) + 1)))]


def estimate(
    capacity: int,
    live: Sequence[Live],
    ahead: Sequence[Ahead],
    *,
    gpus: int = 1,
    ratios: Sequence[float] = USUAL_RATIOS,
    factors: tuple[float, float] = (1.0, 1.0),
    seed: int = 0,
) -> Estimate:
    """Return when a request starts that has `ahead` before it. ratios: used as shares of asked, ascending. Raises ValueError where it never fits."""
    if gpus > capacity:
        raise ValueError("More devices than there are.")
    random = Random(seed)  # noqa: S311 -- an estimate, not a secret
    waits = []
    for _ in range(DRAWS):
        uses = ((one.gpus, one.asked_s * ratios[random.randrange(len(ratios))]) for one in ahead)
        waits.append(played(capacity, _ends(live, ratios, random), uses, gpus))
    waits.sort()
    raw_half, raw_most = quantile(waits, 0.5), quantile(waits, STATED)
    half_s = round(raw_half * factors[0])
    return Estimate(half_s, max(half_s, round(raw_most * factors[1])), round(raw_half), round(raw_most))


def _ends(live: Sequence[Live], ratios: Sequence[float], random: Random) -> list[float]:
    ends: list[float] = []
    for one in live:
        begin = bisect_right(ratios, one.elapsed_s / one.asked_s) if one.asked_s else len(ratios)
        ratio = ratios[random.randrange(begin, len(ratios))] if begin < len(ratios) else 1.0
        ends.extend([max(0.0, one.asked_s * ratio - one.elapsed_s)] * one.gpus)
    return ends


def played(capacity: int, ends: list[float], ahead: Iterable[tuple[int, float]], gpus: int) -> float:
    """Return when a request of some devices starts, given when devices fall free and who is served before: (devices, seconds used)."""
    free = ends[:capacity] + [0.0] * max(0, capacity - len(ends))
    heapify(free)
    at = 0.0
    for wanted, used_s in ahead:
        if wanted == 1:
            at = max(at, free[0])
            heapreplace(free, at + used_s)
            continue
        at = max(at, *[heappop(free) for _ in range(wanted)])
        for _ in range(wanted):
            heappush(free, at + used_s)
    return max(at, *nsmallest(gpus, free))
