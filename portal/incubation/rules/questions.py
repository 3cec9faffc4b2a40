"""Questions of a form version: typed, in three languages, read from the stored definition once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from portal.core.errors import N_, Invalid

LANGUAGES = ("en", "fr", "ar")
TITLE_KEY = "title"
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
CHARS_PER_WORD = 20
SHORT_CHARS = 200
# Nothing longer is kept, not even in a draft: a limit on what one field may cost.
STORED_CHARS = 50_000


class BadForm(Invalid):
    """The form's definition is not usable; `why` says where."""

    text = N_("The form cannot be used: %(why)s")


class QuestionKind(StrEnum):
    """What an answer is."""

    SHORT_TEXT = "short_text"
    LONG_TEXT = "long_text"
    NUMBER = "number"
    CREDITS = "credits"
    CHOICE = "choice"
    MULTIPLE = "multiple"
    EMAIL = "email"
    URL = "url"
    YES_NO = "yes_no"


@dataclass(frozen=True)
class Option:
    """One answer of a choice."""

    value: str
    label: Mapping[str, str]


@dataclass(frozen=True)
class Question:
    """One question. `least` and `most` bound a number, or credits in whole credits."""

    key: str
    kind: QuestionKind
    section: str
    label: Mapping[str, str]
    help: Mapping[str, str]
    is_required: bool
    max_words: int | None = None
    max_chars: int | None = None
    options: tuple[Option, ...] = ()
    least: int | None = None
    most: int | None = None

    @property
    def chars_limit(self) -> int:
        """Return how many characters the answer may have."""
        if self.max_chars is not None:
            return self.max_chars
        return self.max_words * CHARS_PER_WORD if self.max_words else SHORT_CHARS


@dataclass(frozen=True)
class Section:
    """A part of the form with its title and questions."""

    key: str
    title: Mapping[str, str]
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class FormDefinition:
    """A form version, read."""

    sections: tuple[Section, ...]
    by_key: Mapping[str, Question] = field(default_factory=dict)

    @property
    def questions(self) -> Sequence[Question]:
        """Return all questions in order."""
        return [question for section in self.sections for question in section.questions]

    def credits_question(self) -> Question | None:
        """Return the question that asks for credits, if the form has one."""
        return next((question for question in self.questions if question.kind is QuestionKind.CREDITS), None)


def parse_form(definition: Mapping[str, Any]) -> FormDefinition:
    """Return the form of a stored definition. Raises BadForm."""
    try:
        questions = [_question(row) for row in definition["questions"]]
        titles = [(row["key"], _texts(row["title"], "section title")) for row in definition["sections"]]
    except (KeyError, TypeError, ValueError) as error:
        raise BadForm(why=str(error)) from error
    by_key = {question.key: question for question in questions}
    if len(by_key) != len(questions):
        raise BadForm(why="two questions have one key")
    if by_key.get(TITLE_KEY) is None or by_key[TITLE_KEY].kind is not QuestionKind.SHORT_TEXT or not by_key[TITLE_KEY].is_required:
        raise BadForm(why=f"a required short text with the key {TITLE_KEY!r} names the application")
    if sum(question.kind is QuestionKind.CREDITS for question in questions) > 1:
        raise BadForm(why="at most one question asks for credits")
    sections = tuple(Section(key, title, tuple(row for row in questions if row.section == key)) for key, title in titles)
    if sum(len(section.questions) for section in sections) != len(questions):
        raise BadForm(why="every question belongs to one section")
    return FormDefinition(sections, by_key)


def _question(row: Mapping[str, Any]) -> Question:
    key, kind = str(row["key"]), QuestionKind(row["kind"])
    if not _KEY.fullmatch(key):
        raise BadForm(why=f"{key!r} is not a key: small letters, digits and underscores")
    options = tuple(Option(str(option["value"]), _texts(option["label"], f"{key}: option")) for option in row.get("options", ()))
    if (kind in {QuestionKind.CHOICE, QuestionKind.MULTIPLE}) != bool(options):
        raise BadForm(why=f"{key}: choices have options, other questions have none")
    if len({option.value for option in options}) != len(options) or any(not option.value for option in options):
        raise BadForm(why=f"{key}: options need values of their own")
    if kind is QuestionKind.LONG_TEXT and not row.get("max_words"):
        raise BadForm(why=f"{key}: a long text has a limit of words")
    help_texts = _texts(row["help"], f"{key}: help") if row.get("help") else {}
    return Question(
        key=key,
        kind=kind,
        section=str(row["section"]),
        label=_texts(row["label"], f"{key}: label"),
        help=help_texts,
        is_required=bool(row.get("required", False)),
        max_words=row.get("max_words"),
        max_chars=row.get("max_chars"),
        options=options,
        least=row.get("least"),
        most=row.get("most"),
    )


def _texts(texts: Mapping[str, str], where: str) -> Mapping[str, str]:
    missing = [code for code in LANGUAGES if not texts.get(code, "").strip()]
    if missing:
        raise BadForm(why=f"{where}: no text in {', '.join(missing)}")
    return dict(texts)
