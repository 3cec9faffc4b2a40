"""Formulas: LaTeX to MathML, cleaned. A formula reads left to right in every language."""

import re

import latex2mathml.converter

from portal.learning.content import markup

_TOKENS = frozenset({"mi", "mn", "mo", "mtext", "ms"})
_LAYOUT = frozenset(
    [
        "math",
        "mrow",
        "mfrac",
        "msqrt",
        "mroot",
        "msub",
        "msup",
        "msubsup",
        "munder",
        "mover",
        "munderover",
        "mtable",
        "mtr",
        "mtd",
        "mspace",
        "mstyle",
        "mpadded",
        "mphantom",
    ]
)
_DECIMAL_COMMA = re.compile(r"(?<=\d)\{,\}(?=\d)")
_LENGTH = re.compile(r"[+-]?\d*\.?\d+(?:em|ex|px|pt|mu|%)?")
_WORD = re.compile(r"[a-z-]{1,20}")
ALLOWED = markup.Allowed(
    elements=_TOKENS | _LAYOUT,
    attributes={
        "display": re.compile(r"block|inline"),
        "stretchy": re.compile(r"true|false"),
        "fence": re.compile(r"true|false"),
        "form": re.compile(r"prefix|infix|postfix"),
        "accent": re.compile(r"true|false"),
        "movablelimits": re.compile(r"true|false"),
        "displaystyle": re.compile(r"true|false"),
        "scriptlevel": re.compile(r"[+-]?\d"),
        "mathvariant": _WORD,
        "width": _LENGTH,
        "height": _LENGTH,
        "depth": _LENGTH,
        "minsize": _LENGTH,
        "maxsize": _LENGTH,
        "lspace": _LENGTH,
        "rspace": _LENGTH,
        "linethickness": _LENGTH,
        "columnalign": re.compile(r"[a-z ]{1,60}"),
    },
    text_in=_TOKENS,
)


class BadFormulaError(ValueError):
    """The formula cannot be read; the message says what was found."""


def mathml(latex: str, *, is_display: bool) -> str:
    """Return a formula as MathML that may stand in a page. Raises BadFormulaError."""
    if not _is_balanced(latex):
        raise BadFormulaError("a brace is never closed, or never opened")
    # `3{,}5` is how LaTeX writes a decimal comma; the converter would make two numbers of it.
    has_decimal_comma = _DECIMAL_COMMA.search(latex) is not None
    try:
        converted = latex2mathml.converter.convert(_DECIMAL_COMMA.sub(".", latex.strip()), display="block" if is_display else "inline")
        root = markup.parse(converted)
    except (markup.NotCleanError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise BadFormulaError(f"{type(error).__name__}: {error}") from error
    except Exception as error:
        # The converter's own errors share no base but Exception.
        if type(error).__module__ != "latex2mathml.exceptions":
            raise
        raise BadFormulaError(type(error).__name__) from error
    unread = [element.text for element in root.iter() if element.text and element.text.startswith("\\") and len(element.text) > 1]
    unread += markup.foreign(root, ALLOWED)
    if unread:
        raise BadFormulaError(f"not understood: {', '.join(unread)}")
    if has_decimal_comma:
        for number in root.iter():
            if markup.local(number.tag) == "mn" and number.text:
                number.text = number.text.replace(".", ",")
    return markup.write(root, ALLOWED).replace("<math", '<math dir="ltr"', 1)


def _is_balanced(latex: str) -> bool:
    depth = 0
    for brace in re.findall(r"\\.|[{}]", latex, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            return False
    return depth == 0
