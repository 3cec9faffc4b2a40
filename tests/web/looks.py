"""What the tests of the look share: an application without a database, and a strict reader of HTML."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

from flask import Flask, render_template
from flask_wtf import CSRFProtect
from jinja2 import StrictUndefined

from portal.web import access, assets, formats, gallery, headers, i18n, pages

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def look_app() -> Flask:
    """Return an application that shows the gallery, signed in as somebody with a wallet."""
    app = Flask("portal", root_path=str(assets.STATIC.parents[1]), template_folder="web/templates", static_folder=None)
    app.config.update(SECRET_KEY="x" * 32, PORTAL_HOST=None, PORTAL_HSTS=False, PORTAL_FORM_TARGETS=(), TESTING=True)
    app.jinja_env.undefined = StrictUndefined
    CSRFProtect(app)
    headers.install(app)
    i18n.install(app)
    formats.register(app)
    nav = [pages.Link(label, "/dev/gallery", current=label == "Sessions") for label in ("Home", "Sessions", "Wallet", "Programme", "Courses", "Data")]
    links = [pages.Link("Profile and security", "/profile"), pages.Link("Sign out", "/sign-out", post=True)]
    parts = pages.LayoutParts(
        nav=lambda actor: nav,
        account=lambda actor: pages.Account("سلمى Bennani", "salma@example.org", links),
        balance=lambda actor: pages.BalanceLine(1_284_400_000, 26_400_000, 1_258_000_000, "/wallet"),
        banner=lambda: "Development",
        footer=lambda actor: [pages.Link("Status of the hub", "/status")],
    )
    pages.install(app, parts)
    app.register_blueprint(assets.blueprint)
    app.register_blueprint(i18n.blueprint)

    @app.get("/dev/gallery", endpoint="gallery")
    @access.public
    def show() -> str:
        return render_template("gallery.html", **gallery.sample())

    @app.get("/dev/public")
    @access.public
    def public() -> str:
        return render_template("gallery/public.html", **gallery.sample())

    @app.get("/dev/card")
    @access.public
    def card() -> str:
        return render_template("gallery/card.html", **gallery.sample())

    return app


@dataclass
class Element:
    """One start tag."""

    tag: str
    attributes: dict[str, str]
    parents: list[str]
    text: str = ""


@dataclass
class Reader(HTMLParser):
    """Reads a page and remembers every element; `mistakes` says what a strict parser would refuse."""

    elements: list[Element] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    _open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        self.mistakes += [f"<{tag}> has {name} twice" for name in set(names) if names.count(name) > 1]
        element = Element(tag, {name: value or "" for name, value in attrs}, [parent.tag for parent in self._open])
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1].tag != tag:
            self.mistakes.append(f"</{tag}> closes {self._open[-1].tag if self._open else 'nothing'}")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """Return elements by tag and attributes (class_ and the like lose their underscore)."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [e for e in self.elements if e.tag == tag and all(e.attributes.get(name) == value for name, value in wanted.items())]

    def one(self, tag: str, **attributes: str) -> Element:
        """Return the only such element."""
        (element,) = self.all(tag, **attributes)
        return element


def read(html: str) -> Reader:
    """Return a page that was read to its end."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    reader.mistakes += [f"<{element.tag}> is never closed" for element in reader._open]
    return reader
