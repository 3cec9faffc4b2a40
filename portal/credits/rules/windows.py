"""Windows: what to hold, from which lots, and until when.

A window ends at the next expiry of a lot that it would use, so nothing is ever held from a lot outside its
validity, and no lot is skipped that comes earlier in the order of spending.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.credits.rules.lots import LotState

WINDOW_S = 900
RENEW_BEFORE_S = 300
WINDOW = timedelta(seconds=WINDOW_S)
RENEW_BEFORE = timedelta(seconds=RENEW_BEFORE_S)
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class Share:
    """What a window takes from one lot."""

    lot: LotState
    amount_ucr: int


@dataclass(frozen=True)
class Window:
    """A planned hold; its shares are in the order of spending."""

    starts_at: datetime
    ends_at: datetime
    shares: tuple[Share, ...]

    @property
    def amount_ucr(self) -> int:
        """Return what the window holds."""
        return sum(share.amount_ucr for share in self.shares)


@dataclass(frozen=True)
class Chain:
    """Windows one after another; `missing_ucr` is what the next one would have needed more, 0 when all were paid."""

    windows: tuple[Window, ...]
    needed_ucr: int = 0
    free_ucr: int = 0

    @property
    def is_short(self) -> bool:
        """Return whether credit ended before the chain was long enough."""
        return self.needed_ucr > 0


def ceil_seconds(starts_at: datetime, ends_at: datetime) -> int:
    """Return the seconds of an interval, a begun second counted whole."""
    return max(0, -((starts_at - ends_at) // timedelta(seconds=1)))


def hold_ucr(rate_ucr_per_hour: int, starts_at: datetime, ends_at: datetime, most_s: int | None = None) -> int:
    """Return what a window holds: rounded up, so that it covers its seconds wherever in the session they lie."""
    seconds = ceil_seconds(starts_at, ends_at)
    return -(-rate_ucr_per_hour * (seconds if most_s is None else min(seconds, most_s)) // SECONDS_PER_HOUR)


def plan_window(lots: Sequence[LotState], rate_ucr_per_hour: int, starts_at: datetime, latest_end_at: datetime, most_s: int | None = None) -> Window | None:
    """Return the window from `starts_at`, at most until `latest_end_at`; None when the lots cannot pay it.

    lots: those that may pay, in the order of spending. most_s: seconds that the session can last at most.
    """
    usable = [lot for lot in lots if lot.available_ucr > 0 and lot.is_valid_at(starts_at)]
    ends_at = latest_end_at
    covered_ucr = 0
    for lot in usable:
        if covered_ucr >= hold_ucr(rate_ucr_per_hour, starts_at, ends_at, most_s):
            break
        if lot.expires_at < ends_at:
            reach_at = starts_at + timedelta(seconds=covered_ucr * SECONDS_PER_HOUR // rate_ucr_per_hour)
            if reach_at >= lot.expires_at:
                ends_at = reach_at
                break
            ends_at = lot.expires_at
        covered_ucr += lot.available_ucr
    needed_ucr = hold_ucr(rate_ucr_per_hour, starts_at, ends_at, most_s)
    if covered_ucr < needed_ucr:
        return None
    return Window(starts_at, ends_at, _shares(usable, needed_ucr))


def _shares(usable: Sequence[LotState], needed_ucr: int) -> tuple[Share, ...]:
    shares = []
    for lot in usable:
        if needed_ucr == 0:
            break
        amount_ucr = min(lot.available_ucr, needed_ucr)
        shares.append(Share(lot, amount_ucr))
        needed_ucr -= amount_ucr
    return tuple(shares)


def plan_chain(
    lots: Sequence[LotState],
    rate_ucr_per_hour: int,
    starts_at: datetime,
    *,
    until: datetime,
    limit_at: datetime | None = None,
    most_s: int | None = None,
) -> Chain:
    """Take windows from `starts_at` until one ends after `until`, or at the limit; the lots' `available_ucr` goes down.

    More than one window is needed where lots expire one after another, and after the portal was away.
    """
    windows: list[Window] = []
    at = starts_at
    while at <= until and (limit_at is None or at < limit_at):
        latest_end_at = at + WINDOW if limit_at is None else min(at + WINDOW, limit_at)
        window = plan_window(lots, rate_ucr_per_hour, at, latest_end_at, most_s)
        if window is None:
            window = _until_next_lot(lots, rate_ucr_per_hour, at, latest_end_at, most_s)
        if window is None:
            return Chain(tuple(windows), hold_ucr(rate_ucr_per_hour, at, latest_end_at, most_s), free_at(lots, at))
        take(window)
        windows.append(window)
        at = window.ends_at
    return Chain(tuple(windows))


def _until_next_lot(lots: Sequence[LotState], rate_ucr_per_hour: int, starts_at: datetime, latest_end_at: datetime, most_s: int | None) -> Window | None:
    """Return a shorter window that ends when the next lot begins, where credit reaches that far."""
    coming = [lot.effective_at for lot in lots if lot.available_ucr > 0 and starts_at < lot.effective_at < latest_end_at]
    return plan_window(lots, rate_ucr_per_hour, starts_at, min(coming), most_s) if coming else None


def take(window: Window) -> None:
    """Take a window's shares out of its lots."""
    for share in window.shares:
        share.lot.available_ucr -= share.amount_ucr


def free_at(lots: Sequence[LotState], instant: datetime) -> int:
    """Return what the lots have for time that begins at an instant."""
    return sum(lot.available_ucr for lot in lots if lot.is_valid_at(instant))


def late_end(lots: Sequence[LotState], starts_at: datetime, latest_end_at: datetime) -> datetime:
    """Return until when one set of lots was valid: late use is booked in pieces with the same lots."""
    bounds = [at for lot in lots if lot.available_ucr > 0 for at in (lot.effective_at, lot.expires_at) if starts_at < at < latest_end_at]
    return min(bounds, default=latest_end_at)


def late_window(lots: Sequence[LotState], cost_ucr: int, starts_at: datetime, ends_at: datetime) -> Window:
    """Return a window for use that is proven but was never held, from lots valid then, as far as they reach."""
    usable = [lot for lot in lots if lot.available_ucr > 0 and lot.is_valid_at(starts_at)]
    return Window(starts_at, ends_at, _shares(usable, cost_ucr))
