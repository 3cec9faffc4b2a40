"""What the layout needs on every page: navigation, account, balance, flashes. The factory hands in the callables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from flask import Flask, get_flashed_messages, request, url_for
from flask_wtf.csrf import generate_csrf

from portal.core.access import Actor
from portal.core.ids import new_secret
from portal.settings import TIME_ZONE
from portal.web import headers, i18n
from portal.web.actors import current_actor


@dataclass(frozen=True)
class Link:
    """A link of the navigation or a menu; `current` marks where the reader is, `post` makes it a button."""

    label: str
    url: str
    current: bool = False
    post: bool = False


@dataclass(frozen=True)
class Account:
    """The signed-in person, as the layout shows them."""

    name: str
    email: str
    links: Sequence[Link]


@dataclass(frozen=True)
class BalanceLine:
    """The balance in the layout: always three numbers."""

    balance_ucr: int
    held_ucr: int
    free_ucr: int
    url: str


@dataclass(frozen=True)
class LayoutParts:
    """What domains contribute to the layout; each callable takes the actor and runs at most two queries."""

    nav: Callable[[Actor], Sequence[Link]]
    account: Callable[[Actor], Account | None]
    balance: Callable[[Actor], BalanceLine | None]
    banner: Callable[[], str | None]
    footer: Callable[[Actor], Sequence[Link]]


class PageContext:
    """The `page` of the templates: computed when read, so that a page without a layout costs nothing."""

    def __init__(self, parts: LayoutParts) -> None:
        self._parts = parts

    @property
    def lang(self) -> str:
        """Return the page's language code."""
        return str(i18n.current_locale())

    @property
    def dir(self) -> str:
        """Return the page's direction."""
        return i18n.direction(self.lang)

    @property
    def theme(self) -> str:
        """Return "auto", "light" or "dark"."""
        return i18n.theme()

    @property
    def nonce(self) -> str:
        """Return the nonce for inline parts."""
        return headers.nonce()

    @property
    def nav(self) -> Sequence[Link]:
        """Return the navigation for this actor."""
        return self._parts.nav(current_actor())

    @property
    def account(self) -> Account | None:
        """Return the signed-in person, None for visitors."""
        return self._parts.account(current_actor())

    @property
    def balance(self) -> BalanceLine | None:
        """Return the balance, None for those who have no wallet."""
        return self._parts.balance(current_actor())

    @property
    def banner(self) -> str | None:
        """Return a sentence for the whole site, None in ordinary times."""
        return self._parts.banner()

    @property
    def footer(self) -> Sequence[Link]:
        """Return the links at the foot of every page."""
        return self._parts.footer(current_actor())

    @property
    def languages(self) -> Sequence[tuple[str, str]]:
        """Return the codes and names of the languages, each name in its own language."""
        return list(i18n.NAMES.items())

    @property
    def here(self) -> str:
        """Return this page's path, where a choice of language or theme leads back to."""
        return request.full_path.rstrip("?") if request.method == "GET" else "/"

    @property
    def hub_zone(self) -> str:
        """Return the zone that times are stated in."""
        return TIME_ZONE

    @property
    def flashes(self) -> Sequence[tuple[str, str]]:
        """Return the messages of the last act, as (kind, text)."""
        return cast("list[tuple[str, str]]", get_flashed_messages(with_categories=True))

    def path_for_lang(self, code: str) -> str:
        """Return where the form that chooses a language posts to."""
        return url_for("reader.choose_language", code=code)

    def path_for_theme(self, name: str) -> str:
        """Return where the form that chooses a theme posts to."""
        return url_for("reader.choose_theme", name=name)


def install(app: Flask, parts: LayoutParts) -> None:
    """Give every template `page`, `once_token()` and `csrf_token()`."""

    @app.context_processor
    def _context() -> dict[str, Any]:
        return {"page": PageContext(parts), "once_token": new_secret, "csrf_token": generate_csrf, "actor": current_actor()}
