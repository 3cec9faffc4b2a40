"""Page marks: what a page had seen when it was opened, so that two tabs never overwrite each other unseen.

Each opened page has a random name and the revision it was opened at. A stored field remembers the revision of its
last change and the page that made it. A save conflicts when another page changed the field after this one was opened,
and the texts differ. A page never conflicts with itself, however its answers are lost or repeated on the way.
"""

import re
import secrets
from dataclasses import dataclass

_MARK = re.compile(r"([0-9a-f]{16})\.([0-9]{1,15})", re.ASCII)


@dataclass(frozen=True)
class PageMark:
    """The name of an opened page and the revision that it shows."""

    page: str
    revision: int

    @classmethod
    def fresh(cls, revision: int) -> "PageMark":
        """Return the mark of a page that is opened now."""
        return cls(secrets.token_hex(8), revision)

    @classmethod
    def parse(cls, text: str | None) -> "PageMark":
        """Return the mark that a form sent; one that is not ours has seen nothing."""
        found = _MARK.fullmatch(text or "")
        return cls(found[1], int(found[2])) if found else cls("0" * 16, 0)

    def __str__(self) -> str:
        return f"{self.page}.{self.revision}"

    def has_seen(self, *, page: str, revision: int) -> bool:
        """Return whether a field's last change, made by `page` as `revision`, was known to this page."""
        return page == self.page or revision <= self.revision
