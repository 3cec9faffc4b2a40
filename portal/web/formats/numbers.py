"""Numbers, credits, money, energy and sizes as text. Integer or decimal arithmetic only."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from babel.numbers import get_currency_precision

NARROW = "\u202f"
MINUS = "\u2212"
UCR_PER_HUNDREDTH = 10_000
UCR_PLACES = 6
KILO = 1000

_BYTE_UNITS = {"fr": ("o", "ko", "Mo", "Go", "To")}
_BYTE_UNITS_ELSEWHERE = ("B", "kB", "MB", "GB", "TB")
_FRENCH_UNITS = dict(zip(_BYTE_UNITS_ELSEWHERE, _BYTE_UNITS["fr"], strict=True))


@dataclass(frozen=True)
class TriParts:
    """Balance, held and free in hundredths of a credit, which add up as shown."""

    balance: int
    held: int
    free: int


def number(value: float | Decimal | Fraction, lang: str, *, places: int = 0, signed: bool = False) -> str:
    """Return `value` with `places` decimals, rounded half to even."""
    scaled = round(_exact(value) * 10**places)
    return _write(scaled, places, lang, signed=signed)


def credit_hundredths(amount_ucr: int) -> int:
    """Return µcredits as hundredths of a credit, rounded down (toward negative infinity)."""
    return amount_ucr // UCR_PER_HUNDREDTH


def credits_(amount_ucr: int, lang: str, *, signed: bool = False) -> str:
    """Return µcredits as credits with two decimals, rounded down.

    Down also for charges: −9.601 is shown as −9.61, never less than was taken.
    """
    return _write(credit_hundredths(amount_ucr), 2, lang, signed=signed)


def credits_exact(amount_ucr: int, lang: str) -> str:
    """Return µcredits as credits, with as many decimals as they have, two at least."""
    places = UCR_PLACES
    while places > 2 and amount_ucr % 10 == 0:
        amount_ucr //= 10
        places -= 1
    return _write(amount_ucr, places, lang)


def tri_parts(balance_ucr: int, held_ucr: int) -> TriParts:
    """Return what to show as balance, held and free, so that balance = held + free as shown.

    Balance and free are rounded down; held is what lies between them, at most a hundredth
    from its own value.
    """
    balance = credit_hundredths(balance_ucr)
    free = credit_hundredths(balance_ucr - held_ucr)
    return TriParts(balance=balance, held=balance - free, free=free)


def plural_count(amount_ucr: int, lang: str) -> int:
    """Return the count that chooses the plural form of "credit" for an amount as shown.

    A whole amount counts as itself. With decimals French looks at the whole part (1,50 crédit),
    Arabic and English use the form of large numbers (2.50 نقطة, 0.50 credits).
    """
    hundredths = abs(credit_hundredths(amount_ucr))
    whole, rest = divmod(hundredths, 100)
    return whole if rest == 0 or lang == "fr" else 100


def money(amount_minor: int, currency: str, lang: str, *, signed: bool = False) -> str:
    """Return an amount in minor units of `currency` (ISO 4217) with its code."""
    places = get_currency_precision(currency)
    return f"{_write(amount_minor, places, lang, signed=signed)}{NARROW}{currency}"


def percent(share: float | Decimal | Fraction, lang: str, *, places: int = 0) -> str:
    """Return a share of one as percent. Less than the whole never rounds up to the whole."""
    exact = _exact(share) * 100
    scaled = round(exact * 10**places)
    if exact < 100 and scaled >= 100 * 10**places:
        scaled = 100 * 10**places - 1
    return f"{_write(scaled, places, lang)}{NARROW}%"


def kwh(energy_wh: float | Decimal, lang: str, *, places: int = 2, unit: bool = True) -> str:
    """Return watt-hours as kilowatt-hours."""
    text = number(_exact(energy_wh) / KILO, lang, places=places)
    return f"{text}{NARROW}kWh" if unit else text


def size(count_bytes: int, lang: str) -> str:
    """Return a size in bytes with a decimal unit, one decimal under ten."""
    units = _BYTE_UNITS.get(lang, _BYTE_UNITS_ELSEWHERE)
    value = Fraction(count_bytes)
    index = 0
    while round(value) >= KILO and index < len(units) - 1:
        value /= KILO
        index += 1
    places = 1 if index and value < 10 and round(value * 10) % 10 else 0
    return f"{number(value, lang, places=places)}{NARROW}{units[index]}"


def quantity(value: float | Decimal, unit: str, lang: str, *, places: int = 0) -> str:
    """Return a number and its unit: "40 GB", in French "40 Go"."""
    word = _FRENCH_UNITS.get(unit, unit) if lang == "fr" else unit
    return f"{number(value, lang, places=places)}{NARROW}{word}"


def _exact(value: float | Decimal | Fraction) -> Fraction:
    # The text of a float is the number that was meant: 0.1 is a tenth.
    return Fraction(Decimal(str(value))) if isinstance(value, float) else Fraction(value)


def _write(scaled: int, places: int, lang: str, *, signed: bool = False) -> str:
    digits = str(abs(scaled)).rjust(places + 1, "0")
    whole, decimals = (digits[:-places], digits[-places:]) if places else (digits, "")
    groups = f"{int(whole):,}".replace(",", NARROW)
    mark = "," if lang == "fr" else "."
    sign = MINUS if scaled < 0 else "+" if signed and scaled > 0 else ""
    return f"{sign}{groups}{mark if decimals else ''}{decimals}"
