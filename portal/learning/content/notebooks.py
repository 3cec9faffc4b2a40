"""A lab's notebook: its master is text in percent format, its languages stand side by side.

    # %% [markdown] id="goal" lang="en"
    # # How fast does memory answer?
    # %% [markdown] id="goal" lang="fr"
    # # À quelle vitesse la mémoire répond-elle ?
    # %% id="library"
    import numpy

Text cells with one id are one cell in several languages; code is the same in all of them. The file opens in any
editor that knows the format, and is never imported here. The notebook is JSON of format 4.5, written here because importing nbformat takes seconds in
every web worker; tests hold it to nbformat's own validation.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.learning.content.model import Cell, Problem

_HEAD = re.compile(r"# %%(?P<kind> \[markdown\])?(?P<rest>(?: [a-z]+=\"[^\"]*\")*)\s*")
_PAIR = re.compile(r'([a-z]+)="([^"]*)"')
_ID = re.compile(r"[a-z][a-z0-9-]{0,63}")


@dataclass
class _Part:
    line: int
    is_markdown: bool
    attributes: Mapping[str, str]
    lines: list[str] = field(default_factory=list)


def parse(text: str, path: str, languages: Sequence[str]) -> tuple[tuple[Cell, ...], list[Problem]]:
    """Return a master's cells, and what is wrong with it."""
    parts, problems = _parts(text, path)
    cells: dict[str, Cell] = {}
    for part in parts:
        problems += _part_problems(part, path, languages, cells)
        cell_id = part.attributes.get("id", "")
        if part.is_markdown:
            texts = dict(cells[cell_id].texts) if cell_id in cells else {}
            texts.setdefault(part.attributes.get("lang", ""), _markdown(part.lines))
            cells[cell_id] = Cell(cell_id, texts=texts)
        else:
            cells.setdefault(cell_id, Cell(cell_id, source="\n".join(part.lines).strip("\n")))
            problems += _code_problems(part, path)
    for cell in cells.values():
        missing = [language for language in languages if cell.is_markdown and language not in cell.texts]
        if missing:
            line = next(part.line for part in parts if part.attributes.get("id") == cell.id)
            fix = f'Add # %% [markdown] id="{cell.id}" lang="{missing[0]}" below it.'
            problems.append(Problem(path, line, f"The text cell “{cell.id}” lacks {', '.join(missing)}.", fix))
    if not cells:
        problems.append(Problem(path, 1, "The notebook has no cells.", 'Begin with # %% [markdown] id="goal" lang="en".'))
    return tuple(cells.values()), problems


def _parts(text: str, path: str) -> tuple[list[_Part], list[Problem]]:
    parts: list[_Part] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        head = _HEAD.fullmatch(line)
        if head:
            parts.append(_Part(number, bool(head["kind"]), dict(_PAIR.findall(head["rest"]))))
        elif line.startswith("# %%"):
            problems.append(Problem(path, number, f"“{line[:60]}” is no head of a cell.", 'Write # %% id="name", or # %% [markdown] id="name" lang="en".'))
        elif parts:
            parts[-1].lines.append(line)
        elif line.strip() and not line.startswith("#"):
            problems.append(Problem(path, number, "Code stands before the first cell.", 'Put # %% id="name" before it.'))
    return parts, problems


def _part_problems(part: _Part, path: str, languages: Sequence[str], cells: Mapping[str, Cell]) -> list[Problem]:
    cell_id, language = part.attributes.get("id", ""), part.attributes.get("lang", "")
    if not _ID.fullmatch(cell_id):
        return [Problem(path, part.line, "The cell has no good id.", 'Write id="name": lower-case letters, digits and hyphens.')]
    known = cells.get(cell_id)
    if not part.is_markdown and known is not None:
        return [Problem(path, part.line, f"The cell “{cell_id}” stands twice.", "Give each cell an id of its own.")]
    if part.is_markdown and language not in languages:
        return [Problem(path, part.line, f"The text cell “{cell_id}” is in “{language}”.", f"Write lang= with one of {', '.join(languages)}.")]
    if part.is_markdown and known is not None and (language in known.texts or not known.is_markdown):
        return [Problem(path, part.line, f"The cell “{cell_id}” stands twice in {language}.", "Give each cell an id of its own.")]
    return []


def _code_problems(part: _Part, path: str) -> list[Problem]:
    source = "\n".join(part.lines)
    try:
        compile(source, path, "exec", flags=0x2000, dont_inherit=True)  # only parsed; top-level await is the notebook's
    except SyntaxError as error:
        return [Problem(path, part.line + (error.lineno or 1), f"Not Python: {error.msg}.", "Run the notebook once before it is published.")]
    return []


def _markdown(lines: Sequence[str]) -> str:
    return "\n".join(line.removeprefix("# ") if line != "#" else "" for line in lines).strip("\n")


def build(cells: Sequence[Cell], *, language: str, metadata: Mapping[str, Any]) -> bytes:
    """Return the notebook in one language as UTF-8 JSON; the same cells give the same bytes.

    metadata: what stands under "hub" in the notebook's metadata: course, lab, revision.
    """
    notebook = {
        "cells": [_cell(cell, language) for cell in cells],
        "metadata": {
            "hub": {**metadata, "language": language},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return (json.dumps(notebook, ensure_ascii=False, indent=1) + "\n").encode()


def _cell(cell: Cell, language: str) -> dict[str, Any]:
    if not cell.is_markdown:
        return {"cell_type": "code", "execution_count": None, "id": cell.id, "metadata": {}, "outputs": [], "source": cell.source.splitlines(keepends=True)}
    text = cell.texts[language]
    if language == "ar":
        # JupyterLab takes the direction of a text cell from a block around it.
        text = f'<div dir="rtl" lang="ar">\n\n{text}\n\n</div>'
    return {"cell_type": "markdown", "id": cell.id, "metadata": {}, "source": text.splitlines(keepends=True)}
