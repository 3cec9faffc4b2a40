"""Sign-in for the Flask application: Flask-Security, server-side sessions, and who the request acts for."""

import base64
import hashlib
from typing import Any

from flask import Flask
from flask_babel import gettext
from flask_login.utils import _user_context_processor
from flask_security import Security
from werkzeug.middleware.proxy_fix import ProxyFix

from portal.core import clock
from portal.core.access import Actor
from portal.identity import passwords, rules, security_texts, sign_in_forms, sign_in_mail, sign_in_views
from portal.identity.account import AccountStore, load_user, this_session
from portal.identity.oidc.server import Provider
from portal.identity.operations import people
from portal.identity.queries import PersonCard
from portal.identity.second_factor import HashedRecoveryCodes, SingleUseTotp
from portal.identity.views import oidc as oidc_views
from portal.identity.web_session import DatabaseSessionInterface
from portal.settings import Settings
from portal.web import actors
from portal.web.database import session


def install(app: Flask, settings: Settings) -> None:
    """Set up sign-in."""
    if settings.is_behind_proxy:
        # Attempts are counted by address, so the address must be the browser's.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    app.session_interface = DatabaseSessionInterface(is_https=settings.is_https)
    app.config.from_mapping(_config(settings) | security_texts.config())
    _install_security(app)
    app.register_blueprint(sign_in_views.blueprint)
    app.extensions["oidc_provider"] = Provider(app, settings)
    for view in (oidc_views.token, oidc_views.userinfo):
        # Machines call these with their own credentials and no cookie of ours counts there.
        app.extensions["csrf"].exempt(view)
    app.extensions.setdefault("job_resources", {})["account_links"] = sign_in_mail.AccountLinks(app)
    actors.use_loader(app, load_actor)


def current_person() -> PersonCard | None:
    """Return who is signed in: read with the session and the roles, in one statement a request."""
    return this_session().person


def load_actor() -> Actor | None:
    """Return the signed-in person as an actor."""
    person = current_person()
    return person.actor if person else None


def current_zone() -> str | None:
    """Return the zone of who is signed in."""
    person = current_person()
    return person.zone if person else None


def keep_language(code: str) -> None:
    """Keep the language that who is signed in chose."""
    person = current_person()
    if person is not None:
        people.keep_language(session(), person_id=person.id, language=code)


class _Texts:
    """Flask-Security's translations: our catalogue, not its own."""

    @staticmethod
    def gettext(text: str, **values: Any) -> str:
        """Return a text in the reader's language."""
        return str(gettext(text, **values))


def _install_security(app: Flask) -> None:
    security = Security(
        app,
        AccountStore(),
        register_blueprint=False,
        login_form=sign_in_forms.SignInForm,
        register_form=sign_in_forms.SignUpForm,
        reset_password_form=sign_in_forms.NewPasswordForm,
        change_password_form=sign_in_forms.PasswordChangeForm,
        verify_form=sign_in_forms.AgainForm,
        two_factor_setup_form=sign_in_forms.CodesForm,
        two_factor_rescue_form=sign_in_forms.HelpForm,
        two_factor_verify_code_form=sign_in_forms.CodeForm,
        mf_recovery_form=sign_in_forms.RecoveryForm,
        mail_util_cls=sign_in_mail.OutboxMailUtil,
        password_util_cls=sign_in_forms.SafePasswordUtil,
        totp_cls=SingleUseTotp,
        mf_recovery_codes_util_cls=HashedRecoveryCodes,
    )
    security.i18n_domain = _Texts()  # type: ignore[assignment]  # the one method that it is asked for
    security.want_json(lambda request: False)
    # Pages ask `current_actor()`; these would load the person a second time on each of them.
    app.before_request_funcs[None].remove(security.principal._on_before_request)  # noqa: SLF001
    app.template_context_processors[None].remove(_user_context_processor)
    # The session row is the one way in: no tokens in headers, no guess by browser and address.
    security.login_manager._request_callback = None  # noqa: SLF001
    security.login_manager.session_protection = None
    security.login_manager.user_loader(load_user)


