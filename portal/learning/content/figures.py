"""Drawings: SVG files of a lesson, cleaned and put into the page, so that they follow its theme and its language.

A drawing takes its colours from the chart's classes (`grid`, `axis`, `l1`, `l2`, `a1`, `a2`, `lab-1`, `lab-2`,
`mark`, `dot`, `c1`) and its words from SVG's own `<switch>`:

    <switch><text systemLanguage="ar" …>…</text><text systemLanguage="fr" …>…</text><text …>…</text></switch>

A drawing with axes is the same in every language and never mirrored; only its words change.
"""

import re
from xml.etree.ElementTree import Element

from markupsafe import escape

from portal.learning.content import markup
from portal.learning.content.model import Figure

_NUMBER = re.compile(r"-?\d*\.?\d+")
_NUMBERS = re.compile(r"[-\d., ]{1,4000}")
ALLOWED = markup.Allowed(
    elements=frozenset({"svg", "g", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan"}),
    attributes={
        "viewBox": re.compile(r"-?\d+ -?\d+ \d+ \d+"),
        "class": re.compile(r"(?:(?:grid|axis|l1|l2|a1|a2|lab-1|lab-2|mark|dot|c1)(?: |$))+"),
        "text-anchor": re.compile(r"start|middle|end"),
        "d": re.compile(r"[MmLlHhVvCcSsQqTtAaZz\d\s,.-]{1,8000}"),
        "points": _NUMBERS,
        "transform": re.compile(r"(?:(?:translate|rotate|scale)\([-\d., ]{1,60}\) ?){1,3}"),
        **dict.fromkeys(("x", "y", "x1", "y1", "x2", "y2", "dx", "dy", "cx", "cy", "r", "rx", "ry", "width", "height"), _NUMBER),
    },
    text_in=frozenset({"text", "tspan"}),
)
_BEFORE_CHOICE = markup.Allowed(
    elements=ALLOWED.elements | {"switch", "title", "desc"},
    attributes={**ALLOWED.attributes, "systemLanguage": re.compile(r"en|fr|ar"), "role": re.compile(r"img"), "lang": re.compile(r"en|fr|ar")},
    text_in=ALLOWED.text_in,
)


def problems_of(svg: str) -> list[str]:
    """Return what is wrong with a drawing, as sentences."""
    try:
        root = markup.parse(svg)
    except markup.NotCleanError as error:
        return [f"It cannot be read: {error}."]
    found = [f"It has {name}, which would not be shown." for name in markup.foreign(root, _BEFORE_CHOICE)]
    if markup.local(root.tag) != "svg" or "viewBox" not in root.attrib:
        found.append("It is no <svg> with a viewBox.")
    return found


def inline(figure: Figure, *, alternative: str, language: str) -> str:
    """Return a figure's drawings as markup, the wide one and the one for phones; `alternative` is what is read out."""
    if figure.narrow is None:
        return _drawing(figure.wide, "chart", alternative, language)
    wide = _drawing(figure.wide, "chart d-none d-md-block", alternative, language)
    return wide + _drawing(figure.narrow, "chart d-md-none", alternative, language)


def _drawing(svg: str, css: str, alternative: str, language: str) -> str:
    root = markup.parse(svg)
    _choose(root, language)
    root.attrib.pop("class", None)
    drawn = markup.write(root, ALLOWED)
    return drawn.replace("<svg", f'<svg class="{css}" role="img" aria-label="{escape(alternative)}"', 1)


def _choose(element: Element, language: str) -> None:
    """Replace every `<switch>` by the child of the language, or the one without a language."""
    for index, child in enumerate(list(element)):
        if markup.local(child.tag) != "switch":
            _choose(child, language)
            continue
        wanted = [option for option in child if option.get("systemLanguage") == language]
        chosen = (wanted or [option for option in child if option.get("systemLanguage") is None] or list(child))[:1]
        element.remove(child)
        for option in chosen:
            option.attrib.pop("systemLanguage", None)
            element.insert(index, option)
