"""What became of credits, in words that add up: pure sums over the journal's operations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """What a booking means for whoever gave the credits."""

    ISSUED = "issued"
    USED = "used"
    EXPIRED = "expired"
    RETURNED = "returned"
    MOVED = "moved"


# Every operation that changes what lots have. A correction takes back use; bought credits that pay a debt pay for use.
PARTS: Mapping[str, Part] = {
    "grant": Part.ISSUED,
    "purchase": Part.ISSUED,
    "capture": Part.USED,
    "correction": Part.USED,
    "repayment": Part.USED,
    "expiry": Part.EXPIRED,
    "revoke": Part.RETURNED,
    "clawback": Part.RETURNED,
    "transfer": Part.MOVED,
    "write_off": Part.USED,
}
# What moves credits inside a lot alone: they are still its own.
INSIDE = ("hold", "release", "freeze")


@dataclass(frozen=True)
class Flow:
    """What happened to some lots in some time, in µcredits; used, expired and returned are positive, moved has a sign."""

    opening_ucr: int = 0
    issued_ucr: int = 0
    used_ucr: int = 0
    expired_ucr: int = 0
    returned_ucr: int = 0
    moved_ucr: int = 0

    @property
    def closing_ucr(self) -> int:
        """Return what the lots have at the end."""
        return self.opening_ucr + self.issued_ucr - self.used_ucr - self.expired_ucr - self.returned_ucr + self.moved_ucr

    @property
    def is_empty(self) -> bool:
        """Return whether there was nothing, and nothing happened."""
        return self == Flow()


def flow(opening_ucr: int, changes: Iterable[tuple[str, int]]) -> Flow:
    """Return the flow of some time. changes: (operation, what it changed); an operation that is not known raises KeyError."""
    sums = dict.fromkeys(Part, 0)
    for operation, amount_ucr in changes:
        sums[PARTS[operation]] += amount_ucr
    return Flow(opening_ucr, sums[Part.ISSUED], -sums[Part.USED], -sums[Part.EXPIRED], -sums[Part.RETURNED], sums[Part.MOVED])


def total(flows: Iterable[Flow]) -> Flow:
    """Return several lots' flows of the same time together."""
    rows = list(flows)
    return (
        Flow(
            *(
                sum(values)
                for values in zip(
                    *[(row.opening_ucr, row.issued_ucr, row.used_ucr, row.expired_ucr, row.returned_ucr, row.moved_ucr) for row in rows], strict=True
                )
            )
        )
        if rows
        else Flow()
    )
