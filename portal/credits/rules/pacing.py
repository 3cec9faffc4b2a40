"""How much is used a day, and until when forecasts look. Estimates: floats here, whole microcredits in what comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import sqrt

LEAST_DAYS = 5
PACE_DAYS = 28
MOST_AHEAD = timedelta(days=730)


@dataclass(frozen=True)
class Pace:
    """Use a day: the mean, and the mean less and more two standard errors, for what the forecast may miss."""

    used_a_day_ucr: int
    low_ucr: int
    high_ucr: int

    @property
    def is_idle(self) -> bool:
        """Return whether nothing was used at all."""
        return self.used_a_day_ucr == 0


def pace(used_by_day_ucr: Sequence[int]) -> Pace | None:
    """Return the pace of these days, each with its use (0 too); None when they are too few to say anything."""
    days = len(used_by_day_ucr)
    if days < LEAST_DAYS:
        return None
    mean = sum(used_by_day_ucr) / days
    error = 2 * sqrt(sum((used - mean) ** 2 for used in used_by_day_ucr) / (days - 1) / days)
    return Pace(round(mean), max(0, round(mean - error)), round(mean + error))


def use_by_day(used_ucr: Mapping[date, int], *, today: date, since: date | None) -> list[int]:
    """Return the use of each whole day of the last four weeks.

    The days begin with the first that anything was used on; where nothing was, with `since`, the first day of credits.
    """
    days = [today - timedelta(days=back) for back in range(PACE_DAYS, 0, -1)]
    first = next((on for on in days if used_ucr.get(on)), since)
    return [used_ucr.get(on, 0) for on in days if first is not None and on >= first]


def horizon(ends: Sequence[datetime], *, now: datetime) -> datetime:
    """Return until when a forecast looks: the last end of a lot, at most two years ahead."""
    return min(max([now, *ends]), now + MOST_AHEAD)
