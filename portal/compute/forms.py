"""Forms of compute: shape only."""

from flask_babel import lazy_gettext as _
from wtforms import DateField, HiddenField, RadioField, SelectField, StringField, TimeField
from wtforms.validators import DataRequired, InputRequired, Length, Optional

from portal.credits.forms import CreditsField
from portal.web.forms import Form, stripped


class ChoiceForm(Form):
    profile = RadioField(_("Machine"), validate_choice=False)
    hours = RadioField(_("Duration"), validate_choice=False)
    project = SelectField(_("Pay from"), [InputRequired()], validate_choice=False)


class MoreForm(Form):
    profile = HiddenField()
    hours = HiddenField()
    project = HiddenField()
    amount = CreditsField(_("How much more, in credits"), [DataRequired(_("Please fill this in."))])
    reason = StringField(_("What for"), [DataRequired(_("Please fill this in.")), Length(max=400)], filters=[stripped])


class ExtendForm(Form):
    hours = RadioField(_("How much longer"), [InputRequired(_("Please fill this in."))], choices=[])


class AllowanceForm(Form):
    amount = CreditsField(_("Credits a week"), [Optional()])


class AnswerForm(Form):
    amount = CreditsField(_("Amount, in credits"), [Optional()])
    lasts = RadioField(_("For how long"), [InputRequired(_("Please fill this in."))])
    answer = StringField(_("A word to them"), [Length(max=400)], filters=[stripped])


class IncidentForm(Form):
    kind = SelectField(_("What happened"), [InputRequired(_("Please fill this in."))])
    node = SelectField(_("Where"), [Optional()])
    on = DateField(_("Day"), [DataRequired(_("Please fill this in."))])
    begins = TimeField(_("From"), [DataRequired(_("Please fill this in."))])
    ends = TimeField(_("Until"), [DataRequired(_("Please fill this in."))])
    note = StringField(_("In a sentence"), [DataRequired(_("Please fill this in.")), Length(max=400)], filters=[stripped])


class StartForm(Form):
    profile = HiddenField(_("Machine"), [InputRequired(_("Please fill this in."))])
    hours = HiddenField(_("Duration"), [InputRequired(_("Please fill this in."))])
    project = HiddenField(_("Pay from"), [InputRequired(_("Please fill this in."))])
    label = StringField(_("Name of the session"), [Length(max=120)], filters=[stripped])
