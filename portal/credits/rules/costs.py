"""What session seconds cost: rounded down once for each stretch under one price, never for parts of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.quantities import charge_ucr

# No session is charged for more.
MAX_PROVEN_S = 90 * 86_400


@dataclass(frozen=True)
class Segment:
    """A stretch under one price, from a session second until the next segment begins."""

    number: int
    starts_s: int
    rate_ucr_per_hour: int


def cost_ucr(segments: Sequence[Segment], duration_s: int) -> int:
    """Return what the first `duration_s` seconds of a session cost. segments: in order, the first from second 0."""
    total_ucr = 0
    for index, segment in enumerate(segments):
        ends_s = segments[index + 1].starts_s if index + 1 < len(segments) else duration_s
        total_ucr += charge_ucr(segment.rate_ucr_per_hour, max(0, min(ends_s, duration_s) - segment.starts_s))
    return total_ucr


def segment_at(segments: Sequence[Segment], second: int) -> Segment:
    """Return the segment that a session second lies in."""
    return next(segment for segment in reversed(segments) if segment.starts_s <= second)
