"""Forms of incubation: their shape alone. Answers and reviews get their fields from the version they belong to."""

from collections.abc import Collection, Mapping
from typing import Any

from flask_babel import gettext, lazy_gettext
from wtforms import BooleanField, DateField, EmailField, Field, HiddenField, RadioField, SelectMultipleField, StringField, TextAreaField, URLField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its type stubs
from wtforms.validators import DataRequired, InputRequired, Length

from portal.incubation.queries.applications import COMMENT_TO_APPLICANT, COMMENT_TO_STAFF
from portal.incubation.rules.answers import NO, YES, Raw, field_name
from portal.incubation.rules.questions import STORED_CHARS, FormDefinition, Question, QuestionKind
from portal.incubation.rules.scores import Rubric
from portal.incubation.rules.texts import said
from portal.incubation.states import CONFLICT_WORDS, OUTCOME_WORDS, ConflictKind, Outcome
from portal.web.forms import Form


class MarkedForm(Form):
    """A form that knows which revision its page was opened at (`rules.marks`)."""

    revision = HiddenField()


class AnswersForm(MarkedForm):
    consent = BooleanField()


def answers_form(definition: FormDefinition, *, lang: str, answers: Mapping[str, Raw], mark: str) -> AnswersForm:
    """Return the form of an application, filled with these answers."""
    fields = {field_name(question.key): _question_field(question, lang) for question in definition.questions}
    form_class = type("AnswersFormOfVersion", (AnswersForm,), fields)
    data = {field_name(key): value for key, value in answers.items()}
    form: AnswersForm = form_class(formdata=None, data=data | {"revision": mark})
    for question in definition.questions:
        # Only to mark the others as optional: a draft may lack anything, submitting decides.
        form[field_name(question.key)].flags.required = question.is_required
    return form


_TEXT_FIELDS: dict[QuestionKind, type[Field]] = {
    QuestionKind.SHORT_TEXT: StringField,
    QuestionKind.LONG_TEXT: TextAreaField,
    QuestionKind.NUMBER: StringField,
    QuestionKind.CREDITS: StringField,
    QuestionKind.EMAIL: EmailField,
    QuestionKind.URL: URLField,
}


def _question_field(question: Question, lang: str) -> Field:
    label, help_text = said(question.label, lang).text, said(question.help, lang).text
    if question.kind in _TEXT_FIELDS:
        return _TEXT_FIELDS[question.kind](label, description=help_text, render_kw={"maxlength": STORED_CHARS})
    if question.kind is QuestionKind.YES_NO:
        return RadioField(label, description=help_text, choices=[SelectChoice(YES, gettext("Yes")), SelectChoice(NO, gettext("No"))], validate_choice=False)
    kind = SelectMultipleField if question.kind is QuestionKind.MULTIPLE else RadioField
    return kind(label, description=help_text, choices=_choices(question, lang), validate_choice=False)


def _choices(question: Question, lang: str) -> list[SelectChoice]:
    return [SelectChoice(option.value, said(option.label, lang).text) for option in question.options]


def review_form(rubric: Rubric, *, lang: str, values: Mapping[str, str], mark: str) -> MarkedForm:
    """Return the form of a review, filled with these values: a scale for each criterion, and two comments."""
    scale = [SelectChoice(str(score), str(score)) for score in range(1, rubric.scale_max + 1)]
    fields: dict[str, Any] = {
        criterion.key: RadioField(said(criterion.label, lang).text, description=said(criterion.help, lang).text, choices=scale, validate_choice=False)
        for criterion in rubric.criteria
    }
    fields[COMMENT_TO_APPLICANT] = TextAreaField(gettext("Comment for the applicant"))
    fields[COMMENT_TO_STAFF] = TextAreaField(gettext("Note for the committee, confidential"))
    form_class = type("ReviewFormOfVersion", (MarkedForm,), fields)
    form: MarkedForm = form_class(formdata=None, data=dict(values) | {"revision": mark})
    form[COMMENT_TO_APPLICANT].flags.required = True
    return form


class ConflictForm(Form):
    kind = RadioField(
        lazy_gettext("What ties you to this application?"),
        choices=[SelectChoice(kind.value, lazy_gettext(text)) for kind, text in CONFLICT_WORDS.items()],
        validators=[InputRequired(lazy_gettext("Please choose one."))],
        coerce=lambda value: ConflictKind(value) if value else None,
    )
    reason = TextAreaField(lazy_gettext("Anything that staff should know"), validators=[Length(max=2000)])


class AssignForm(Form):
    reviewers = SelectMultipleField(lazy_gettext("Reviewers"), choices=[], validate_choice=False)


class DecisionForm(Form):
    outcome = RadioField(
        lazy_gettext("Decision"),
        choices=[SelectChoice(outcome.value, lazy_gettext(words.staff)) for outcome, words in OUTCOME_WORDS.items()],
        validators=[InputRequired(lazy_gettext("Please choose one."))],
    )
    reason = TextAreaField(
        lazy_gettext("Reasons"),
        description=lazy_gettext("The applicant reads them as they are."),
        validators=[DataRequired(lazy_gettext("Please fill this in.")), Length(max=4000)],
    )
    venture_name = StringField(lazy_gettext("Name of the venture"), validators=[Length(max=200)])
    awarded = StringField(lazy_gettext("Credits awarded"), description=lazy_gettext("At most what was asked."), validators=[Length(max=40)])
    why = TextAreaField(
        lazy_gettext("Why less than asked"), description=lazy_gettext("Needed when you award less than was asked."), validators=[Length(max=4000)]
    )
    expires_on = DateField(lazy_gettext("Last day of the credits"), validators=[])

    def offer(self, outcomes: Collection[str]) -> None:
        """Offer only the outcomes that the application's state allows."""
        self.outcome.choices = [SelectChoice(outcome.value, gettext(OUTCOME_WORDS[outcome].staff)) for outcome in Outcome if outcome.value in outcomes]

    def chosen(self) -> Outcome:
        """Return the outcome that was chosen."""
        return Outcome(self.outcome.data)
