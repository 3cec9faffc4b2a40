"""Warnings that people choose for a wallet, and which of them its standing crosses now."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from portal.core.states import state_check

MOST_DAYS = 365
MOST_IDLE_DAYS = 60


class WarningKind(StrEnum):
    """What a warning is about; the order in which a mail tells them."""

    BALANCE = "balance"
    DAYS_LEFT = "days_left"
    LOT_ENDING = "lot_ending"
    USED = "used"
    IDLE = "idle"


KIND_CHECK = state_check(WarningKind, "kind")


@dataclass(frozen=True)
class Watch:
    """The warnings that a person wants for a wallet; None is not wanted.

    below_ucr: the balance is below it. days_left: at the present pace the credits last fewer days. lot_days: a lot ends
    within so many days with more than lot_over_ucr unused. used_percent: so much of what is valid now is used.
    idle_days: nothing was used for so long although there are credits.
    """

    below_ucr: int | None = None
    days_left: int | None = None
    lot_days: int | None = None
    lot_over_ucr: int | None = None
    used_percent: int | None = None
    idle_days: int | None = None

    @property
    def is_empty(self) -> bool:
        """Return whether no warning is wanted."""
        return (self.below_ucr, self.days_left, self.lot_days, self.used_percent, self.idle_days) == (None,) * 5


NOTHING = Watch()
# What leads have without a click; members and everybody else have nothing.
OF_LEADS = Watch(days_left=14, lot_days=14, lot_over_ucr=0)


@dataclass(frozen=True)
class LotStanding:
    """A lot that may be spent now or later: what it has, when it ends here, and what the forecast loses of it."""

    id: uuid.UUID
    purpose: str
    left_ucr: int
    ends_at: datetime
    lost_ucr: int | None
    is_lent: bool = False


@dataclass(frozen=True)
class Standing:
    """A wallet as warnings look at it. valid: what the lots that are valid now were issued with, spent ones too.

    dry_at: when nothing is left at the present pace, None when that cannot be said. idle_since: when something was
    used last, or when the credits came; None while a session runs.
    """

    balance_ucr: int
    given_ucr: int
    valid_ucr: int
    dry_at: datetime | None
    idle_since: datetime | None
    lots: Sequence[LotStanding] = ()


@dataclass(frozen=True)
class Crossing:
    """A threshold that is crossed: its kind, of which lot, and the figures that the warning tells."""

    kind: WarningKind
    lot_id: uuid.UUID | None = None
    amount_ucr: int | None = None
    lost_ucr: int | None = None
    at: datetime | None = None
    count: int | None = None
    purpose: str = ""
    is_lent: bool = False

    @property
    def key(self) -> tuple[str, uuid.UUID | None]:
        """Return what makes this crossing the same tomorrow."""
        return self.kind.value, self.lot_id


def crossings(watch: Watch, standing: Standing, *, now: datetime) -> list[Crossing]:
    """Return what is crossed now. A wallet that never had credits crosses nothing."""
    return list(_crossed(watch, standing, now)) if standing.given_ucr > 0 else []


def _crossed(watch: Watch, standing: Standing, now: datetime) -> Iterator[Crossing]:
    balance_ucr = standing.balance_ucr
    if watch.below_ucr is not None and balance_ucr < watch.below_ucr:
        yield Crossing(WarningKind.BALANCE, amount_ucr=balance_ucr)
    dry_at = now if balance_ucr <= 0 else standing.dry_at
    if watch.days_left is not None and dry_at is not None and dry_at < now + timedelta(days=watch.days_left):
        yield Crossing(WarningKind.DAYS_LEFT, at=dry_at, amount_ucr=balance_ucr)
    if watch.lot_days is not None:
        for lot in standing.lots:
            if lot.ends_at <= now + timedelta(days=watch.lot_days) and lot.left_ucr > (watch.lot_over_ucr or 0):
                figures = {"amount_ucr": lot.left_ucr, "lost_ucr": lot.lost_ucr, "at": lot.ends_at}
                yield Crossing(WarningKind.LOT_ENDING, lot.id, purpose=lot.purpose, is_lent=lot.is_lent, **figures)  # type: ignore[arg-type]
    used_ucr = standing.valid_ucr - balance_ucr
    if watch.used_percent is not None and standing.valid_ucr > 0 and used_ucr * 100 >= watch.used_percent * standing.valid_ucr:
        yield Crossing(WarningKind.USED, amount_ucr=balance_ucr, count=used_ucr * 100 // standing.valid_ucr)
    if watch.idle_days is not None and balance_ucr > 0 and standing.idle_since is not None:
        idle = now - standing.idle_since
        if idle >= timedelta(days=watch.idle_days):
            yield Crossing(WarningKind.IDLE, amount_ucr=balance_ucr, count=idle.days)
