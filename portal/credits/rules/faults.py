"""What the hub's own faults give back: stretches of a session's seconds at the prices that they were charged at.

A machine that dies takes what was not saved, so the last window of the session is made good. An outage takes the window
before it and its own time. A start that failed gives back what it was charged, or else what the time that a person
waited for it would have cost, up to a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.quantities import charge_ucr
from portal.credits.rules.costs import Segment, cost_ucr
from portal.credits.rules.windows import WINDOW_S

UNSAVED_S = WINDOW_S
SHORTEST_WAIT_S = 60


@dataclass(frozen=True)
class Struck:
    """A session that a fault struck: the seconds that it is charged for and their prices.

    late_ucr: what its windows gave back to lots that had ended by then.
    """

    charged_s: int
    segments: Sequence[Segment]
    late_ucr: int = 0


@dataclass(frozen=True)
class Gift:
    """What is given: the seconds and their price, and what was released too late."""

    duration_s: int
    amount_ucr: int
    late_ucr: int = 0

    @property
    def total_ucr(self) -> int:
        """Return all that is given."""
        return self.amount_ucr + self.late_ucr


def for_death(struck: Struck) -> Gift:
    """Return what a session gets whose machine died: its last window."""
    return _stretch(struck, struck.charged_s - UNSAVED_S, struck.charged_s)


def for_outage(struck: Struck, *, begins_s: int, ends_s: int) -> Gift:
    """Return what an outage gives: the window before it and its own seconds. begins_s, ends_s: on the session's clock."""
    if begins_s >= struck.charged_s or ends_s <= 0:
        return Gift(0, 0)
    return _stretch(struck, begins_s - UNSAVED_S, ends_s)


def for_failed_start(struck: Struck, *, waited_s: int) -> Gift:
    """Return what a start that failed gives: all that it was charged, or the price of the time waited from a minute on."""
    if struck.charged_s > 0:
        return _stretch(struck, 0, struck.charged_s)
    waited_s = min(waited_s, UNSAVED_S) if waited_s >= SHORTEST_WAIT_S else 0
    return Gift(waited_s, charge_ucr(struck.segments[0].rate_ucr_per_hour, waited_s), _late(struck))


def _stretch(struck: Struck, from_s: int, until_s: int) -> Gift:
    from_s, until_s = max(0, from_s), min(until_s, struck.charged_s)
    return Gift(until_s - from_s, cost_ucr(struck.segments, until_s) - cost_ucr(struck.segments, from_s), _late(struck))


def _late(struck: Struck) -> int:
    """Return what was released too late; less than a second's price is what rounding leaves in every window."""
    return struck.late_ucr if struck.late_ucr > charge_ucr(struck.segments[-1].rate_ucr_per_hour, 1) else 0
