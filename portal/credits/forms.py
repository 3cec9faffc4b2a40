"""Forms of credits: shape alone."""

from datetime import date
from typing import Any

from flask_babel import gettext, lazy_gettext
from wtforms import DateField, Field, HiddenField, SelectField, StringField
from wtforms.validators import DataRequired, Length, Optional, ValidationError

from portal.core.quantities import NotAQuantity, parse_credits
from portal.credits.rules.costs import MAX_PROVEN_S
from portal.credits.rules.thresholds import MOST_DAYS, MOST_IDLE_DAYS
from portal.web.forms import Form, stripped


class CreditsField(StringField):
    """Credits as people write them, "12.5" or "12,5"; `ucr` holds the microcredits, None until it reads well."""

    ucr: int | None = None

    def pre_validate(self, form: Any) -> None:
        """Read the amount: plain ASCII digits, at most six places, no sign, no exponent."""
        del form
        try:
            self.ucr = parse_credits(self.data or "")
        except NotAQuantity as error:
            raise ValidationError(gettext("Enter an amount of credits such as 250 or 12.5.")) from error
        if self.ucr == 0:
            raise ValidationError(gettext("Enter an amount above zero."))


class CountField(StringField):
    """A whole number in plain digits from `least` to `most`; `count` holds it, None until it reads well or when nothing is there."""

    count: int | None = None

    def __init__(self, *args: Any, most: int, least: int = 1, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.most, self.least = most, least

    def pre_validate(self, form: Any) -> None:
        """Read the number."""
        del form
        text = (self.data or "").strip()
        if not text:
            return
        if not (text.isascii() and text.isdecimal() and len(text) <= 8 and self.least <= int(text) <= self.most):
            raise ValidationError(gettext("Enter a whole number from %(least)s to %(most)s.", least=self.least, most=self.most))
        self.count = int(text)


class ClassesField(StringField):
    """Kinds of machines as short names with commas between; `names` is None when all are meant."""

    @property
    def names(self) -> frozenset[str] | None:
        """Return the names, None for all."""
        parts = {part.strip().lower() for part in (self.data or "").split(",")} - {""}
        return frozenset(parts) or None


def _required() -> list[Any]:
    return [DataRequired(message=lazy_gettext("Please fill this in."))]


class FundForm(Form):
    name = StringField(lazy_gettext("Name"), filters=[stripped], validators=[*_required(), Length(max=120)])
    slug = StringField(lazy_gettext("Short name"), filters=[stripped], validators=[*_required(), Length(max=63)])
    sponsor = StringField(lazy_gettext("Sponsor"), filters=[stripped], validators=[*_required(), Length(max=120)])
    budget = CreditsField(lazy_gettext("Budget, in credits"), validators=_required())


class GrantForm(Form):
    fund = SelectField(lazy_gettext("Fund"), validators=_required())
    amount = CreditsField(lazy_gettext("Amount, in credits"), validators=_required())
    purpose = StringField(lazy_gettext("Purpose"), filters=[stripped], validators=[*_required(), Length(max=120)])
    classes = ClassesField(lazy_gettext("Kinds of machines"), filters=[stripped], validators=[Length(max=500)])
    begins_on = DateField(lazy_gettext("First day"), validators=_required())
    expires_on = DateField(lazy_gettext("Last day"), validators=_required())

    def validate_expires_on(self, field: Field) -> None:
        """Refuse an end before the beginning."""
        if isinstance(field.data, date) and isinstance(self.begins_on.data, date) and field.data < self.begins_on.data:
            raise ValidationError(gettext("The end must lie in the future and after the beginning."))


class MoveForm(Form):
    target = SelectField(lazy_gettext("To which project"), choices=[], validators=_required())
    amount = CreditsField(lazy_gettext("Amount, in credits"), validators=_required())
    returns_on = DateField(lazy_gettext("Goes back on"), validators=[Optional()])


class ExtendForm(Form):
    expires_on = DateField(lazy_gettext("New last day"), validators=_required())
    reason = StringField(lazy_gettext("Reason"), filters=[stripped], validators=[*_required(), Length(max=400)])


class SupplementForm(Form):
    amount = CreditsField(lazy_gettext("Amount, in credits"), validators=_required())
    expires_on = DateField(lazy_gettext("Last day"), validators=_required())


class CorrectForm(Form):
    kept = CountField(lazy_gettext("Seconds that stay charged"), least=0, most=MAX_PROVEN_S, filters=[stripped], validators=_required())
    reason = StringField(lazy_gettext("Reason"), filters=[stripped], validators=[*_required(), Length(max=400)])
    seen = HiddenField()


class WriteOffForm(Form):
    amount = CreditsField(lazy_gettext("Amount, in credits"), validators=_required())
    reason = StringField(lazy_gettext("Reason"), filters=[stripped], validators=[*_required(), Length(max=400)])


class RevokeForm(Form):
    reason = StringField(lazy_gettext("Reason"), filters=[stripped], validators=[*_required(), Length(max=400)])


class WatchForm(Form):
    below = CreditsField(lazy_gettext("The balance is below (credits)"), validators=[Optional()])
    days_left = CountField(lazy_gettext("The credits last fewer days than (at the present pace)"), most=MOST_DAYS)
    lot_days = CountField(lazy_gettext("A lot ends within this many days"), most=MOST_DAYS)
    lot_over = CreditsField(lazy_gettext("… and more than this of it is unused (credits)"), validators=[Optional()])
    used_percent = CountField(lazy_gettext("This share of the credits that are valid now is used (percent)"), most=100)
    idle_days = CountField(lazy_gettext("Nothing was used for this many days"), most=MOST_IDLE_DAYS)

    def validate_lot_over(self, field: Field) -> None:
        """Refuse an amount without the days that it belongs to."""
        if field.data and not (self.lot_days.data or "").strip():
            raise ValidationError(gettext("Say within how many days as well."))
