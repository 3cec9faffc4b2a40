"""From a queued message to subject, text and HTML, in the language and zone of its recipient."""

import re
from dataclasses import dataclass
from typing import Any

from flask import Flask
from markupsafe import Markup, escape

from portal.settings import Settings
from portal.web.i18n import reading_as

_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")
SUBJECT_MOST = 200


class BadTemplate(ValueError):
    """A mail template does not begin with "Subject: "."""


@dataclass(frozen=True)
class Rendered:
    """A message as it is read."""

    subject: str
    text: str
    html: str


class MailRenderer:
    """Renders with the application's Jinja; handed to jobs as the resource `render_mail`."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        settings: Settings = app.extensions["portal_settings"]
        self._portal_url = settings.public_url

    def __call__(self, kind: str, context: dict[str, Any], *, language: str, zone: str) -> Rendered:
        """Return subject, text and HTML. Raises BadTemplate, jinja2.TemplateNotFound."""
        domain, _, name = kind.partition(".")
        with reading_as(self._app, language=language, zone=zone, base_url=self._portal_url):
            env = self._app.jinja_env
            whole = env.get_template(f"{domain}/mail/{name}.txt").render(**context, portal_url=self._portal_url)
            first, _, rest = whole.strip().partition("\n")
            if not first.startswith("Subject: "):
                raise BadTemplate(kind)
            subject, text = one_line(first.removeprefix("Subject: ")), rest.strip() + "\n"
            frame = env.get_template("notifications/mail/frame.html")
            direction = "rtl" if language == "ar" else "ltr"
            html = frame.render(subject=subject, paragraphs=paragraphs(text), language=language, direction=direction, portal_url=self._portal_url)
        return Rendered(subject, text, html)


def one_line(text: str) -> str:
    """Return a text that cannot begin a second header line."""
    return _CONTROL.sub(" ", text).strip()[:SUBJECT_MOST]


def paragraphs(text: str) -> list[Markup]:
    """Return a mail's text as escaped paragraphs with its links made clickable."""
    blocks = (block.strip() for block in re.split(r"\n\s*\n", text))
    return [Markup("<br>").join(_linked(line) for line in block.split("\n")) for block in blocks if block]


def _linked(line: str) -> Markup:
    out, last = Markup(""), 0
    for link in _LINK.finditer(line):
        out += escape(line[last : link.start()]) + Markup('<a href="{0}" dir="ltr">{0}</a>').format(link[0])
        last = link.end()
    return out + escape(line[last:])


def install(app: Flask) -> None:
    """Hand the renderer to jobs."""
    app.extensions.setdefault("job_resources", {})["render_mail"] = MailRenderer(app)
