"""Nothing is left untranslated: every text of the code is in the French and Arabic catalogue, with the same places.

Run by `make check`: prints each problem, non-zero when there is one.
"""

import io
import re
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parent.parent.parent
KEYWORDS = {"_": None, "N_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2), "npgettext": ((1, "c"), 2, 3)}
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2"), ("**/templates/**.txt", "jinja2")]
PLACE = re.compile(r"%\((\w+)\)[sd]")
LANGUAGES = ("fr", "ar")


def texts_of_the_code() -> Catalog:
    """Return every text that the code asks for."""
    catalog = Catalog()
    for _, _, message, _, context in extract_from_dir(str(ROOT / "portal"), method_map=METHODS, keywords=KEYWORDS):
        if message and message != ("", ""):
            catalog.add(message, context=context)
    return catalog


def problems(code: str, wanted: Catalog) -> list[str]:
    """Return what is missing or wrong in one language."""
    path = ROOT / "portal" / "translations" / code / "LC_MESSAGES" / "messages.po"
    if not path.exists():
        return [f"{code}: no catalogue at {path.relative_to(ROOT)}"]
    have = read_po(io.BytesIO(path.read_bytes()), locale=code)
    found = []
    for message in wanted:
        if not message.id:
            continue
        translated = have.get(message.id if isinstance(message.id, str) else message.id[0], message.context)
        forms = [] if translated is None else (list(translated.string) if isinstance(translated.string, (tuple, list)) else [translated.string])
        if not forms or not all(forms):
            found.append(f"{code}: untranslated: {message.id!r}")
        elif "fuzzy" in translated.flags:
            found.append(f"{code}: fuzzy: {message.id!r}")
        else:
            found.extend(_places(code, message.id, forms))
    return found


def _places(code: str, source: object, forms: list[str]) -> list[str]:
    sources = [source] if isinstance(source, str) else list(source)  # type: ignore[call-overload]
    allowed = {place for text in sources for place in PLACE.findall(text)}
    # A singular may drop its number ("one credit"); no form may ask for what the code does not give.
    wrong = [form for form in forms if not set(PLACE.findall(form)) <= allowed]
    if isinstance(source, str) and set(PLACE.findall(forms[0])) != allowed:
        wrong = forms
    return [f"{code}: places differ: {source!r} -> {form!r}" for form in wrong]


def main() -> int:
    """Print every problem and return the exit status."""
    wanted = texts_of_the_code()
    found = [problem for code in LANGUAGES for problem in problems(code, wanted)]
    for problem in found[:40]:
        print(problem)
    print(f"translations: {len(wanted)} texts, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
