"""MathML and SVG from an allow-list: parsed as XML, walked, and written anew; what is not on the list does not come out.

Writing anew, rather than striking out, is what makes it safe: no attribute or element reaches a page unless its name
and its value's form stand here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from markupsafe import escape

MAX_CHARACTERS = 200_000


class NotCleanError(ValueError):
    """The markup cannot be read as XML, or brings its own entities; the message says where."""


@dataclass(frozen=True)
class Allowed:
    """What may come out: elements, attributes with the form of their values, and whether text may stand inside."""

    elements: frozenset[str]
    attributes: Mapping[str, re.Pattern[str]]
    text_in: frozenset[str]


def parse(text: str) -> ET.Element:
    """Parse XML without document types, entities or processing instructions. Raises NotCleanError."""
    if len(text) > MAX_CHARACTERS:
        raise NotCleanError(f"longer than {MAX_CHARACTERS} characters")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise NotCleanError("a document type or an entity is declared")
    try:
        return ET.fromstring(text)  # noqa: S314 -- entities are refused above, and expat expands no external ones
    except ET.ParseError as error:
        raise NotCleanError(str(error)) from error


def local(name: object) -> str:
    """Return an element's or attribute's name without its namespace; "" for comments and instructions."""
    return name.rpartition("}")[2] if isinstance(name, str) else ""


def foreign(root: ET.Element, allowed: Allowed) -> list[str]:
    """Return the names of elements and attributes that would not come out."""
    found = []
    for element in root.iter():
        name = local(element.tag)
        if not name:
            continue
        if name not in allowed.elements:
            found.append(f"<{name}>")
        found += [f"{local(key)}=" for key, value in element.attrib.items() if not _fits(local(key), value, allowed)]
    return sorted(set(found))


def write(element: ET.Element, allowed: Allowed) -> str:
    """Return an element as markup, with what is allowed of it and nothing else."""
    name = local(element.tag)
    if name not in allowed.elements:
        return ""
    attributes = "".join(f' {local(key)}="{escape(value)}"' for key, value in element.attrib.items() if _fits(local(key), value, allowed))
    inside = _text(element.text, name, allowed)
    for child in element:
        inside += write(child, allowed) + _text(child.tail, name, allowed)
    return f"<{name}{attributes}>{inside}</{name}>"


def _fits(name: str, value: str, allowed: Allowed) -> bool:
    form = allowed.attributes.get(name)
    return form is not None and form.fullmatch(value) is not None


def _text(text: str | None, inside: str, allowed: Allowed) -> str:
    return str(escape(text)) if text and inside in allowed.text_in else ""
