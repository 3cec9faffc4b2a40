"""Credits, money and energy as integers; text in and out is decimal, never a float.

One credit is 1,000,000 microcredits (`_ucr`). Energy is watt-hours (`_wh`), money minor units of its currency.
"""

import re
from datetime import datetime, timedelta
from decimal import Decimal

UCR_PER_CREDIT = 1_000_000
SECONDS_PER_HOUR = 3600
MAX_UCR = 2**63 - 1

_PLAIN_DECIMAL = re.compile(r"[0-9]{1,12}(?:[.,][0-9]{1,6})?", re.ASCII)


class NotAQuantity(ValueError):
    """The text is not a plain decimal number with at most six places."""


def parse_credits(text: str) -> int:
    """Return microcredits from a plain decimal such as "12.5" or "12,5".

    Raises NotAQuantity for signs, exponents, full-width digits, more than six places and anything else.
    """
    cleaned = text.strip().replace("\u202f", "").replace("\u00a0", "")
    if not _PLAIN_DECIMAL.fullmatch(cleaned):
        raise NotAQuantity(text)
    return int(Decimal(cleaned.replace(",", ".")) * UCR_PER_CREDIT)


def decimal_credits(amount_ucr: int) -> str:
    """Return microcredits as a plain decimal string with six places, for JSON and exports."""
    sign = "-" if amount_ucr < 0 else ""
    whole, part = divmod(abs(amount_ucr), UCR_PER_CREDIT)
    return f"{sign}{whole}.{part:06d}"


def short_credits(amount_ucr: int) -> str:
    """Return microcredits as a decimal string of credits without zeros at its end, as people write them."""
    return decimal_credits(amount_ucr).rstrip("0").rstrip(".")


def credits_ucr(whole: int) -> int:
    """Return microcredits from whole credits."""
    return whole * UCR_PER_CREDIT


def charge_ucr(rate_ucr_per_hour: int, duration_s: int) -> int:
    """Return what `duration_s` whole seconds cost, rounded down once for the whole duration (docs: ledger)."""
    return rate_ucr_per_hour * duration_s // SECONDS_PER_HOUR


def energy_estimate_wh(power_w: int, duration_s: int) -> int:
    """Return watt-hours of a constant power over a duration, rounded up."""
    return -(-power_w * duration_s // SECONDS_PER_HOUR)


def whole_seconds(starts_at: datetime, ends_at: datetime) -> int:
    """Return the whole seconds of a half-open interval, 0 when it is empty or reversed."""
    return max(0, (ends_at - starts_at) // timedelta(seconds=1))