def _config(settings: Settings) -> dict[str, Any]:
    totp_key = base64.urlsafe_b64encode(hashlib.sha256(settings.totp_secret.encode()).digest()).decode()
    values: dict[str, Any] = {
        "PASSWORD_SALT": settings.password_salt,
        "DATETIME_FACTORY": clock.now,
        "PASSWORD_HASH": "argon2",
        "PASSWORD_SCHEMES": ["argon2"],
        "DEPRECATED_PASSWORD_SCHEMES": [],
        "PASSWORD_SINGLE_HASH": ["argon2"],
        "PASSWORD_HASH_PASSLIB_OPTIONS": {
            "argon2__type": "ID",
            "argon2__time_cost": passwords.TIME_COST,
            "argon2__memory_cost": passwords.MEMORY_COST_KIB,
            "argon2__parallelism": passwords.PARALLELISM,
        },
        # What these hash stands in signed links. A slow hash would tell by its time who has an account.
        "HASHING_SCHEMES": ["hex_sha256"],
        "DEPRECATED_HASHING_SCHEMES": [],
        "EMAIL_VALIDATOR_ARGS": {"check_deliverability": False},
        "EMAIL_PLAINTEXT": False,
        "EMAIL_HTML": False,
        "REGISTER_EMAIL_TEMPLATE": sign_in_mail.CONFIRM,
        "REGISTER_EMAIL_EXISTING_TEMPLATE": sign_in_mail.EXISTING,
        "EMAIL_TEMPLATE_PASSWORD_RESET_NOTICE": sign_in_mail.PASSWORD_CHANGED,
        "EMAIL_TEMPLATE_PASSWORD_CHANGE_NOTICE": sign_in_mail.PASSWORD_CHANGED,
        "JOIN_USER_ROLES": False,
        "API_ENABLED_METHODS": ["session"],
        "CLI_USERS_NAME": None,
        "CLI_ROLES_NAME": None,
        "FRESHNESS": rules.FRESH_FOR,
        "FRESHNESS_GRACE_PERIOD": rules.FRESH_FOR,
        "CONFIRM_EMAIL_WITHIN": rules.CONFIRM_LIFE,
        "RESET_PASSWORD_WITHIN": rules.RESET_LIFE,
        "TOTP_SECRETS": {"1": totp_key},
        "TOTP_ISSUER": "Tetouan AI Hub",
        "TWO_FACTOR_ENABLED_METHODS": ["authenticator"],
        "TWO_FACTOR_AUTHENTICATOR_VALIDITY": 30,  # seconds of skew: one step either way
        "TWO_FACTOR_RESCUE_EMAIL": False,
        "MULTI_FACTOR_RECOVERY_CODES_N": rules.RECOVERY_CODES,
        "POST_REGISTER_VIEW": "security.login",
        "POST_CHANGE_VIEW": "identity.security",
        "TWO_FACTOR_POST_SETUP_VIEW": "identity.security",
        "LOGIN_USER_TEMPLATE": "identity/sign_in.html",
        "REGISTER_USER_TEMPLATE": "identity/sign_up.html",
        "RESET_PASSWORD_TEMPLATE": "identity/reset_password.html",
        "CHANGE_PASSWORD_TEMPLATE": "identity/change_password.html",
        "VERIFY_TEMPLATE": "identity/sign_in_again.html",
        "TWO_FACTOR_SETUP_TEMPLATE": "identity/codes.html",
        "TWO_FACTOR_VERIFY_CODE_TEMPLATE": "identity/sign_in_code.html",
        "MULTI_FACTOR_RECOVERY_CODES_TEMPLATE": "identity/recovery_codes.html",
        "MULTI_FACTOR_RECOVERY_TEMPLATE": "identity/sign_in_recovery.html",
    }
    switched_on = (
        "CONFIRMABLE",
        "REGISTERABLE",
        "RECOVERABLE",
        "CHANGEABLE",
        "TWO_FACTOR",
        "TWO_FACTOR_ALWAYS_VALIDATE",
        "MULTI_FACTOR_RECOVERY_CODES",
        "RETURN_GENERIC_RESPONSES",
    )
    return {f"SECURITY_{key}": value for key, value in (values | dict.fromkeys(switched_on, True)).items()}
