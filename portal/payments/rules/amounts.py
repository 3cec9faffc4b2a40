"""Amounts of money as people write them; minor units of MAD, EUR and USD, two places each."""

import re
from decimal import Decimal

_PLAIN = re.compile(r"[0-9]{1,10}(?:[.,][0-9]{1,2})?", re.ASCII)


class NotMoney(ValueError):
    """The text is not a plain amount with at most two places."""


def parse_money(text: str) -> int:
    """Return minor units from a plain amount such as "1200", "1200.50" or "1200,50". Raises NotMoney for anything else."""
    cleaned = re.sub(r"[ \u202f\u00a0]", "", text)
    if not _PLAIN.fullmatch(cleaned):
        raise NotMoney(text)
    return int(Decimal(cleaned.replace(",", ".")) * 100)


def plain_money(amount_minor: int, currency: str) -> str:
    """Return an amount as plain text, such as "1200.50 MAD"."""
    return f"{amount_minor // 100}.{amount_minor % 100:02d} {currency}"
