"""Language, direction, zone and theme of the reader: the person's choice first, then the browser's wish."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale
from flask import Blueprint, Flask, current_app, g, make_response, redirect, request
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from flask_babel import Babel, force_locale, get_locale

from portal.core.errors import NotFound
from portal.settings import LANGUAGES, TIME_ZONE
from portal.web import access
from portal.web.targets import safe_target

LANGUAGE_COOKIE = "lang"
THEME_COOKIE = "theme"
THEMES = ("auto", "light", "dark")
NAMES = {"en": "English", "fr": "Français", "ar": "العربية"}
_YEAR_S = 365 * 86400
_KEEPER = "portal_language_keeper"

blueprint = Blueprint("reader", __name__)


def install(app: Flask, *, zone: Callable[[], str | None] = lambda: None, keep_language: Callable[[str], None] = lambda code: None) -> None:
    """Set up translation; `zone` returns the person's zone, `keep_language` stores their choice of language."""
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = "translations"
    app.config["BABEL_DEFAULT_LOCALE"] = "en"
    app.config["BABEL_DEFAULT_TIMEZONE"] = TIME_ZONE
    Babel(app, locale_selector=language, timezone_selector=lambda: _known_zone(zone()))
    app.extensions[_KEEPER] = keep_language
    app.jinja_env.filters["in_reader_language"] = in_reader_language


def language() -> str:
    """Return "en", "fr" or "ar"."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]


def in_reader_language(texts: Mapping[str, str]) -> str:
    """Return a text written in several languages, `{lang: text}`, in the reader's; else in English, else in any."""
    return texts.get(str(current_locale())) or texts.get(LANGUAGES[0]) or next((text for text in texts.values() if text), "")


def direction(code: str | None = None) -> str:
    """Return "rtl" for Arabic, "ltr" otherwise; of the reader's language by default."""
    return "rtl" if (code or str(get_locale())) == "ar" else "ltr"


def theme() -> str:
    """Return the reader's theme: "auto" follows the device."""
    chosen = request.cookies.get(THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"


def current_locale() -> Locale:
    """Return Babel's locale of the reader."""
    return get_locale() or Locale(LANGUAGES[0])


def remember_language(response: Response, code: str) -> None:
    """Keep a language in the browser."""
    _set_cookie(response, LANGUAGE_COOKIE, code)


@contextmanager
def reading_as(app: Flask, *, language: str, zone: str, base_url: str) -> Iterator[None]:
    """Write, outside a request, for a reader: texts, numbers and times come out in their language and zone."""
    with app.test_request_context(base_url=base_url), force_locale(language):
        # Flask-Babel has no force_timezone; this is where it keeps what its selector returned.
        g._flask_babel.babel_tzinfo = ZoneInfo(zone)  # noqa: SLF001
        yield


@blueprint.post("/language/<code>")
@access.public
def choose_language(code: str) -> ResponseReturnValue:
    """Keep the person's language and go back to where they were."""
    if code not in LANGUAGES:
        raise NotFound
    current_app.extensions[_KEEPER](code)
    response = make_response(redirect(safe_target(request.form.get("next")), 303))
    remember_language(response, code)
    return response


@blueprint.post("/theme/<name>")
@access.public
def choose_theme(name: str) -> ResponseReturnValue:
    """Keep the person's theme in this browser and go back to where they were."""
    if name not in THEMES:
        raise NotFound
    response = make_response(redirect(safe_target(request.form.get("next")), 303))
    _set_cookie(response, THEME_COOKIE, name)
    return response


def _set_cookie(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, max_age=_YEAR_S, secure=request.is_secure, httponly=True, samesite="Lax")


@cache
def _known_zone(zone: str | None) -> ZoneInfo:
    return ZoneInfo(zone if zone in available_timezones() else TIME_ZONE)
