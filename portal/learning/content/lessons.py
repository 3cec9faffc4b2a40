"""A lesson's file into blocks, and one language against another."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from portal.learning.content.model import Block, Problem

_MARKER = re.compile(r"\{#(?P<id>[a-z][a-z0-9]*(?:-[a-z0-9]+)*)(?P<rest>(?: [a-z]+(?:=[A-Za-z0-9-]+)?)*) ?\}\s*")
_LOOKS_LIKE_MARKER = re.compile(r"\{#")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
# Characters that steer direction unseen have no place in a text whose direction belongs to its block.
_STEERING = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")
_PRIVATE = re.compile("[\ue000-\uf8ff]")
MAX_BYTES = 256 * 1024


@dataclass(frozen=True)
class RawBlock:
    """A block as it stands in one file."""

    id: str
    text: str
    line: int
    attributes: Mapping[str, str]


def digest(text: str) -> str:
    """Return the eight digits by which a translation names the source block that it was made from."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:8]


def split(text: str, path: str) -> tuple[list[RawBlock], list[Problem]]:
    """Cut a file at its markers; a marker inside a code fence is code."""
    problems: list[Problem] = []
    starts: list[tuple[int, str, dict[str, str]]] = []
    lines = text.splitlines()
    fence = ""
    for number, line in enumerate(lines, 1):
        problems += _hidden_characters(line, path, number)
        fence, is_code = _fence_after(fence, line)
        if is_code or fence:
            continue
        match = _MARKER.fullmatch(line)
        if match:
            starts.append((number, match["id"], _attributes(match["rest"])))
        elif _LOOKS_LIKE_MARKER.match(line):
            problems.append(
                Problem(
                    path, number, f"“{line.strip()[:60]}” is no block marker.", "Alone on its line: {#id}, {#id same}, {#id from=1234abcd}, {#id lab=slug}."
                )
            )
        elif not starts and line.strip():
            problems.append(Problem(path, number, "This text belongs to no block.", "Put a line like {#introduction} before it."))
            break
    if fence:
        problems.append(Problem(path, len(lines), "A code fence is never closed.", f"Close it with {fence} on a line of its own."))
    blocks = []
    for index, (number, block_id, attributes) in enumerate(starts):
        end = starts[index + 1][0] - 1 if index + 1 < len(starts) else len(lines)
        blocks.append(RawBlock(block_id, "\n".join(lines[number:end]).strip("\n"), number, attributes))
    return blocks, problems + _block_problems(blocks, path)


def _attributes(rest: str) -> dict[str, str]:
    return {name: value for name, _, value in (part.partition("=") for part in rest.split())}


def _fence_after(fence: str, line: str) -> tuple[str, bool]:
    """Return the open fence after this line, and whether the line is itself part of a fence."""
    match = _FENCE.match(line)
    if fence:
        is_end = match is not None and match[1][0] == fence[0] and len(match[1]) >= len(fence) and not line.strip().strip(fence[0])
        return ("" if is_end else fence), True
    return (match[1], True) if match else ("", False)


def _hidden_characters(line: str, path: str, number: int) -> list[Problem]:
    if _STEERING.search(line):
        return [Problem(path, number, "The line has an invisible character that steers direction.", "Delete it: direction comes from the block.")]
    if _PRIVATE.search(line):
        return [Problem(path, number, "The line has a character of the private use area.", "Delete it.")]
    return []


