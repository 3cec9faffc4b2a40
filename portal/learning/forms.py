"""Forms of learning: shape only."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from wtforms import DateField, IntegerField, SelectField
from wtforms.validators import InputRequired, NumberRange

from portal.settings import TIME_ZONE
from portal.web.forms import Form, required_message
from portal.web.i18n import NAMES


class RunForm(Form):
    """Open a course run."""

    starts_on = DateField(_l("First day"))
    ends_on = DateField(_l("Last day"))
    capacity = IntegerField(_l("Seats"), default=30)
    language = SelectField(_l("Language of teaching"))

    def __init__(self, *args: Any, languages: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.language.choices = [(code, NAMES[code]) for code in languages]
        self.starts_on.validators = [InputRequired(required_message())]
        self.ends_on.validators = [InputRequired(required_message())]
        self.capacity.validators = [InputRequired(required_message()), NumberRange(1, 10_000)]
        for name in ("starts_on", "ends_on", "capacity", "language"):
            self[name].flags.required = True

    @property
    def starts_at(self) -> datetime:
        """Return the beginning of the first day."""
        return _midnight(self.starts_on.data)

    @property
    def ends_at(self) -> datetime:
        """Return the end of the last day, which is the beginning of the next."""
        return _midnight(self.ends_on.data, days_on=1)


def _midnight(day: date | None, *, days_on: int = 0) -> datetime:
    if day is None:
        raise ValueError("read before the form was found good")
    return datetime.combine(day + timedelta(days=days_on), time(), ZoneInfo(TIME_ZONE)).astimezone(UTC)
