"""What drafts and reviews share: saving fields one by one without overwriting what another page wrote."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from portal.core.errors import N_, Conflict
from portal.incubation.rules.marks import PageMark

V = TypeVar("V")


@dataclass(frozen=True)
class Stored(Generic[V]):
    """A field as it is kept: its value, and the revision and page of its last change."""

    value: V
    revision: int
    page: str
    saved_at: datetime | None = None


@dataclass(frozen=True)
class FieldClash:
    """A field that another page changed: what is kept, and what this page sent."""

    key: str
    stored: object
    sent: object
    saved_at: datetime | None


class ChangedElsewhere(Conflict):
    """Another tab or device changed the same fields since this page was opened.

    clashes: the fields that both changed. left_alone: what is kept of those that this page did not change.
    """

    text = N_("This was changed in another tab or on another device since you opened the page.")

    def __init__(self, clashes: list[FieldClash], left_alone: Mapping[str, object]) -> None:
        super().__init__()
        self.clashes = clashes
        self.left_alone = left_alone


@dataclass(frozen=True)
class Saved:
    """What a save did: the revision after it, and the keys that changed."""

    revision: int
    changed: frozenset[str]


def changes(stored: Mapping[str, Stored[V]], sent: Mapping[str, V], *, mark: PageMark, keep: Collection[str], nothing: V) -> dict[str, V]:
    """Return the fields to write. Raises ChangedElsewhere; fields named in `keep` overwrite knowingly.

    A field that the page sends as it showed it is not written over what another page made of it since.
    """
    differing = {key: value for key, value in sent.items() if value != (stored[key].value if key in stored else nothing)}
    left_alone = {key: stored[key].value for key, value in differing.items() if key in stored and mark.left_alone(key, value, page=stored[key].page)}
    changed = {key: value for key, value in differing.items() if key not in left_alone}
    clashes = [
        FieldClash(key, stored[key].value, value, stored[key].saved_at)
        for key, value in changed.items()
        if key in stored and key not in keep and not mark.has_seen(page=stored[key].page, revision=stored[key].revision)
    ]
    if clashes:
        raise ChangedElsewhere(clashes, left_alone)
    return changed
