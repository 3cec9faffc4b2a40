"""References that people type into a bank's form: short, with check digits, no letter that looks like a figure."""

import re

_SHAPE = re.compile(r"TH(\d{6,12})(\d{2})")
_SPACES = re.compile(r"[\s.\-/]+")


def reference_of(number: int) -> str:
    """Return the reference of a purchase's number: TH, the number, two check digits (ISO 7064 MOD 97-10)."""
    digits = f"{number:06d}"
    return f"TH{digits}{98 - int(digits) * 100 % 97:02d}"


def number_in(text: str) -> int | None:
    """Return the number of the first valid reference in a text, however it is spaced; None when there is none."""
    packed = _SPACES.sub("", text.upper())
    for found in _SHAPE.finditer(packed):
        for end in range(len(found[0]), 9, -1):
            candidate = _SHAPE.fullmatch(found[0][:end])
            if candidate and (int(candidate[1]) * 100 + int(candidate[2])) % 97 == 1:
                return int(candidate[1])
    return None
