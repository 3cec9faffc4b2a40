"""Forms of identity's own pages: shape only."""

from typing import Any
from zoneinfo import available_timezones

from flask_babel import lazy_gettext
from wtforms import EmailField, SelectField, StringField
from wtforms.validators import DataRequired, Length

from portal.identity import rules
from portal.identity.labels import KINDS, MEMBERSHIP_ROLES
from portal.identity.states import MembershipRole, OrganisationKind
from portal.web.forms import Form
from portal.web.i18n import NAMES

_HIDDEN_ZONES = ("Etc/", "posix/", "right/", "SystemV/", "US/", "Brazil/", "Canada/", "Chile/", "Mexico/")


def zones() -> list[str]:
    """Return the zones that people choose from: places, each once."""
    return [*sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(_HIDDEN_ZONES)), "UTC"]


class ProfileForm(Form):
    display_name = StringField(lazy_gettext("Your name"), [DataRequired(), Length(max=rules.NAME_MOST)])
    language = SelectField(lazy_gettext("Language of pages and mails"), choices=dict(NAMES), validators=[DataRequired()])
    zone = SelectField(lazy_gettext("Time zone"), [DataRequired()])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone.choices = {zone: zone.replace("_", " ") for zone in zones()}


class OrganisationForm(Form):
    name = StringField(lazy_gettext("Name"), [DataRequired(), Length(max=rules.NAME_MOST)])
    kind = SelectField(lazy_gettext("Kind"), [DataRequired()], coerce=OrganisationKind)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind.choices = {kind.value: str(KINDS[kind]) for kind in OrganisationKind if kind is not OrganisationKind.HUB}


class InvitationForm(Form):
    email = EmailField(lazy_gettext("E-mail address"), [DataRequired(), Length(max=rules.EMAIL_MOST)])
    role = SelectField(lazy_gettext("Role"), [DataRequired()], coerce=MembershipRole, default=MembershipRole.MEMBER)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.role.choices = {role.value: str(MEMBERSHIP_ROLES[role]) for role in MembershipRole}


class SuspensionForm(Form):
    reason = StringField(lazy_gettext("Reason, for the record"), [DataRequired(), Length(max=500)])
