"""Say that a translation is up to date: its markers take the digests of the source blocks as they are now."""

import re
from pathlib import Path

from portal.learning.content import lessons

_ATTRIBUTE = re.compile(r" from=[0-9a-f]+")


def stamp(source: Path, translation: Path, *, only: str | None = None) -> int:
    """Write `from=` into the translation's markers, of one block or of all, and return how many lines changed.

    To be called by who has read both texts, or wrote the second from the first.
    """
    digests = {block.id: lessons.digest(block.text) for block in lessons.split(source.read_text(encoding="utf-8"), str(source))[0]}
    lines = translation.read_text(encoding="utf-8").split("\n")
    changed = 0
    for block in lessons.split("\n".join(lines), str(translation))[0]:
        if block.id not in digests or {"same", "lab"} & set(block.attributes) or (only is not None and block.id != only):
            continue
        marker = lines[block.line - 1]
        renewed = _ATTRIBUTE.sub("", marker).rstrip().removesuffix("}").rstrip() + f" from={digests[block.id]}}}"
        changed += renewed != marker
        lines[block.line - 1] = renewed
    translation.write_text("\n".join(lines), encoding="utf-8")
    return changed
