"""Flask-Security's forms with our labels, and with the fields that we do not offer taken out."""

from typing import Any, ClassVar

from flask import g
from flask_babel import gettext
from flask_security import (
    ChangePasswordForm,
    LoginForm,
    MfRecoveryForm,
    PasswordUtil,
    RegisterFormV2,
    ResetPasswordForm,
    TwoFactorRescueForm,
    TwoFactorSetupForm,
    TwoFactorVerifyCodeForm,
    VerifyForm,
)
from flask_security.utils import get_message
from wtforms import EmailField, RadioField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than the stubs
from wtforms.validators import DataRequired, Length

from portal.core.errors import N_
from portal.identity import rules
from portal.web.forms import Form
from portal.web.targets import safe_target


class Labelled:
    """Gives a form's fields our labels, translated when the form is made."""

    LABELS: ClassVar[dict[str, str]] = {
        "email": N_("E-mail address"),
        "password": N_("Password"),
        "password_confirm": N_("The same password again"),
        "new_password": N_("New password"),
        "new_password_confirm": N_("The new password again"),
        "code": N_("Code"),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self:  # type: ignore[attr-defined]
            if field.name in self.LABELS:
                field.label.text = gettext(self.LABELS[field.name])
            if field.name == "next":
                field.data = safe_target(field.data) if field.data else ""


class SignInForm(Labelled, LoginForm):
    """Address and password. There is no "remember me": a session lasts as long as it is used (rules.SESSION_IDLE)."""

    remember = None  # type: ignore[assignment]  # WTForms' way to take a field out

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.password.description = ""

    def validate(self, **kwargs: Any) -> bool:
        """Check the person; somebody with the right password who has to confirm the address is told so."""
        is_right: bool = super().validate(**kwargs)
        g.must_confirm = not is_right and self.user is not None and self.user_authenticated and self.requires_confirmation and self.user.is_active
        return is_right


class SignUpForm(Labelled, RegisterFormV2):
    """Name, address and password; nothing else a browser sends is read."""

    display_name = StringField(validators=[DataRequired(), Length(max=rules.NAME_MOST)])
    LABELS: ClassVar[dict[str, str]] = Labelled.LABELS | {"display_name": N_("Your name")}

    def validate(self, **kwargs: Any) -> bool:
        """Check the shape; a name of spaces alone is none."""
        self.display_name.data = rules.clean_name(self.display_name.data or "")
        is_right: bool = super().validate(**kwargs)
        if self.display_name.errors:
            self.display_name.errors = [gettext("Give a name of at most %(most)s characters.", most=rules.NAME_MOST)]
        return is_right


class NewPasswordForm(Labelled, ResetPasswordForm):
    """A new password, twice."""

    LABELS: ClassVar[dict[str, str]] = Labelled.LABELS | {"password": N_("New password"), "password_confirm": N_("The new password again")}


class PasswordChangeForm(Labelled, ChangePasswordForm):
    """The present password, and a new one twice."""

    LABELS: ClassVar[dict[str, str]] = Labelled.LABELS | {"password": N_("Present password")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.password.flags.required = True


class AgainForm(Labelled, VerifyForm):
    """The password once more."""


class CodesForm(Labelled, TwoFactorSetupForm):
    """Codes from an app, on or off: the two buttons of the page."""

    setup = RadioField(choices={"disable": "disable", "authenticator": "authenticator"}, validate_choice=False)


class HelpForm(TwoFactorRescueForm):
    """Help without the app; not shown, since the page links to the recovery codes, but Flask-Security makes one."""

    help_setup = RadioField(choices=[SelectChoice("help")])


class CodeForm(Labelled, TwoFactorVerifyCodeForm):
    """A code from the app."""

    def validate(self, **kwargs: Any) -> bool:
        """Check the code; spaces, as apps show them, do not matter."""
        self.code.data = "".join(str(self.code.data or "").split())
        return bool(super().validate(**kwargs))


class RecoveryForm(Labelled, MfRecoveryForm):
    """A recovery code."""

    LABELS: ClassVar[dict[str, str]] = {"code": N_("Recovery code")}


class AddressForm(Form):
    """An address that a link is sent to, if it has an account."""

    email = EmailField(validators=[DataRequired(), Length(max=rules.EMAIL_MOST)])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email.label.text = gettext("E-mail address")


class SafePasswordUtil(PasswordUtil):
    """Length as Flask-Security has it, and not among the first passwords that somebody would try."""

    def validate(self, password: str, is_register: bool, **kwargs: Any) -> tuple[list[str] | None, str]:
        """Return what is wrong, and the password as it is hashed."""
        wrong, normal = super().validate(password, is_register, **kwargs)
        email = kwargs.get("email") if is_register else getattr(kwargs.get("user"), "email", "")
        if not wrong and rules.is_guessable(normal, str(email or "")):
            return [get_message("PASSWORD_TOO_SIMPLE")[0]], normal
        return wrong, normal
