"""YAML with places: a file is read, checked against its schema, and every error knows its line.

Only plain YAML is read (no tags, no objects); a key that stands twice is an error, not the last one's victory.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import fastjsonschema
import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from portal.learning.content.model import Problem

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

SCHEMAS = Path(__file__).parent / "schemas"
MAX_FILE_BYTES = 512 * 1024
Steps = list[str | int]


@dataclass(frozen=True)
class YamlFile:
    """A YAML file that fits its schema: the data, and the tree that knows the lines."""

    path: str
    data: dict[str, Any]
    tree: Node

    def line(self, *steps: str | int) -> int:
        """Return the line of the value at a path of keys and positions, or of the nearest thing around it."""
        return line_of(self.tree, list(steps))


def read(path: Path, shown_as: str, schema: str) -> tuple[YamlFile | None, list[Problem]]:
    """Read and check one file. schema: "course" or "lab"."""
    text, tree, problem = _compose(path, shown_as, schema)
    if problem is not None or tree is None:
        return None, [problem] if problem else []
    problems = _twice(tree, shown_as)
    if problems:
        return None, problems
    data = yaml.safe_load(text)
    errors = _errors(schema, data)
    problems = [_problem(error, tree, shown_as) for error in errors]
    return (None, problems) if problems else (YamlFile(shown_as, data, tree), [])


def _compose(path: Path, shown_as: str, schema: str) -> tuple[str, Node | None, Problem | None]:
    """Return the text and its tree, or the one problem that keeps it from being read."""
    see = f"schemas/{schema}.schema.json says what stands in it."
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_FILE_BYTES:
            return "", None, Problem(shown_as, None, f"The file has {len(raw)} bytes.", f"Keep it below {MAX_FILE_BYTES}.")
        text = raw.decode("utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except (FileNotFoundError, NotADirectoryError):
        return "", None, Problem(shown_as, None, "The file is missing.", f"Write {shown_as}; {see}")
    except UnicodeDecodeError:
        return "", None, Problem(shown_as, None, "The file is not UTF-8.", "Save it as UTF-8.")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        found = getattr(error, "problem", None) or "it cannot be read"
        return "", None, Problem(shown_as, mark.line + 1 if mark else None, f"Not YAML: {found}.", "Check indentation, colons and quotes near this line.")
    return text, tree, None if tree is not None else Problem(shown_as, 1, "The file is empty.", f"Write it: {see}")


def _errors(name: str, data: Any) -> "list[ValidationError]":
    """Return what does not fit, in the order of places.

    The fast library says whether anything is wrong; the one that explains all of it takes seconds to import, and is
    asked only then: no web worker waits for it while the courses are sound.
    """
    is_sound = _fast(name)
    try:
        is_sound(data)
    except fastjsonschema.JsonSchemaValueException:
        from jsonschema import Draft202012Validator  # noqa: PLC0415 -- see above

        found = Draft202012Validator(_schema(name)).iter_errors(data)
        return sorted(found, key=lambda error: [str(step) for step in error.absolute_path])
    return []


@cache
def _schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return schema


@cache
def _fast(name: str) -> Callable[[Any], Any]:
    check: Callable[[Any], Any] = fastjsonschema.compile(_schema(name))
    return check


def line_of(tree: Node, steps: Steps) -> int:
    """Return the line, counted from 1, of the node at a path, or of the deepest node on the way."""
    node = tree
    for step in steps:
        found = _child(node, step)
        if found is None:
            break
        node = found
    return int(node.start_mark.line) + 1


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        return next((value for key, value in node.value if isinstance(key, ScalarNode) and key.value == step), None)
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        found: Node = node.value[step]
        return found
    return None


def _twice(node: Node, path: str) -> list[Problem]:
    if isinstance(node, SequenceNode):
        return [problem for item in node.value for problem in _twice(item, path)]
    if not isinstance(node, MappingNode):
        return []
    problems, seen = [], set()
    for key, value in node.value:
        name = key.value if isinstance(key, ScalarNode) else repr(key.value)
        if name in seen:
            problems.append(Problem(path, key.start_mark.line + 1, f"“{name}” stands twice.", "Keep one of the two."))
        seen.add(name)
        problems += _twice(value, path)
    return problems


def _problem(error: "ValidationError", tree: Node, path: str) -> Problem:
    steps: Steps = list(error.absolute_path)
    where = _place(steps)
    line = line_of(tree, steps)
    wanted = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    if error.validator == "additionalProperties":
        known = set(error.schema.get("properties", {})) if isinstance(error.schema, dict) else set()
        given = cast("dict[str, Any]", error.instance)
        unknown = sorted(str(key) for key in given if key not in known and not _is_language(key, error))
        first = next((key for key in unknown), "")
        line = line_of(tree, [*steps]) if not first else _key_line(tree, steps, first)
        words = f"{where} has what is not known: {', '.join(unknown)}."
        return Problem(path, line, words, f"Known here: {', '.join(sorted(known))}." if known else "Languages are en, fr and ar.")
    if error.validator == "required":
        required: list[str] = list(cast("list[str]", error.validator_value))
        missing = [name for name in required if name not in cast("dict[str, Any]", error.instance)]
        return Problem(path, line, f"{where} lacks {', '.join(missing)}.", f"Add {', '.join(f'“{name}:”' for name in missing)}.")
    shown = json.dumps(error.instance, ensure_ascii=False, default=str)
    shown = shown if len(shown) <= 60 else shown[:57] + "…"
    return Problem(path, line, f"{where} is {shown}: {error.message if len(error.message) < 160 else 'it does not fit'}.", f"Write {wanted}." if wanted else "")


def _is_language(key: object, error: "ValidationError") -> bool:
    return isinstance(error.schema, dict) and "patternProperties" in error.schema and key in {"en", "fr", "ar"}


def _key_line(tree: Node, steps: Steps, name: str) -> int:
    node = tree
    for step in steps:
        node = _child(node, step) or node
    if isinstance(node, MappingNode):
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and key.value == name:
                return int(key.start_mark.line) + 1
    return int(node.start_mark.line) + 1


def _place(steps: Steps) -> str:
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return f"“{text.lstrip('.')}”" if text else "The file"
