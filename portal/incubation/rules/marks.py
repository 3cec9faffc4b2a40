"""Page marks: what a page showed when it was opened, so that two tabs never overwrite each other unseen.

Each opened page has a random name, the revision it was opened at, and a short digest of each field that it showed.
A stored field remembers the revision of its last change and the page that made it. A save conflicts when another page
changed the field after this one was opened, this page changed it too, and the texts differ. A page never conflicts
with itself, however its answers are lost or repeated on the way.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

_MARK = re.compile(r"([0-9a-f]{16})\.([0-9]{1,15})(?:\.((?:[a-z0-9_]{1,40}=[0-9a-f]{8},?){0,200}))?", re.ASCII)


def digest(value: object) -> str:
    """Return eight hexadecimal digits that tell one value of a field from another; nothing is nothing, of any kind."""
    return hashlib.sha256(json.dumps(value or "", ensure_ascii=False).encode()).hexdigest()[:8]


NOTHING = digest("")


@dataclass(frozen=True)
class PageMark:
    """The name of an opened page, the revision that it shows, and the digests of the fields as it showed them."""

    page: str
    revision: int
    shown: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def fresh(cls, revision: int, values: Mapping[str, object] | None = None) -> "PageMark":
        """Return the mark of a page that is opened now and shows these values."""
        return cls(secrets.token_hex(8), revision, {key: digest(value) for key, value in (values or {}).items()})

    @classmethod
    def parse(cls, text: str | None) -> "PageMark":
        """Return the mark that a form sent; one that is not ours has seen nothing."""
        found = _MARK.fullmatch((text or "")[:10_000])
        if found is None:
            return cls("0" * 16, 0)
        return cls(found[1], int(found[2]), dict(part.split("=") for part in (found[3] or "").split(",") if part))

    def __str__(self) -> str:
        shown = ",".join(f"{key}={value}" for key, value in self.shown.items())
        return f"{self.page}.{self.revision}.{shown}"

    def has_seen(self, *, page: str, revision: int) -> bool:
        """Return whether a field's last change, made by `page` as `revision`, was known to this page."""
        return page == self.page or revision <= self.revision

    def left_alone(self, key: str, value: object, *, page: str) -> bool:
        """Return whether the page sends a field as it showed it, and another page made the field's last change."""
        return page != self.page and self.shown.get(key, NOTHING) == digest(value)
