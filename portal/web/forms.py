"""Base class of forms. A form holds shape; whether something is allowed is the operation's answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask_babel import gettext
from flask_wtf import FlaskForm
from wtforms import HiddenField

from portal.core.errors import Busy, Conflict, DomainError, Invalid, NotFound, Refused
from portal.core.ids import new_secret
from portal.web.database import session
from portal.web.errors import sentence


class Form(FlaskForm):  # type: ignore[misc]
    """A form with a CSRF token and a once-token; refusals of the operation land beside their field.

    form = GrantForm()
    if form.validate_on_submit():
        with form.catching():
            grants.give(...)
            return redirect(...)
    return render_template("...", form=form), form.status
    """

    once = HiddenField(default=new_secret)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.general_errors: list[str] = []

    @contextmanager
    def catching(self) -> Iterator[None]:
        """Run an operation; a refusal undoes it and becomes an error of its field, or of the whole form."""
        try:
            with session().begin_nested():
                yield
        except (Invalid, Refused, Conflict) as error:
            self.refuse(error)

    def refuse(self, error: DomainError) -> None:
        """Show a refusal beside its field, or above the form."""
        if isinstance(error, (Busy, NotFound)):
            raise error
        field = self._fields.get(error.field or "")
        if field is None:
            self.general_errors.append(sentence(error))
        else:
            field.errors = [*field.errors, sentence(error)]

    @property
    def status(self) -> int:
        """Return 422 for a form shown again because of errors, 200 otherwise."""
        return 422 if self.errors or self.general_errors else 200


def stripped(value: str | None) -> str | None:
    """WTForms filter: trim, and take an empty text as nothing."""
    return (value or "").strip() or None


def required_message() -> str:
    """Return the sentence of a missing answer."""
    return str(gettext("Please fill this in."))
