"""Replay a trace of requests with the decision code that the portal itself runs: who started when, and what was promised.

A trace is CSV with `submitted_s, project, profile, gpus, asked_s, used_s`; each profile is a queue of its own. Pure, apart from
reading the rows that it is given: `portal pool simulate FILE` and the benchmark `promise` print what it finds.
"""

import csv
from bisect import insort
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from statistics import median
from zlib import crc32

from portal.compute.rules import admission, promise
from portal.compute.rules.admission import Busy, Request
from portal.compute.rules.promise import Ahead, Calibration, Estimate, Live

COLUMNS = ("submitted_s", "project", "profile", "gpus", "asked_s", "used_s")
RATIOS_KEPT = 600
# A promise within a minute is as good as now.
NOW_S = 60


class BadTrace(ValueError):
    """A row of a trace that cannot be read; the message names its line."""


@dataclass(frozen=True, slots=True)
class Row:
    """A request of a trace. used: how long it really ran, at most what it asked for."""

    number: int
    submitted_s: int
    project: str
    profile: str
    gpus: int
    asked_s: int
    used_s: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request.

    promised: what it was told when it came, None where it started at once. oracle_s: the wait that somebody would have
    stated who knew how long everybody ahead would really run.
    """

    row: Row
    started_s: int
    promised: Estimate | None
    oracle_s: float | None

    @property
    def waited_s(self) -> int:
        """Return how long it waited."""
        return self.started_s - self.row.submitted_s


@dataclass(frozen=True)
class Result:
    """A replay. refused: rows that ask for more than the pool has. most_held: devices held at once, by profile."""

    outcomes: Sequence[Outcome]
    refused: Sequence[Row]
    most_held: Mapping[str, int]

    @property
    def waited(self) -> list[Outcome]:
        """Return those that had to wait, and so were promised an instant."""
        return [one for one in self.outcomes if one.promised is not None]

    @property
    def coverage(self) -> float | None:
        """Return which share of those that waited started by the instant that was stated for nine in ten."""
        waited = self.waited
        return sum(one.waited_s <= one.promised.most_s for one in waited if one.promised) / len(waited) if waited else None

    @property
    def ratio(self) -> float | None:
        """Return the median stated wait of those that waited, against the median that an oracle would have stated."""
        told = [(one.promised.half_s, one.oracle_s) for one in self.waited if one.promised and one.oracle_s is not None]
        if not told:
            return None
        return median(half_s for half_s, _ in told) / max(1.0, median(oracle_s for _, oracle_s in told))


@dataclass
class _Queue:
    """One profile's devices and who waits for them."""

    capacity: int
    waiting: list[Request] = field(default_factory=list)
    running: dict[int, tuple[Row, int]] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    promised: dict[int, tuple[Estimate, float]] = field(default_factory=dict)
    uses: defaultdict[str, deque[tuple[int, float]]] = field(default_factory=lambda: defaultdict(deque))
    ratios: deque[float] = field(default_factory=lambda: deque(maxlen=RATIOS_KEPT))
    calibration: Calibration = field(default_factory=Calibration)
    held: int = 0
    most_held: int = 0


def read(lines: Iterable[str]) -> list[Row]:
    """Return the rows of a trace, in the order of their submission. Raises BadTrace."""
    reader = csv.DictReader(lines)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise BadTrace(f"line 1: the columns {', '.join(missing)} are missing")
    rows = []
    for number, line in enumerate(reader, start=2):
        try:
            submitted_s, gpus, asked_s, used_s = (int(line[name]) for name in ("submitted_s", "gpus", "asked_s", "used_s"))
        except (TypeError, ValueError) as error:
            raise BadTrace(f"line {number}: submitted_s, gpus, asked_s and used_s are whole numbers") from error
        if gpus < 1 or asked_s < 1 or not 0 <= used_s <= asked_s or submitted_s < 0:
            raise BadTrace(f"line {number}: gpus and asked_s are at least 1, used_s lies between 0 and asked_s")
        rows.append(Row(number, submitted_s, line["project"], line["profile"], gpus, asked_s, used_s))
    return sorted(rows, key=lambda row: (row.submitted_s, row.number))


