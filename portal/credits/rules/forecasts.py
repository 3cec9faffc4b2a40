"""What becomes of lots at a given use a day: how much of each is spent, how much ends unused, how much is left.

The lots are spent as the ledger spends them: in the order given, each only within its validity and for machines that it
pays for. Time is counted in whole microseconds and amounts in whole microcredits, so that for every lot used, lost and
remaining add up to what it had.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

DAY_US = 86_400_000_000
_US = timedelta(microseconds=1)


@dataclass(frozen=True)
class LotAhead:
    """A lot that may be spent from `starts_at` until `ends_at`: the end of its validity, or the day a loan goes back."""

    id: uuid.UUID
    left_ucr: int
    starts_at: datetime
    ends_at: datetime
    classes: frozenset[str] | None = None

    def pays(self, charge_class: str) -> bool:
        """Return whether the lot pays for a kind of machine."""
        return self.classes is None or charge_class in self.classes


@dataclass(frozen=True)
class LotFate:
    """What becomes of a lot: used + lost + remaining is what it had. emptied_at: when the last of it is spent."""

    used_ucr: int
    lost_ucr: int
    remaining_ucr: int
    emptied_at: datetime | None = None


@dataclass(frozen=True)
class Spell:
    """A stretch of time in which one lot pays for one kind of machine."""

    lot_id: uuid.UUID
    charge_class: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Forecast:
    """The course of things until `until`.

    dry_at: when nothing can be paid any more, for the first time. unpaid_at: the same for each kind of machine.
    course: what may be spent at instants in order, for drawing; an instant stands twice where the figure jumps.
    """

    fates: Mapping[uuid.UUID, LotFate]
    spells: Sequence[Spell]
    course: Sequence[tuple[datetime, int]]
    dry_at: datetime | None
    unpaid_at: Mapping[str, datetime]
    until: datetime

    @property
    def used_ucr(self) -> int:
        """Return what is spent of all lots."""
        return sum(fate.used_ucr for fate in self.fates.values())

    @property
    def lost_ucr(self) -> int:
        """Return what ends unused of all lots."""
        return sum(fate.lost_ucr for fate in self.fates.values())


@dataclass
class _Walk:
    """Lots on their way; instants are microseconds after `now`."""

    lots: Sequence[LotAhead]
    demands: Mapping[str, int]
    now: datetime
    until_us: int
    at_us: int = 0
    dry_us: int | None = None
    left: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    emptied: dict[int, int] = field(default_factory=dict)
    unpaid: dict[str, int] = field(default_factory=dict)
    spells: list[Spell] = field(default_factory=list)
    course: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left = [lot.left_ucr for lot in self.lots]
        self.lost = [0 for _ in self.lots]
        self.bounds = [((lot.starts_at - self.now) // _US, (lot.ends_at - self.now) // _US) for lot in self.lots]

    def run(self) -> None:
        """Go from one change to the next."""
        self.look()
        while self.at_us < self.until_us:
            self.step()
            self.look()

    def valid(self) -> list[int]:
        """Return the places of lots that have something to spend now."""
        return [place for place, (starts, ends) in enumerate(self.bounds) if starts <= self.at_us < ends and self.left[place] > 0]

    def payers(self) -> dict[str, int]:
        """Return which lot pays for each kind of machine now."""
        valid = self.valid()
        found = ((name, next((place for place in valid if self.lots[place].pays(name)), None)) for name in self.demands)
        return {name: place for name, place in found if place is not None}

    def look(self) -> None:
        """Let lots end, and note what is there and what cannot be paid."""
        self.note()
        for place, (_, ends) in enumerate(self.bounds):
            if ends <= self.at_us:
                self.lost[place] += self.left[place]
                self.left[place] = 0
        self.note()
        payers = self.payers()
        for name in self.demands:
            if name not in payers:
                self.unpaid.setdefault(name, self.at_us)
        if self.dry_us is None and not (payers if self.demands else self.valid()):
            self.dry_us = self.at_us

    def note(self) -> None:
        """Note what may be spent, once for each value of an instant."""
        here = (self.at_us, sum(self.left[place] for place in self.valid()))
        if not self.course or self.course[-1] != here:
            self.course.append(here)

    def step(self) -> None:
        """Spend until a lot begins, ends or is empty."""
        payers = self.payers()
        rates: dict[int, int] = {}
        for name, place in payers.items():
            rates[place] = rates.get(place, 0) + self.demands[name]
        empties = {place: self.at_us - (-self.left[place] * DAY_US // rate) for place, rate in rates.items() if rate > 0}
        changes = [us for bounds in self.bounds for us in bounds if us > self.at_us]
        next_us = min([self.until_us, *changes, *empties.values()])
        for name, place in payers.items():
            if self.demands[name] > 0:
                self.spells.append(Spell(self.lots[place].id, name, self.instant(self.at_us), self.instant(next_us)))
        for place, rate in rates.items():
            self.left[place] -= min(self.left[place], rate * (next_us - self.at_us) // DAY_US)
            if self.left[place] == 0:
                self.emptied[place] = next_us
        # What a lot that begins now brings is a jump: the value before it is noted with what was valid until now.
        before = sum(self.left[place] for place, (starts, ends) in enumerate(self.bounds) if starts <= self.at_us < ends)
        self.at_us = next_us
        if self.course[-1] != (next_us, before):
            self.course.append((next_us, before))

    def instant(self, at_us: int) -> datetime:
        """Return an instant of the walk."""
        return self.now + timedelta(microseconds=at_us)


def forecast(lots: Sequence[LotAhead], demands: Mapping[str, int], *, now: datetime, until: datetime) -> Forecast:
    """Spend lots until an instant.

    lots: in the order of spending. demands: microcredits a day for each kind of machine; "" stands for machines that
    no lot names. Without any demand everything ends unused.
    """
    walk = _Walk(lots, {name: rate for name, rate in demands.items() if rate > 0}, now, max(0, (until - now) // _US))
    walk.run()
    fates = {}
    for place, lot in enumerate(lots):
        used_ucr = lot.left_ucr - walk.lost[place] - walk.left[place]
        emptied = walk.emptied.get(place)
        fates[lot.id] = LotFate(used_ucr, walk.lost[place], walk.left[place], walk.instant(emptied) if emptied is not None else None)
    return Forecast(
        fates=fates,
        spells=walk.spells,
        course=[(walk.instant(us), value) for us, value in walk.course],
        dry_at=walk.instant(walk.dry_us) if walk.dry_us is not None else None,
        unpaid_at={name: walk.instant(us) for name, us in walk.unpaid.items()},
        until=now + timedelta(microseconds=walk.until_us),
    )


def split(used_a_day_ucr: int, by_class: Mapping[str, int]) -> dict[str, int]:
    """Return a day's use shared out as the latest sessions used each kind of machine; one share when nothing is known."""
    total = sum(by_class.values())
    if total <= 0:
        return {"": used_a_day_ucr}
    shares = {name: used_a_day_ucr * used // total for name, used in sorted(by_class.items())}
    first = max(shares, key=lambda name: by_class[name])
    shares[first] += used_a_day_ucr - sum(shares.values())
    return shares
