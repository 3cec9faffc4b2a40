"""Texts that people write in several languages: `{"en": …, "fr": …, "ar": …}`."""

from collections.abc import Mapping
from dataclasses import dataclass

FALLBACKS = ("en", "fr", "ar")


@dataclass(frozen=True)
class Said:
    """A text in the language that it is really in, which may not be the reader's."""

    text: str
    lang: str

    @property
    def dir(self) -> str:
        """Return the text's direction."""
        return "rtl" if self.lang == "ar" else "ltr"

    def __str__(self) -> str:
        return self.text


def said(texts: Mapping[str, str], lang: str) -> Said:
    """Return the text in the reader's language, else in the first language that has one."""
    for code in (lang, *FALLBACKS):
        if texts.get(code):
            return Said(texts[code], code)
    return Said("", lang)