def replay(rows: Sequence[Row], capacity: Mapping[str, int]) -> Result:
    """Replay a trace on a pool. capacity: devices by profile."""
    queues = {name: _Queue(devices) for name, devices in capacity.items()}
    ends: list[tuple[int, int, str]] = []
    outcomes: list[Outcome] = []
    refused: list[Row] = []
    place = 0
    while place < len(rows) or ends:
        if ends and (place == len(rows) or ends[0][0] <= rows[place].submitted_s):
            now, number, profile = heappop(ends)
            queue = queues[profile]
            _end(queue, number, now)
        else:
            row = rows[place]
            place += 1
            now = row.submitted_s
            found = queues.get(row.profile)
            if found is None or row.gpus > found.capacity:
                refused.append(row)
                continue
            queue = found
            _come(queue, row, now)
        for outcome in _admit(queue, now):
            outcomes.append(outcome)
            heappush(ends, (now + outcome.row.used_s, outcome.row.number, outcome.row.profile))
        _promise(queue, now)
    return Result(outcomes, refused, {name: queue.most_held for name, queue in queues.items()})


def _come(queue: _Queue, row: Row, now: int) -> None:
    own_live = sum(one.project == row.project for one in queue.waiting) + sum(running.project == row.project for running, _ in queue.running.values())
    decayed = {project: _decayed_s(uses, now) for project, uses in queue.uses.items()}
    delay_s = admission.delay_s(
        own_s=decayed.get(row.project, 0.0), all_s=sum(decayed.values()), projects=sum(value > 0 for value in decayed.values()), own_live=own_live
    )
    queue.rows[row.number] = row
    insort(queue.waiting, Request(row.number, row.project, row.asked_s, now + delay_s, row.gpus), key=lambda one: (one.rank, str(one.id)))


def _decayed_s(uses: deque[tuple[int, float]], now: int) -> float:
    while uses and uses[0][0] < now - admission.COUNTED_S:
        uses.popleft()
    return admission.decayed_s((now - at, device_s) for at, device_s in uses)


def _admit(queue: _Queue, now: int) -> Iterator[Outcome]:
    busy = [Busy(number, begun + row.asked_s, row.gpus) for number, (row, begun) in queue.running.items()]
    decision = admission.decide(queue.capacity, busy, queue.waiting, now=now, is_sorted=True)
    started = {one.id for one in decision.starts}
    if started:
        queue.waiting = [one for one in queue.waiting if one.id not in started]
    for one in decision.starts:
        row = queue.rows.pop(one.id)  # type: ignore[call-overload]  # ids are our row numbers
        queue.running[row.number] = (row, now)
        queue.held += row.gpus
        queue.most_held = max(queue.most_held, queue.held)
        told = queue.promised.pop(row.number, None)
        if told is not None:
            queue.calibration.note(waited_s=now - row.submitted_s, raw_half_s=told[0].raw_half_s, raw_most_s=told[0].raw_most_s)
        yield Outcome(row, now, told[0] if told else None, told[1] if told else None)


def _promise(queue: _Queue, now: int) -> None:
    """Tell whoever has just come and waits when it will start."""
    for place, one in enumerate(queue.waiting):
        number: int = one.id  # type: ignore[assignment]  # ids are our row numbers
        row = queue.rows[number]
        if row.submitted_s != now or number in queue.promised:
            continue
        live = [Live(now - begun, running.asked_s, running.gpus) for running, begun in queue.running.values()]
        before = [queue.rows[other.id] for other in queue.waiting[:place]]  # type: ignore[index]
        ratios = sorted(queue.ratios) if len(queue.ratios) >= promise.FEWEST else promise.USUAL_RATIOS
        found = promise.estimate(
            queue.capacity,
            live,
            [Ahead(other.asked_s, other.gpus) for other in before],
            gpus=row.gpus,
            ratios=ratios,
            factors=queue.calibration.factors,
            seed=crc32(str(number).encode()),
        )
        known = [max(0.0, begun + running.used_s - now) for running, begun in queue.running.values() for _ in range(running.gpus)]
        queue.promised[number] = found, promise.played(queue.capacity, known, ((other.gpus, other.used_s) for other in before), row.gpus)


def _end(queue: _Queue, number: int, now: int) -> None:
    row, _ = queue.running.pop(number)
    queue.held -= row.gpus
    queue.uses[row.project].append((now, float(row.used_s * row.gpus)))
    queue.ratios.append(max(row.used_s, 1) / row.asked_s)
