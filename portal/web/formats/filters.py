"""Template filters over the formats: they add markup and know the language of the request.

Each filter comes twice. `credits` returns markup: digits that line up and, inside Arabic,
an isolated left-to-right run. `credits_text` returns plain text for attributes (titles,
labels), where Arabic isolates numbers with the characters U+2066 and U+2069.

    {{ x|number }} {{ x|number(places=1) }}      {{ ucr|credits }} {{ ucr|credits(signed=true) }}
    {{ ucr|credits_words }}  12.00 credits       {{ ucr|credit_unit }}  the word alone
    {{ ucr|credits_per_hour }} 12.00 credits/h   {{ ucr|credit_per_hour_unit }}
    {{ minor|money("MAD") }}                     {{ 0.94|percent }} {{ 52|percent(of=60) }}
    {{ wh|kwh }} {{ wh|kwh(unit=false) }}        small=true sets the unit of any of them smaller
    {{ s|duration }} {{ s|duration(exact=true) }} {{ n|size }} {{ 40|unit("GB") }}
    {{ at|clock }} {{ at|date("weekday") }} {{ at|datetime("long") }} {{ at|ago }}
    {{ tz|zone_city }} {{ tz|zone_offset }}      {{ text|latin }}  a Latin name inside Arabic
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from babel import Locale
from flask import Flask
from flask_babel import get_locale, get_timezone, ngettext
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from portal.core import clock
from portal.web.formats import numbers, times

ISOLATE, POP = "\u2066", "\u2069"
# A run that reads left to right inside Arabic: a number, with its sign, groups and Latin unit.
_UNIT = re.compile("\u202f([^\\d\\s]+)")
_RUN = re.compile(r"[+\u2212]?\d(?:[\d\u202f.,:/]*\d)?(?:\u202f(?:%|[A-Za-z]+(?:/[A-Za-z]+)?))?|UTC[+\u2212][\d:]+")


class NGettext(Protocol):
    """The plural look-up of the catalogue."""

    def __call__(self, singular: str, plural: str, num: int, /) -> str:
        """Return the form for `num`."""
        ...


def _language() -> str:
    return (get_locale() or Locale("en")).language


def _timezone() -> tzinfo:
    return get_timezone() or UTC


@dataclass(frozen=True)
class FormatContext:
    """What the filters ask about the request, as callables read at each use."""

    language: Callable[[], str] = _language
    timezone: Callable[[], tzinfo] = _timezone
    now: Callable[[], datetime] = clock.now
    ngettext: NGettext = ngettext


def register(app: Flask, context: FormatContext | None = None) -> None:
    """Add every filter, and its `_text` twin, to the application's templates."""
    context = context or FormatContext()
    env = app.jinja_env
    texts: dict[str, Callable[..., str]] = {**_number_texts(context), **_time_texts(context)}
    for name, text in texts.items():
        env.filters[name] = _as_markup(text, context)
        env.filters[f"{name}_text"] = _as_plain(text, context)
    for name in ("clock", "date", "datetime", "ago"):
        env.filters[name] = _as_time(texts[name], context, titled=name == "ago")
    for name in ("credit_unit", "credit_per_hour_unit", "zone_city"):
        env.filters[name] = _as_words(texts[name])
    env.filters["latin"] = _as_latin(context)
    env.globals["tri_parts"] = numbers.tri_parts


def wrap(text: str, lang: str, *, small: bool = False) -> Markup:
    """Return number text as markup that keeps its own direction; `small` sets the unit smaller."""
    # Built by hand: Markup.format costs several times as much, and a list has a hundred of these.
    if lang == "ar":
        return _runs(text, lambda run: Markup(f'<bdi class="num" dir="ltr">{_unit(run, small=small)}</bdi>'))  # noqa: S704 -- escaped
    return Markup(f'<span class="num">{_unit(text, small=small)}</span>')  # noqa: S704 -- escaped


def _unit(text: str, *, small: bool) -> Markup:
    return Markup(_UNIT.sub('\u202f<span class="u">\\1</span>', str(escape(text)))) if small else escape(text)  # noqa: S704 -- escaped


def isolate(text: str, lang: str) -> str:
    """Return number text for an attribute, isolated by characters inside Arabic."""
    return _RUN.sub(lambda run: f"{ISOLATE}{run[0]}{POP}", text) if lang == "ar" else text


def _runs(text: str, mark: Callable[[str], Markup]) -> Markup:
    out, last = Markup(""), 0
    for run in _RUN.finditer(text):
        out += escape(text[last : run.start()]) + mark(run[0])
        last = run.end()
    return out + escape(text[last:])


