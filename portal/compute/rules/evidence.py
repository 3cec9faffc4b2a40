"""What observations prove of a session.

The central rule: two observations of one process prove all the time between them, on the clock that counts from the
machine's boot. So a process is a span from its earliest to its latest proven nanosecond, and a session's proven time
is the length of the union of its spans, boot by boot. Neither order nor repetition nor the wall clock can change it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class ProcessId:
    """One process, for ever: a process id alone is used again."""

    boot_id: str
    pid: int
    started_ticks: int


@dataclass(frozen=True)
class Sight:
    """One observation of a process. age_ns: how long it had existed then, where the observer says so."""

    process: ProcessId
    at_ns: int
    observed_at: datetime
    age_ns: int | None = None
    is_end: bool = False


@dataclass(frozen=True)
class Span:
    """What is proven of one process.

    begins_ns, ends_ns: on the clock of its boot, end exclusive. anchor_ns, anchor_at: its earliest sight on both
    clocks, to say roughly when it was. has_ended: somebody saw its end.
    """

    process: ProcessId
    begins_ns: int
    ends_ns: int
    anchor_ns: int
    anchor_at: datetime
    has_ended: bool = False

    @property
    def starts_at(self) -> datetime:
        """Return when the process began, on the wall clock of its earliest sight."""
        return self.anchor_at - timedelta(microseconds=(self.anchor_ns - self.begins_ns) // 1000)

    def at(self, at_ns: int) -> datetime:
        """Return the instant of a nanosecond of this boot."""
        return self.anchor_at + timedelta(microseconds=(at_ns - self.anchor_ns) // 1000)


@dataclass(frozen=True)
class Life:
    """What is proven of a session: whole seconds, rounded down once. `ended`: all its processes were seen to end."""

    proven_s: int
    started_at: datetime
    last_seen_at: datetime
    ended: bool


def sight_span(sight: Sight) -> Span:
    """Return what one observation proves alone: the process's age, or an empty span."""
    begins_ns = sight.at_ns - min(max(sight.age_ns or 0, 0), sight.at_ns)
    return Span(sight.process, begins_ns, sight.at_ns, sight.at_ns, sight.observed_at, sight.is_end)


def merged(left: Span, right: Span) -> Span:
    """Return what two spans of one process prove together."""
    first = min(left, right, key=lambda span: (span.anchor_ns, span.anchor_at))
    return Span(
        left.process,
        min(left.begins_ns, right.begins_ns),
        max(left.ends_ns, right.ends_ns),
        first.anchor_ns,
        first.anchor_at,
        left.has_ended or right.has_ended,
    )


def spans(sights: Iterable[Sight]) -> dict[ProcessId, Span]:
    """Return one span for each process seen."""
    found: dict[ProcessId, Span] = {}
    for sight in sights:
        span = sight_span(sight)
        known = found.get(sight.process)
        found[sight.process] = span if known is None else merged(known, span)
    return found


def proven(processes: Iterable[Span]) -> Life | None:
    """Return what spans prove of one session together, None without any.

    Overlapping spans of one boot count once, whoever reported them. Two boots never overlap: a machine has one at a time.
    """
    ordered = sorted(processes, key=lambda span: (span.process.boot_id, span.begins_ns, span.ends_ns, span.process.pid, span.process.started_ticks))
    if not ordered:
        return None
    proven_ns = sum(_union_ns(group) for _, group in groupby(ordered, key=lambda span: span.process.boot_id))
    proven_s = proven_ns // NS_PER_S
    started_at = min(span.starts_at for span in ordered)
    last_seen_at = max(span.at(span.ends_ns) for span in ordered)
    return Life(proven_s, started_at, last_seen_at, all(span.has_ended for span in ordered))


def _union_ns(ordered: Iterable[Span]) -> int:
    total = 0
    reach: int | None = None
    for span in ordered:
        begins_ns = span.begins_ns if reach is None else max(span.begins_ns, reach)
        total += max(0, span.ends_ns - begins_ns)
        reach = span.ends_ns if reach is None else max(reach, span.ends_ns)
    return total


def instant_of(sight: Sight, known: Mapping[ProcessId, Span]) -> datetime:
    """Return when a sight was, by the boot's clock where the process is known, so that a jump of the wall clock does not matter."""
    span = known.get(sight.process)
    return sight.observed_at if span is None else span.at(sight.at_ns)