def _block_problems(blocks: Sequence[RawBlock], path: str) -> list[Problem]:
    problems, seen = [], set()
    for block in blocks:
        unknown = sorted(set(block.attributes) - {"lab", "same", "from"})
        if block.id in seen:
            problems.append(Problem(path, block.line, f"The block “{block.id}” stands twice.", "Give each block an id of its own."))
        if unknown:
            problems.append(Problem(path, block.line, f"“{unknown[0]}” is not known in a block marker.", "Known: lab, same, from."))
        has_body, is_empty_kind = bool(block.text.strip()), bool({"lab", "same"} & set(block.attributes))
        if has_body and is_empty_kind:
            problems.append(Problem(path, block.line, f"The block “{block.id}” takes no text.", "Delete the text, or “lab” and “same”."))
        if not has_body and not is_empty_kind:
            problems.append(Problem(path, block.line, f"The block “{block.id}” is empty.", "Write its text, or “same” for the source's."))
        seen.add(block.id)
    if not blocks:
        problems.append(Problem(path, 1, "The lesson has no blocks.", "Begin with a line like {#introduction}."))
    return problems


def merge(raw: Mapping[str, Sequence[RawBlock]], paths: Mapping[str, str], source: str) -> tuple[dict[str, tuple[Block, ...]], list[Problem]]:
    """Put the languages of a lesson side by side: the same ids in the same order, each block in its language."""
    problems: list[Problem] = []
    merged: dict[str, tuple[Block, ...]] = {}
    sources = {block.id: block for block in raw[source]}
    problems += [
        Problem(paths[source], block.line, f"“{name}” has no meaning in {source}, the source language.", "Drop it here.")
        for block in raw[source]
        for name in sorted({"same", "from"} & set(block.attributes))
    ]
    for language, blocks in raw.items():
        if language != source:
            problems += _order_problems(blocks, raw[source], paths[language], source)
        kept = [_block(block, sources, language, source) for block in blocks if block.id in sources]
        merged[language] = tuple(kept)
        if language != source:
            for block in (block for block in blocks if block.id in sources):
                problems += _translation_problems(block, sources[block.id], paths[language], source)
    return merged, problems


def _block(block: RawBlock, sources: Mapping[str, RawBlock], language: str, source: str) -> Block:
    is_same = "same" in block.attributes
    origin = sources[block.id]
    is_stale = language != source and not is_same and block.attributes.get("from", "") != digest(origin.text) and not block.attributes.get("lab")
    text, spoken = (origin.text, source) if is_same else (block.text, language)
    return Block(block.id, text, spoken, block.line, lab=block.attributes.get("lab"), is_stale=is_stale)


def _order_problems(blocks: Sequence[RawBlock], sources: Sequence[RawBlock], path: str, source: str) -> list[Problem]:
    ids, wanted = [block.id for block in blocks], [block.id for block in sources]
    if ids == wanted:
        return []
    missing = [name for name in wanted if name not in ids]
    extra = [block for block in blocks if block.id not in wanted]
    if missing:
        return [Problem(path, None, f"Blocks are missing: {', '.join(missing)}.", f"Translate them, or write {{#{missing[0]} same}} for code and formulas.")]
    if extra:
        return [Problem(path, extra[0].line, f"The block “{extra[0].id}” is not in {source}.", f"Add it to {source} or take it out here.")]
    first = next(index for index, (mine, theirs) in enumerate(zip(ids, wanted, strict=False)) if mine != theirs)
    return [Problem(path, blocks[first].line, f"The block “{ids[first]}” stands where {source} has “{wanted[first]}”.", f"Keep the order of {source}.")]


def _translation_problems(block: RawBlock, origin: RawBlock, path: str, source: str) -> list[Problem]:
    if block.attributes.get("lab") != origin.attributes.get("lab"):
        return [Problem(path, block.line, f"The block “{block.id}” names another lab than in {source}.", f"Write the same marker as in {source}.")]
    if "same" in block.attributes or "lab" in block.attributes:
        return []
    now = digest(origin.text)
    made_from = block.attributes.get("from")
    if made_from == now:
        return []
    what = f"changed in {source} after it was translated" if made_from else f"does not say which {source} text it translates"
    return [Problem(path, block.line, f"The block “{block.id}” {what}.", f"Bring it up to date, then write {{#{block.id} from={now}}}.", is_warning=True)]
