"""What a purchase's refunds and disputes mean for its credits, and how much may be refunded."""

from collections.abc import Iterable


def share_ucr(issued_ucr: int, part_minor: int, gross_minor: int) -> int:
    """Return the credits that stand for a part of the price, rounded up: the last cent takes the last credit."""
    if part_minor >= gross_minor:
        return issued_ucr
    return -(-issued_ucr * max(0, part_minor) // gross_minor)


def targets(issued_ucr: int, gross_minor: int, *, refunded_minor: int, lost_minor: int, open_minor: int) -> tuple[int, int]:
    """Return (credits taken back in all, credits frozen) for money refunded, lost in disputes, and disputed still.

    Both come from totals, so neither depends on the order in which anything happened.
    """
    gone_minor = min(gross_minor, refunded_minor + lost_minor)
    clawed_ucr = share_ucr(issued_ucr, gone_minor, gross_minor)
    frozen_ucr = share_ucr(issued_ucr, min(gross_minor, gone_minor + open_minor), gross_minor) - clawed_ucr
    return clawed_ucr, frozen_ucr


def refundable_minor(issued_ucr: int, unused_ucr: int, gross_minor: int, gone_minor: Iterable[int]) -> int:
    """Return how much of the price a person may ask back themselves: what stands for unused credits, rounded down."""
    return max(0, min(gross_minor * unused_ucr // issued_ucr, gross_minor - sum(gone_minor)))
