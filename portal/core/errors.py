"""The four kinds of refusal. A domain error has one of them as its base; the web layer maps these four, once.

An error carries the English source of its sentence and parameters; it is translated at the edge.
`N_` marks a text for the catalogue without translating it.
"""

from typing import Any, ClassVar


def N_(text: str) -> str:  # noqa: N802 -- the name that Babel extracts by custom
    """Return the text unchanged: it is translated where it is shown."""
    return text


class DomainError(Exception):
    """A refusal that a person can read.

    text: English source with %(name)s places. field: the form field it belongs to, if any.
    kept: what was kept, what_to_do: the next step; both optional English sources.
    """

    text: ClassVar[str] = N_("This cannot be done.")
    kept: ClassVar[str] = ""
    what_to_do: ClassVar[str] = ""
    field: str | None = None

    def __init__(self, *, field: str | None = None, **params: Any) -> None:
        super().__init__(self.text)
        self.params = params
        if field is not None:
            self.field = field

    @property
    def code(self) -> str:
        """Return the error's stable name for machines, from its class: `NoCredit` is `no_credit`."""
        name = type(self).__name__
        return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")

    def __str__(self) -> str:
        return self.text % self.params if self.params else self.text


class NotFound(DomainError):
    """The thing does not exist, or not for this actor: the two are never told apart."""

    text = N_("This page does not exist, or it is not open to you.")


class Refused(DomainError):
    """The actor may not do this, or the rules of the house forbid it now."""

    text = N_("You may not do this.")


class Conflict(DomainError):
    """The state moved on: somebody else, another tab or an earlier click was first."""

    text = N_("This has changed since you opened the page.")


class Invalid(DomainError):
    """The input is wrong; `field` says where."""

    text = N_("Please check what you entered.")


class Busy(DomainError):
    """The database could not take the request now; nothing was done."""

    text = N_("The portal is busy. Nothing was changed.")
    what_to_do = N_("Try again in a moment.")


class TooMany(DomainError):
    """A limit on attempts was reached."""

    text = N_("Too many attempts.")
    what_to_do = N_("Wait %(minutes)s minutes, then try again.")
