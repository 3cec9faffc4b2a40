"""What credits cost: whole credits, priced by quantity in minor units; VAT on each line, rounded half up once.

The price of a quantity is that of the highest step it reaches, for all of it; who orders just below a step is told.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from portal.core.quantities import UCR_PER_CREDIT
from portal.credits.states import Currency

PPM = 1_000_000
MIN_CREDITS = 10
MAX_CREDITS = 100_000
MOROCCAN_VAT_PPM = 200_000


@dataclass(frozen=True)
class Step:
    """From this many credits on, each costs `unit_minor`."""

    from_credits: int
    unit_minor: int


@dataclass(frozen=True)
class Quote:
    """What a quantity of credits costs. gross = net + VAT, all in minor units of the currency."""

    quantity: int
    currency: Currency
    unit_minor: int
    net_minor: int
    vat_minor: int
    gross_minor: int
    vat_rate_ppm: int
    price_version_id: uuid.UUID

    @property
    def credits_ucr(self) -> int:
        """Return the quantity in µcredits."""
        return self.quantity * UCR_PER_CREDIT


def vat_minor(net_minor: int, rate_ppm: int) -> int:
    """Return the VAT of a net amount that is not negative, rounded half up to the minor unit."""
    return (2 * net_minor * rate_ppm + PPM) // (2 * PPM)


def net_and_vat(gross_minor: int, rate_ppm: int) -> tuple[int, int]:
    """Return net and VAT of a gross amount; the VAT in it is rounded half up, negative amounts like positive ones."""
    sign, gross = (1, gross_minor) if gross_minor >= 0 else (-1, -gross_minor)
    vat = (2 * gross * rate_ppm + (PPM + rate_ppm)) // (2 * (PPM + rate_ppm))
    return sign * (gross - vat), sign * vat


def vat_rate_ppm(country: str) -> int:
    """Return the VAT rate for a buyer's country: Moroccan VAT at home, none on services to a buyer abroad."""
    return MOROCCAN_VAT_PPM if country == "MA" else 0


def step_of(steps: Sequence[Step], quantity: int) -> Step | None:
    """Return the step that a quantity reaches, None below the first."""
    reached = [step for step in steps if step.from_credits <= quantity]
    return max(reached, key=lambda step: step.from_credits, default=None)


def is_fair(steps: Sequence[Step]) -> bool:
    """Return whether steps begin at the least quantity and rise, and prices fall with them."""
    ordered = sorted(steps, key=lambda step: step.from_credits)
    if not ordered or ordered[0].from_credits != MIN_CREDITS or any(step.unit_minor <= 0 for step in ordered):
        return False
    return all(one.from_credits < two.from_credits and one.unit_minor >= two.unit_minor for one, two in pairwise(ordered))


def cheaper_step(steps: Sequence[Step], quantity: int) -> Step | None:
    """Return the first step above a quantity that gives more credits for no more money, None when there is none."""
    own = step_of(steps, quantity)
    if own is None:
        return None
    above = sorted((step for step in steps if step.from_credits > quantity), key=lambda step: step.from_credits)
    return next((step for step in above if step.from_credits * step.unit_minor <= quantity * own.unit_minor), None)


def price(quantity: int, currency: Currency, step: Step, *, rate_ppm: int, version_id: uuid.UUID) -> Quote:
    """Return the quote of a quantity at a step."""
    net = quantity * step.unit_minor
    vat = vat_minor(net, rate_ppm)
    return Quote(quantity, currency, step.unit_minor, net, vat, net + vat, rate_ppm, version_id)