def _number_texts(context: FormatContext) -> dict[str, Callable[..., str]]:
    lang = context.language

    def percent(share: float | Decimal, of: int | None = None, places: int = 0) -> str:
        exact = share if of is None else Fraction(share) / of
        return numbers.percent(exact, lang(), places=places)

    def credit_unit(ucr: int) -> str:
        return context.ngettext("credit", "credits", numbers.plural_count(ucr, lang()))

    def credit_per_hour_unit(ucr: int) -> str:
        return context.ngettext("credit/h", "credits/h", numbers.plural_count(ucr, lang()))

    def credits_words(ucr: int) -> str:
        return f"{numbers.credits_(ucr, lang())} {credit_unit(ucr)}"

    def credits_per_hour(ucr: int) -> str:
        return f"{numbers.credits_(ucr, lang())} {credit_per_hour_unit(ucr)}"

    def hundredths(value: int) -> str:
        return numbers.number(Fraction(value, 100), lang(), places=2)

    return {
        "number": lambda value, **more: numbers.number(value, lang(), **more),
        "credits": lambda ucr, **more: numbers.credits_(ucr, lang(), **more),
        "credits_exact": lambda ucr: numbers.credits_exact(ucr, lang()),
        "credits_words": credits_words,
        "credits_per_hour": credits_per_hour,
        "credit_unit": credit_unit,
        "credit_per_hour_unit": credit_per_hour_unit,
        "hundredths": hundredths,
        "money": lambda minor, currency, **more: numbers.money(minor, currency, lang(), **more),
        "percent": percent,
        "kwh": lambda wh, **more: numbers.kwh(wh, lang(), **more),
        "size": lambda count: numbers.size(count, lang()),
        "unit": lambda value, unit, **more: numbers.quantity(value, unit, lang(), **more),
    }


def _time_texts(context: FormatContext) -> dict[str, Callable[..., str]]:
    lang, tz = context.language, context.timezone

    def zone_offset(zone: str | tzinfo) -> str:
        return times.zone_offset(ZoneInfo(zone) if isinstance(zone, str) else zone, context.now())

    return {
        "clock": lambda at, **more: times.clock(at, lang(), tz(), **more),
        "date": lambda on, style="long": times.date_(on, lang(), tz(), style),
        "datetime": lambda at, style="short", **more: times.datetime_(at, lang(), tz(), style, **more),
        "ago": lambda at: times.ago(at, context.now(), lang()),
        "duration": lambda length_s, **more: times.duration(length_s, lang(), **more),
        "zone_city": lambda zone: times.zone_city(zone, lang()),
        "zone_offset": zone_offset,
    }


# The filters take the template's context although they do not read it: a filter without it
# is evaluated once, when the template is compiled, in whatever language that request had.


def _as_markup(text: Callable[..., str], context: FormatContext) -> Callable[..., Markup]:
    @pass_context
    def apply(_: Context, value: Any, *args: Any, small: bool = False, **more: Any) -> Markup:
        return wrap(text(value, *args, **more), context.language(), small=small)

    return apply


def _as_plain(text: Callable[..., str], context: FormatContext) -> Callable[..., str]:
    @pass_context
    def apply(_: Context, value: Any, *args: Any, **more: Any) -> str:
        return isolate(text(value, *args, **more), context.language())

    return apply


def _as_words(text: Callable[..., str]) -> Callable[..., str]:
    @pass_context
    def apply(_: Context, value: Any) -> str:
        return text(value)

    return apply


def _as_time(text: Callable[..., str], context: FormatContext, *, titled: bool) -> Callable[..., Markup]:
    @pass_context
    def apply(_: Context, value: date | datetime, *args: Any, **more: Any) -> Markup:
        lang = context.language()
        shown = wrap(text(value, *args, **more), lang) if lang == "ar" else text(value, *args, **more)
        machine = value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
        title = Markup("")
        if titled and isinstance(value, datetime):
            exact = times.datetime_(value, lang, context.timezone(), "long", seconds=True)
            title = Markup(' title="{}"').format(isolate(exact, lang))
        css = "" if lang == "ar" else ' class="num"'
        return Markup(f'<time datetime="{machine}"{title}{css}>{escape(shown)}</time>')  # noqa: S704 -- escaped

    return apply


def _as_latin(context: FormatContext) -> Callable[..., Markup]:
    @pass_context
    def apply(_: Context, value: str) -> Markup:
        return Markup("<bdi>{}</bdi>").format(value) if context.language() == "ar" else escape(value)

    return apply
