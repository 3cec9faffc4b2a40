"""Answers: kept as they were typed while the application is a draft, judged by the question's rules.

A raw answer is a text, or a list of texts for "multiple". Judging happens at every save, to warn, and at submission, to
refuse. Errors are `Invalid` with the field's name, so that they land beside it.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from portal.core import quantities
from portal.core.errors import N_, Invalid
from portal.incubation.rules.questions import STORED_CHARS, FormDefinition, Question, QuestionKind

Raw = str | list[str]
FIELD_PREFIX = "q_"
YES, NO = "yes", "no"
MOST_CHOSEN = 100
_EMAIL = re.compile(r"[^@\s,;<>()\[\]\\\"]{1,64}@[^@\s.,;<>()\[\]\\\"]{1,63}(?:\.[^@\s.,;<>()\[\]\\\"]{1,63}){1,8}")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,12}", re.ASCII)
# Control characters apart from tab and newline; PostgreSQL keeps no NUL, and nobody can see the others.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# Marks and spaces without width would make an empty answer look given, and words uncountable.
_INVISIBLE = re.compile("[\u200b\u2060\ufeff]")


class Missing(Invalid):
    """A required answer is not there."""

    text = N_("Please answer this question.")


class TooManyWords(Invalid):
    """The answer is over its limit of words."""

    text = N_("%(used)s words; at most %(limit)s are allowed. Please shorten it.")


class TooManyCharacters(Invalid):
    """The answer is over its limit of characters."""

    text = N_("%(used)s characters; at most %(limit)s are allowed. Please shorten it.")


class TooLongToKeep(Invalid):
    """The text is longer than anything this form keeps."""

    text = N_("This text is too long to be saved: %(limit)s characters at most. It stays in this page until you shorten it.")


class NotANumber(Invalid):
    """The answer is no whole number."""

    text = N_("Please enter a whole number in digits.")


class NotCredits(Invalid):
    """The answer is no amount of credits."""

    text = N_("Please enter an amount of credits such as 250 or 12.5, in digits.")


class TooSmall(Invalid):
    """The number is below its bound."""

    text = N_("Please enter at least %(bound)s.")


class TooLarge(Invalid):
    """The number is above its bound."""

    text = N_("Please enter at most %(bound)s.")


class UnknownOption(Invalid):
    """The answer is none of the options."""

    text = N_("Please choose one of the answers.")


class NotAnEmail(Invalid):
    """The answer is no e-mail address."""

    text = N_("Please enter an e-mail address such as name@example.org.")


class NotAUrl(Invalid):
    """The answer is no web address."""

    text = N_("Please enter a web address that begins with https:// or http://.")


def field_name(key: str) -> str:
    """Return the form field's name of a question."""
    return FIELD_PREFIX + key


def cleaned(question: Question, values: Sequence[str]) -> Raw:
    """Return what is kept of what a form sent. Raises TooLongToKeep, UnknownOption for an absurd list."""
    texts = [_INVISIBLE.sub("", _CONTROLS.sub("", value.replace("\r\n", "\n").replace("\r", "\n"))).strip() for value in values]
    if any(len(text) > STORED_CHARS for text in texts):
        raise TooLongToKeep(field=field_name(question.key), limit=STORED_CHARS)
    if question.kind is QuestionKind.MULTIPLE:
        if len(texts) > MOST_CHOSEN:
            raise UnknownOption(field=field_name(question.key))
        return list(dict.fromkeys(text for text in texts if text))
    return texts[-1] if texts else ""


def count_words(text: str) -> int:
    """Return the number of words: runs of anything but space, in any script."""
    return len(text.split())


def problems(question: Question, raw: Raw) -> list[Invalid]:
    """Return what is wrong with an answer; an empty list when nothing is."""
    if not raw:
        return [Missing(field=field_name(question.key))] if question.is_required else []
    return [error for error in (check(question, raw) for check in _CHECKS[question.kind]) if error is not None][:1]


def problems_of_form(form: FormDefinition, answers: Mapping[str, Raw]) -> list[Invalid]:
    """Return what is wrong with a whole application, in the form's order."""
    return [error for question in form.questions for error in problems(question, answers.get(question.key, ""))]


def asked_ucr(form: FormDefinition, answers: Mapping[str, Raw]) -> int | None:
    """Return the credits asked for in microcredits, None when the form does not ask or nothing was answered."""
    question = form.credits_question()
    raw = answers.get(question.key, "") if question else ""
    return quantities.parse_credits(raw) if isinstance(raw, str) and raw else None


def _limits(question: Question, raw: Raw) -> Invalid | None:
    text, name = str(raw), field_name(question.key)
    words = count_words(text)
    if question.max_words is not None and words > question.max_words:
        return TooManyWords(field=name, used=words, limit=question.max_words)
    if len(text) > question.chars_limit:
        return TooManyCharacters(field=name, used=len(text), limit=question.chars_limit)
    return None


def _number(question: Question, raw: Raw) -> Invalid | None:
    if not _WHOLE_NUMBER.fullmatch(str(raw)):
        return NotANumber(field=field_name(question.key))
    return _bounds(question, int(str(raw)), scale=1)


def _credits(question: Question, raw: Raw) -> Invalid | None:
    try:
        amount_ucr = quantities.parse_credits(str(raw))
    except quantities.NotAQuantity:
        return NotCredits(field=field_name(question.key))
    return _bounds(question, amount_ucr, scale=quantities.UCR_PER_CREDIT)


def _bounds(question: Question, value: int, *, scale: int) -> Invalid | None:
    name = field_name(question.key)
    if question.least is not None and value < question.least * scale:
        return TooSmall(field=name, bound=question.least)
    if question.most is not None and value > question.most * scale:
        return TooLarge(field=name, bound=question.most)
    return None


def _options(question: Question, raw: Raw) -> Invalid | None:
    known = {option.value for option in question.options} if question.options else {YES, NO}
    chosen = raw if isinstance(raw, list) else [raw]
    return None if known.issuperset(chosen) else UnknownOption(field=field_name(question.key))


def _email(question: Question, raw: Raw) -> Invalid | None:
    return None if _EMAIL.fullmatch(str(raw)) else NotAnEmail(field=field_name(question.key))


def _url(question: Question, raw: Raw) -> Invalid | None:
    wrong = NotAUrl(field=field_name(question.key))
    if any(letter.isspace() for letter in str(raw)):
        return wrong
    try:
        parts = urlsplit(str(raw))
    except ValueError:
        return wrong
    return None if parts.scheme in {"http", "https"} and "." in (parts.hostname or "") else wrong


_CHECKS = {
    QuestionKind.SHORT_TEXT: (_limits,),
    QuestionKind.LONG_TEXT: (_limits,),
    QuestionKind.NUMBER: (_number,),
    QuestionKind.CREDITS: (_credits,),
    QuestionKind.CHOICE: (_options,),
    QuestionKind.MULTIPLE: (_options,),
    QuestionKind.YES_NO: (_options,),
    QuestionKind.EMAIL: (_limits, _email),
    QuestionKind.URL: (_limits, _url),
}
