"""How incubation's values are shown: texts in the reader's language, instants in a call's zone, states as badges."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import get_timezone, gettext
from markupsafe import Markup, escape

from portal.incubation import states
from portal.incubation.queries.calls import CallCard
from portal.incubation.rules import answers as answer_rules
from portal.incubation.rules.questions import FormDefinition, Question, QuestionKind
from portal.incubation.rules.texts import Said, said
from portal.incubation.views.blueprint import blueprint
from portal.web import formats, i18n
from portal.web.formats.filters import wrap


@dataclass(frozen=True)
class ShownAnswer:
    """An answer beside its question, ready to be read."""

    label: str
    kind: str
    text: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShownSection:
    """A section of a submitted application."""

    title: str
    answers: tuple[ShownAnswer, ...]


def lang() -> str:
    """Return the reader's language code."""
    return str(i18n.current_locale().language)


@blueprint.app_template_filter("said")
def said_filter(texts: Mapping[str, str]) -> Said:
    """Return the text of `{lang: text}` that the reader sees, with its language."""
    return said(texts, lang())


@blueprint.app_template_filter("in_zone")
def in_zone(at: datetime, zone: str) -> Markup:
    """Return an instant in a zone of its own, named: a deadline is the same for everybody."""
    code, tz = lang(), ZoneInfo(zone)
    local = formats.datetime_(at, code, tz, "full")
    # Only Arabic needs its numbers isolated; a date this long has to be able to break.
    shown = wrap(local, code) if code == "ar" else escape(local)
    comma = gettext(", ")
    return Markup("{} ({}{}{})").format(shown, formats.zone_city(tz, code), comma, wrap(formats.zone_offset(tz, at), code))


def badge(words: states.Words, text: str) -> tuple[str, str]:
    """Return the kind and the word of a badge."""
    return words.badge, gettext(text)


def application_badge(state: states.ApplicationState, *, for_staff: bool) -> tuple[str, str]:
    """Return the badge of an application for its reader."""
    words = states.APPLICATION_WORDS[state]
    return badge(words, words.staff if for_staff else words.applicant)


def call_badge(call: CallCard, *, now: datetime, for_staff: bool = False) -> tuple[str, str]:
    """Return the badge of a call: for the public, "open" is a matter of its dates too."""
    words = states.CALL_WORDS[call.state]
    if call.state is states.CallState.OPEN and not call.is_open(now):
        return ("info", gettext("Opens soon")) if now < call.opens_at else ("neutral", gettext("Closed"))
    return badge(words, words.staff if for_staff else words.applicant)


def sections(form: FormDefinition, answers: Mapping[str, Any]) -> list[ShownSection]:
    """Return a submitted application's answers in the form's order, in the reader's language."""
    return [
        ShownSection(said(section.title, lang()).text, tuple(_answer(question, answers.get(question.key, "")) for question in section.questions))
        for section in form.sections
    ]


def _answer(question: Question, raw: answer_rules.Raw) -> ShownAnswer:
    label = said(question.label, lang()).text
    if question.kind is QuestionKind.YES_NO:
        return ShownAnswer(label, question.kind.value, {"yes": gettext("Yes"), "no": gettext("No")}.get(str(raw), ""))
    if question.kind is QuestionKind.CHOICE:
        return ShownAnswer(label, question.kind.value, _option(question, str(raw)))
    if question.kind is QuestionKind.MULTIPLE:
        return ShownAnswer(label, question.kind.value, "", tuple(_option(question, value) for value in raw))
    return ShownAnswer(label, question.kind.value, str(raw))


def _option(question: Question, value: str) -> str:
    return next((said(option.label, lang()).text for option in question.options if option.value == value), value)


@blueprint.app_template_filter("instant_text")
def instant_text(text: str) -> str:
    """Return an ISO instant of a mail's context as the reader's date and time, named with its zone; plain text."""
    at, code, tz = datetime.fromisoformat(text), lang(), get_timezone() or UTC
    return f"{formats.datetime_(at, code, tz, 'full')} ({formats.zone_city(tz, code)})"
