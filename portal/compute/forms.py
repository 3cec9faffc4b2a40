"""Forms of compute: shape only."""

from flask_babel import lazy_gettext as _
from wtforms import HiddenField, RadioField, SelectField, StringField
from wtforms.validators import InputRequired, Length

from portal.web.forms import Form, stripped


class ChoiceForm(Form):
    profile = RadioField(_("Machine"), validate_choice=False)
    hours = RadioField(_("Duration"), validate_choice=False)
    project = SelectField(_("Pay from"), [InputRequired()], validate_choice=False)


class StartForm(Form):
    profile = HiddenField(_("Machine"), [InputRequired(_("Please fill this in."))])
    hours = HiddenField(_("Duration"), [InputRequired(_("Please fill this in."))])
    project = HiddenField(_("Pay from"), [InputRequired(_("Please fill this in."))])
    label = StringField(_("Name of the session"), [Length(max=120)], filters=[stripped])
