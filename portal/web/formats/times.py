"""Times of day, dates, lengths of time and time zones as text."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from typing import Literal

from babel import Locale
from babel.dates import format_timedelta, get_timezone_location
from babel.units import format_unit

NARROW = "\u202f"
NO_BREAK = "\u00a0"
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
JUST_NOW_S = 5

# The names used in Morocco; the ones in CLDR for "ar" are those of other countries.
MOROCCAN_MONTHS = (
    "يناير",
    "فبراير",
    "مارس",
    "أبريل",
    "ماي",
    "يونيو",
    "يوليوز",
    "غشت",
    "شتنبر",
    "أكتوبر",
    "نونبر",
    "دجنبر",
)
_JUST_NOW = {"en": "just now", "fr": "à l’instant", "ar": "الآن"}
DATE_STYLES = ("short", "medium", "day", "long", "weekday", "full", "month")


def clock(at: datetime, lang: str, tz: tzinfo, *, seconds: bool = False) -> str:
    """Return the time of day, 24 hours."""
    del lang  # The same digits and order in every language; kept for one signature.
    return _local(at, tz).strftime("%H:%M:%S" if seconds else "%H:%M")


def date_(on: date | datetime, lang: str, tz: tzinfo, style: str = "long") -> str:
    """Return a date.

    style: short "16 Jun", medium "16 Jun 2026", day "16 June", long "16 June 2026",
    weekday "Tuesday 16 June", full "Tuesday 16 June 2026", month "June 2026".
    """
    if style not in DATE_STYLES:
        raise ValueError(f"Unknown date style {style!r}; one of {', '.join(DATE_STYLES)}")
    day = _local(on, tz).date() if isinstance(on, datetime) else on
    month = _month(day.month, lang, short=style in ("short", "medium"))
    if style == "month":
        return f"{month}{NO_BREAK}{day.year}"
    parts = [_day_number(day.day, lang), month]
    if style in ("weekday", "full"):
        parts.insert(0, _locale(lang).days["format"]["wide"][day.weekday()])
    if style in ("medium", "long", "full"):
        parts.append(str(day.year))
    return NO_BREAK.join(parts)


def datetime_(at: datetime, lang: str, tz: tzinfo, style: str = "short", *, seconds: bool = False) -> str:
    """Return a date in `style` and the time of day."""
    comma = "،" if lang == "ar" else ","
    return f"{date_(at, lang, tz, style)}{comma} {clock(at, lang, tz, seconds=seconds)}"


def duration(length_s: int, lang: str, *, exact: bool = False) -> str:
    """Return a length of time, rounded down to minutes once it is a minute, unless `exact`."""
    hours, rest = divmod(max(0, int(length_s)), HOUR_S)
    minutes, seconds = divmod(rest, MINUTE_S)
    if not exact and (hours or minutes):
        seconds = 0
    parts = [(hours, "hour"), (minutes, "minute"), (seconds, "second")]
    shown = [(count, unit) for count, unit in parts if count] or [(0, "second")]
    if lang == "ar":
        return " و".join(_arabic_unit(count, unit) for count, unit in shown)
    marks = {"hour": "h", "minute": "min", "second": "s"}
    texts = [f"{count:02d}{NARROW}{marks[unit]}" if index else f"{count}{NARROW}{marks[unit]}" for index, (count, unit) in enumerate(shown)]
    return NO_BREAK.join(texts)


def ago(at: datetime, now: datetime, lang: str) -> str:
    """Return how long ago, or in how long, `at` is from `now`, rounded toward `now`."""
    apart_s = int((at - now).total_seconds())
    if abs(apart_s) < JUST_NOW_S:
        return _JUST_NOW.get(lang, _JUST_NOW["en"])
    granularity, unit_s = _granularity(abs(apart_s))
    whole_s = abs(apart_s) // unit_s * unit_s
    delta = timedelta(seconds=whole_s if apart_s > 0 else -whole_s)
    return format_timedelta(delta, granularity=granularity, threshold=1e9, add_direction=True, locale=_locale(lang))


def zone_city(tz: tzinfo | str, lang: str) -> str:
    """Return the city that names a zone: "Casablanca", "الدار البيضاء"."""
    return get_timezone_location(str(tz), locale=_locale(lang), return_city=True)


def zone_offset(tz: tzinfo, at: datetime) -> str:
    """Return the distance of a zone from UTC at an instant: "UTC+1", "UTC−3:30"."""
    offset_min = int((_local(at, tz).utcoffset() or timedelta()).total_seconds()) // MINUTE_S
    hours, minutes = divmod(abs(offset_min), 60)
    sign = "\u2212" if offset_min < 0 else "+"
    return f"UTC{sign}{hours}{f':{minutes:02d}' if minutes else ''}"


@cache
def _locale(lang: str) -> Locale:
    return Locale.parse(lang)


def _local(at: datetime, tz: tzinfo) -> datetime:
    if at.tzinfo is None:
        raise ValueError("A time without a zone cannot be shown; pass an aware datetime.")
    return at.astimezone(UTC).astimezone(tz)


def _month(index: int, lang: str, *, short: bool) -> str:
    if lang == "ar":
        return MOROCCAN_MONTHS[index - 1]
    width = "abbreviated" if short else "wide"
    return str(_locale(lang).months["format"][width][index])


def _day_number(day: int, lang: str) -> str:
    return "1er" if lang == "fr" and day == 1 else str(day)


def _arabic_unit(count: int, unit: str) -> str:
    return str(format_unit(count, f"duration-{unit}", "long", locale=_locale("ar")))


def _granularity(apart_s: int) -> tuple[Literal["day", "hour", "minute", "second"], int]:
    if apart_s < MINUTE_S:
        return "second", 1
    if apart_s < HOUR_S:
        return "minute", MINUTE_S
    if apart_s < 2 * DAY_S:
        return "hour", HOUR_S
    return "day", DAY_S
