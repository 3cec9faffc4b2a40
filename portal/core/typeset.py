"""PDF from Typst, with fonts of our own: the same file on every machine, Arabic and Latin in one face."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import typst

FONTS = Path(__file__).resolve().parent / "fonts"


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONTS])


def pdf(template: Path, data: Mapping[str, Any], *, made_at: datetime) -> bytes:
    """Return a tagged PDF of a Typst file that reads `data` as JSON from `sys.inputs.data`; the same data gives the same bytes.

    Text in data is never run as code. Raises typst.TypstError where the template is wrong.
    """
    inputs = {"data": json.dumps(data, ensure_ascii=False)}
    made = typst.compile(template, root=template.parent, font_paths=_fonts(), sys_inputs=inputs, format="pdf", timestamp=int(made_at.timestamp()))
    if not isinstance(made, bytes):
        raise TypeError(type(made))
    return made
