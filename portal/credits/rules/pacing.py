"""How long credits last at the present pace."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt

LEAST_DAYS = 5
MOST_AHEAD = timedelta(days=730)


@dataclass(frozen=True)
class Pace:
    """Use a day, and when nothing is left: `zero_at` at this pace, between early and late by how much days differ."""

    used_a_day_ucr: int
    zero_at: datetime
    early_at: datetime
    late_at: datetime


def pace(used_by_day_ucr: Sequence[int], balance_ucr: int, *, now: datetime) -> Pace | None:
    """Return the pace of these days, each with its use (0 too); None when it says nothing.

    The band is the mean day plus and minus two standard errors: an estimate for drawing, never for booking.
    """
    days = len(used_by_day_ucr)
    if days < LEAST_DAYS or balance_ucr <= 0 or sum(used_by_day_ucr) == 0:
        return None
    mean = sum(used_by_day_ucr) / days
    error = 2 * sqrt(sum((used - mean) ** 2 for used in used_by_day_ucr) / (days - 1) / days)
    zero_at = _zero(balance_ucr, mean, now)
    if zero_at is None:
        return None
    late_at = _zero(balance_ucr, mean - error, now) or now + MOST_AHEAD
    return Pace(round(mean), zero_at, _zero(balance_ucr, mean + error, now) or zero_at, late_at)


def _zero(balance_ucr: int, used_a_day_ucr: float, now: datetime) -> datetime | None:
    if used_a_day_ucr <= 0 or balance_ucr / used_a_day_ucr > MOST_AHEAD.days:
        return None
    return now + timedelta(days=balance_ucr / used_a_day_ucr)
