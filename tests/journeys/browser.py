"""A browser without scripts, over HTTP: follows redirects, keeps cookies, fills in the forms that the pages show.

What works here works for a person whose scripts are off; no form field is invented.
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx


class PageError(AssertionError):
    """The page was not what a person would have expected; the message shows its sentence."""


@dataclass
class Field:
    """One control of a form."""

    name: str
    kind: str
    value: str = ""
    checked: bool = False
    options: list[str] = field(default_factory=list)


@dataclass
class HtmlForm:
    """A form as the page shows it."""

    action: str
    method: str
    fields: list[Field] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)  # name, value, formaction

    def values(self) -> dict[str, list[str]]:
        """Return what a browser would send without touching anything."""
        sent: dict[str, list[str]] = {}
        for control in self.fields:
            if control.kind in {"checkbox", "radio"} and not control.checked:
                continue
            if control.kind in {"file", "submit", "button"}:
                continue
            sent.setdefault(control.name, []).append(control.value)
        return sent

    def names(self) -> set[str]:
        """Return the names of all controls."""
        return {control.name for control in self.fields}


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[HtmlForm] = []
        self.links: list[tuple[str, str]] = []
        self.text: list[str] = []
        self._form: HtmlForm | None = None
        self._by_id: dict[str, HtmlForm] = {}
        self._textarea: Field | None = None
        self._select: Field | None = None
        self._link: list[str] | None = None
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        a = {name: value or "" for name, value in attrs}
        present = {name for name, _ in attrs}
        if tag in {"script", "style", "svg"}:
            self._hidden += 1
        if tag == "form":
            self._form = self._by_id.setdefault(a["id"], HtmlForm("", "get")) if "id" in a else HtmlForm("", "get")
            self._form.action, self._form.method = a.get("action", ""), a.get("method", "get").lower()
            self.forms.append(self._form)
        form = self._form
        if a.get("form"):
            # A control may belong to a form that stands further down the page.
            form = self._by_id.setdefault(a["form"], HtmlForm("", "get"))
        if tag == "input" and form is not None and "name" in a:
            form.fields.append(Field(a["name"], a.get("type", "text"), a.get("value", "on" if a.get("type") == "checkbox" else ""), "checked" in present))
        elif tag == "textarea" and form is not None and "name" in a:
            self._textarea = Field(a["name"], "textarea")
            form.fields.append(self._textarea)
        elif tag == "select" and form is not None and "name" in a:
            self._select = Field(a["name"], "select")
            form.fields.append(self._select)
        elif tag == "option" and self._select is not None:
            self._select.options.append(a.get("value", ""))
            if "selected" in present or len(self._select.options) == 1:
                self._select.value = a.get("value", "")
        elif tag == "button" and form is not None:
            form.buttons.append((a.get("name", ""), a.get("value", ""), a.get("formaction", "")))
        elif tag == "a" and "href" in a:
            self._link = []
            self.links.append((a["href"], ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style", "svg"}:
            self._hidden -= 1
        elif tag == "form":
            self._form = None
        elif tag == "textarea":
            self._textarea = None
        elif tag == "select":
            self._select = None
        elif tag == "a" and self._link is not None:
            self.links[-1] = (self.links[-1][0], " ".join("".join(self._link).split()))
            self._link = None

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            # The first newline after <textarea> is not part of the value.
            self._textarea.value += data.removeprefix("\n") if not self._textarea.value else data
            return
        if self._link is not None:
            self._link.append(data)
        if not self._hidden:
            self.text.append(data)


class Browser:
    """One person's browser."""

    def __init__(self, base_url: str, *, language: str = "en", timeout_s: float = 30.0) -> None:
        self.base_url = base_url
        self._client = httpx.Client(follow_redirects=True, timeout=timeout_s, headers={"Accept-Language": language, "Accept": "text/html"})
        self.response: httpx.Response | None = None
        self._page = _Parser()

    def get(self, path: str, *, expect: int = 200) -> "Browser":
        """Open a page. Raises PageError for another status."""
        return self._took(self._client.get(urljoin(self.base_url, path)), expect)

    def submit(
        self, fields: dict[str, str | list[str]] | None = None, *, having: str = "", action: str = "", method: str = "", button: str = "", expect: int = 200
    ) -> "Browser":
        """Fill in and send the page's form that has a control named `having`, or whose action contains `action`."""
        form = self.form(having=having, action=action, method=method)
        values = form.values()
        for name, value in (fields or {}).items():
            if name not in form.names():
                raise PageError(f"the form at {form.action or self.url} has no field {name!r}; it has {sorted(form.names())}")
            values[name] = value if isinstance(value, list) else [value]
        target = form.action
        for name, value, formaction in form.buttons:
            if button and button in (value, name, formaction):
                if name:
                    values[name] = [value]
                target = formaction or target
        url = urljoin(self.url, target or self.url)
        if form.method == "get":
            return self._took(self._client.get(url, params=values), expect)
        return self._took(self._client.post(url, data=values, headers={"Origin": self._origin(), "Referer": self.url}), expect)

    def form(self, *, having: str = "", action: str = "", method: str = "") -> HtmlForm:
        """Return a form of the page. Raises PageError."""
        for form in self._page.forms:
            if method and form.method != method:
                continue
            if (having and having in form.names()) or (action and action in form.action) or (not having and not action and form.method == "post"):
                return form
        raise PageError(f"no form having {having!r} or leading to {action!r} at {self.url}; forms: {[(f.action, sorted(f.names())) for f in self._page.forms]}")

    def has_form(self, *, having: str = "", action: str = "") -> bool:
        """Return whether the page shows such a form."""
        try:
            self.form(having=having, action=action)
        except PageError:
            return False
        return True

    def follow(self, *, containing: str) -> "Browser":
        """Follow the first link whose address contains a text."""
        return self.get(self.link(containing=containing))

    def link(self, *, containing: str) -> str:
        """Return the first link whose address contains a text. Raises PageError."""
        for href, _ in self._page.links:
            if containing in href:
                return urljoin(self.url, href)
        raise PageError(f"no link containing {containing!r} at {self.url}; links: {[href for href, _ in self._page.links]}")

    def links(self, *, containing: str) -> list[str]:
        """Return all links whose address contains a text."""
        return [urljoin(self.url, href) for href, _ in self._page.links if containing in href]

    @property
    def url(self) -> str:
        """Return the address of the page."""
        return str(self.response.url) if self.response is not None else self.base_url

    @property
    def path(self) -> str:
        """Return the path of the page."""
        return urlsplit(self.url).path

    @property
    def html(self) -> str:
        """Return the page's source."""
        return self.response.text if self.response is not None else ""

    @property
    def text(self) -> str:
        """Return what the page says, white space folded."""
        return " ".join("".join(self._page.text).split())

    @property
    def cookies(self) -> httpx.Cookies:
        """Return the browser's cookies."""
        return self._client.cookies

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _took(self, response: httpx.Response, expect: int) -> "Browser":
        self.response = response
        self._page = _Parser()
        if "html" in response.headers.get("content-type", ""):
            self._page.feed(response.text)
        if response.status_code != expect:
            raise PageError(f"{response.request.method} {response.url} answered {response.status_code}, not {expect}: {self.text[:600]}")
        return self

    def _origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"
