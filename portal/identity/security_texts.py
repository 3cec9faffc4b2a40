"""Flask-Security's messages in our words, so that our one catalogue translates them."""

from portal.core.errors import N_
from portal.identity import rules

MESSAGES: dict[str, tuple[str, str]] = {
    "GENERIC_AUTHN_FAILED": (N_("That did not work. Check the address and the password."), "error"),
    "UNAUTHORIZED": (N_("You may not do this."), "error"),
    "UNAUTHENTICATED": (N_("Please sign in."), "info"),
    "REAUTHENTICATION_REQUIRED": (N_("Please type your password once more before you change this."), "info"),
    "REAUTHENTICATION_SUCCESSFUL": (N_("Thank you. Now you can go on."), "info"),
    "CONFIRM_REGISTRATION": (N_("Thank you. We have written to %(email)s: open the link in that mail, then sign in."), "success"),
    "EMAIL_CONFIRMED": (N_("Your address is confirmed. You can sign in now."), "success"),
    "ALREADY_CONFIRMED": (N_("This address is confirmed already. You can sign in."), "info"),
    "INVALID_CONFIRMATION_TOKEN": (N_("This link does not work. Ask for a new one."), "error"),
    "CONFIRMATION_EXPIRED": (N_("This link is too old. Ask for a new one."), "error"),
    "CONFIRMATION_REQUIRED": (N_("Please confirm your address first."), "error"),
    "EMAIL_ALREADY_ASSOCIATED": (N_("There is an account with this address already."), "error"),
    "EMAIL_NOT_PROVIDED": (N_("Please give your e-mail address."), "error"),
    "INVALID_EMAIL_ADDRESS": (N_("This is not an e-mail address we can write to."), "error"),
    "PASSWORD_NOT_PROVIDED": (N_("Please type your password."), "error"),
    "INVALID_PASSWORD": (N_("That is not your password."), "error"),
    "PASSWORD_INVALID_LENGTH": (N_("Take at least %(length)s characters, and at most 128."), "error"),
    "PASSWORD_TOO_SIMPLE": (N_("This password is among the first that somebody would try. Take another."), "error"),
    "PASSWORD_IS_THE_SAME": (N_("This is the password you have. Take another."), "error"),
    "PASSWORD_MISMATCH": (N_("The two passwords differ."), "error"),
    "RETYPE_PASSWORD_MISMATCH": (N_("The two passwords differ."), "error"),
    "PASSWORD_CHANGE": (N_("Your password is changed, and all other devices are signed out."), "success"),
    "PASSWORD_RESET_NO_LOGIN": (N_("Your password is changed. Sign in with it now."), "success"),
    "PASSWORD_RESET_EXPIRED": (N_("This link is too old. Ask for a new one."), "error"),
    "INVALID_RESET_PASSWORD_TOKEN": (N_("This link does not work, or was used. Ask for a new one."), "error"),
    "DISABLED_ACCOUNT": (N_("That did not work. Check the address and the password."), "error"),
    "USER_DOES_NOT_EXIST": (N_("That did not work. Check the address and the password."), "error"),
    "INVALID_REDIRECT": (N_("That link leads elsewhere, so you are here."), "error"),
    "INVALID_INPUT": (N_("Please check what you entered."), "error"),
    "API_ERROR": (N_("This page was open for too long. Please start again."), "error"),
    "INVALID_CODE": (N_("This code is not right, or was used."), "error"),
    "TWO_FACTOR_INVALID_TOKEN": (N_("This code is not right, or was used. Wait for the next one."), "error"),
    "TWO_FACTOR_LOGIN_SUCCESSFUL": (N_("You are signed in."), "success"),
    "TWO_FACTOR_CHANGE_METHOD_SUCCESSFUL": (N_("Codes are on: signing in asks for one from now on."), "success"),
    "TWO_FACTOR_DISABLED": (N_("Codes are off. Your password alone protects your account now."), "success"),
    "TWO_FACTOR_PERMISSION_DENIED": (N_("Your sign-in took too long. Please start again."), "error"),
    "TWO_FACTOR_METHOD_NOT_AVAILABLE": (N_("Please check what you entered."), "error"),
    "TWO_FACTOR_SETUP_EXPIRED": (N_("This page was open for too long. Please start again."), "error"),
    "INVALID_RECOVERY_CODE": (N_("This recovery code is not right, or was used."), "error"),
    "NO_RECOVERY_CODES_SETUP": (N_("You have no recovery codes yet."), "info"),
    "ANONYMOUS_USER_REQUIRED": (N_("You are signed in already."), "info"),
    "FORGOT_PASSWORD": (N_("Forgotten your password?"), "info"),
    "LOGIN": (N_("Please sign in."), "info"),
    "REFRESH": (N_("Please type your password once more before you change this."), "info"),
}


def config() -> dict[str, object]:
    """Return the messages and the minimum length as configuration."""
    return {f"SECURITY_MSG_{key}": value for key, value in MESSAGES.items()} | {"SECURITY_PASSWORD_LENGTH_MIN": rules.PASSWORD_LEAST}
