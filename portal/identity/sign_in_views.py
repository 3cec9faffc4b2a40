"""The pages of signing in: Flask-Security's views behind our addresses, limits, statuses and targets.

The blueprint is ours, so that only what we offer has an address. Each view counts the attempt, lets Flask-Security
work, and looks at what came of it.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Blueprint, flash, g, make_response, redirect, render_template, request, url_for
from flask import session as flask_session
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from flask_babel import gettext
from flask_security import logout_user, views
from flask_security.recoverable import reset_password_token_status
from flask_security.recovery_codes import mf_recovery, mf_recovery_codes

from portal.core import clock, jobs
from portal.core.access import Actor
from portal.core.errors import Invalid
from portal.identity import attempts, queries, reset_links
from portal.identity.account import this_session
from portal.identity.operations import accounts, people
from portal.identity.sign_in_forms import AddressForm
from portal.identity.web_session import PERSON_KEY
from portal.web import access, i18n
from portal.web.database import session
from portal.web.once import once_view
from portal.web.targets import safe_target

blueprint = Blueprint("security", __name__)
View = Callable[..., ResponseReturnValue]
BOTH = ["GET", "POST"]


@blueprint.route("/sign-in", methods=BOTH, endpoint="login")
@access.public
def sign_in() -> ResponseReturnValue:
    """Sign in with address and password."""
    if request.method == "POST":
        attempts.count("sign_in", request.form.get("email", ""))
    response = _run(views.login)
    if request.method == "POST" and g.get("must_confirm"):
        flash(gettext("Your address is not confirmed yet. Open the link in our mail, or ask for a new one here."), "info")
        return redirect(url_for("security.send_confirmation"), 303)
    return _signed_in(response)


@blueprint.route("/sign-in/code", methods=BOTH, endpoint="two_factor_token_validation")
@access.public
def sign_in_code() -> ResponseReturnValue:
    """Take the code after the password."""
    _count_person("code")
    return _signed_in(_run(views.two_factor_token_validation))


@blueprint.route("/sign-in/recovery", methods=BOTH, endpoint="mf_recovery")
@access.public
def sign_in_recovery() -> ResponseReturnValue:
    """Take a recovery code instead of one from the app."""
    _count_person("code")
    return _signed_in(_run(mf_recovery))


@blueprint.get("/sign-in/help", endpoint="two_factor_rescue")
@access.public
def sign_in_help() -> ResponseReturnValue:
    """Lead somebody without their app to the recovery codes."""
    return redirect(url_for("security.mf_recovery"), 303)


@blueprint.post("/sign-out", endpoint="logout")
@access.public
def sign_out() -> ResponseReturnValue:
    """Sign this browser out."""
    response = _run(views.logout)
    flash(gettext("You are signed out."), "success")
    return response


@blueprint.route("/sign-up", methods=BOTH, endpoint="register")
@access.public
@once_view
def sign_up() -> ResponseReturnValue:
    """Open an account; the answer is the same for an address that has one."""
    if request.method == "POST":
        attempts.count("sign_up", request.form.get("email", ""))
    try:
        return _run(views.register)
    except people.EmailTaken:
        # Two forms with one new address at once: the other was first, and its mail is on the way.
        return redirect(url_for("security.login"), 303)


@blueprint.get("/confirm/<token>", endpoint="confirm_page")
@access.public
def confirm_page(token: str) -> ResponseReturnValue:
    """Show the button that confirms: mail scanners open links, they do not press buttons."""
    return render_template("identity/confirm.html", token=token)


@blueprint.post("/confirm/<token>", endpoint="confirm_email")
@access.public
def confirm(token: str) -> ResponseReturnValue:
    """Confirm the address."""
    attempts.count("open_link", token)
    return _run(views.confirm_email, token=token)


@blueprint.route("/confirm", methods=BOTH, endpoint="send_confirmation")
@access.public
def send_confirmation() -> ResponseReturnValue:
    """Send another confirmation link, if the address needs one."""
    sent = gettext("If this address waits for its confirmation, a mail with a new link is on its way.")
    return _send_link("identity.mail_confirmation_link", "identity/send_confirmation.html", sent)


@blueprint.route("/password/forgotten", methods=BOTH, endpoint="forgot_password")
@access.public
def forgot_password() -> ResponseReturnValue:
    """Send a link to a new password, if the address has an account."""
    sent = gettext("If this address has an account, a mail with a link to a new password is on its way.")
    return _send_link("identity.mail_reset_link", "identity/forgot_password.html", sent)


def _send_link(job_name: str, template: str, sent: str) -> ResponseReturnValue:
    """Enqueue a job that looks the address up: this request does the same work whether or not there is an account."""
    form = AddressForm()
    if form.validate_on_submit():
        attempts.count("mail_link", str(form.email.data))
        try:
            jobs.enqueue(session(), job_name, email=people.normal_email(str(form.email.data)))
        except Invalid as error:
            form.refuse(error)
        else:
            flash(sent, "success")
            return redirect(url_for("security.login"), 303)
    return render_template(template, form=form), form.status


@blueprint.route("/password/new/<token>", methods=BOTH, endpoint="reset_password")
@access.public
def reset_password(token: str) -> ResponseReturnValue:
    """Choose a new password with a link from a mail; a second factor is still asked for at the sign-in after."""
    if request.method == "POST":
        attempts.count("open_link", token)
    _, _, account = reset_password_token_status(token)  # type: ignore[no-untyped-call]
    if account is not None and not reset_links.is_current(token, account):
        flash(gettext("This link does not work, or was used. Ask for a new one."), "error")
        return redirect(url_for("security.forgot_password"), 303)
    key_before = account.fs_uniquifier if account is not None else None
    response = _run(views.reset_password, token=token)
    if account is not None and account.fs_uniquifier != key_before:
        if this_session().person is not None:
            logout_user()
        if account.confirmed_at is None:
            # The link came to the address: that confirms it as well as the other mail.
            people.confirm(session(), person_id=account.id, by=Actor(account.id, "self"), now=clock.now())
    return response


@blueprint.route("/password/change", methods=BOTH, endpoint="change_password")
@access.signed_in
def change_password() -> ResponseReturnValue:
    """Choose a new password, knowing the present one."""
    _count_person("password")
    return _run(views.change_password)


@blueprint.route("/sign-in/again", methods=BOTH, endpoint="verify")
@access.signed_in
def sign_in_again() -> ResponseReturnValue:
    """Take the password once more before something that matters."""
    _count_person("password")
    return _run(views.verify)


@blueprint.route("/security/codes", methods=BOTH, endpoint="two_factor_setup")
@access.signed_in
def set_up_codes() -> ResponseReturnValue:
    """Switch codes from an app on or off."""
    return _run(views.two_factor_setup, page_status=200)


@blueprint.post("/security/codes/<token>", endpoint="two_factor_setup_validate")
@access.signed_in
def prove_codes(token: str) -> ResponseReturnValue:
    """Take the first code of a new app: codes are on from here."""
    _count_person("code")
    return _run(views.two_factor_setup_validate, token=token)


@blueprint.route("/security/recovery-codes", methods=BOTH, endpoint="mf_recovery_codes")
@access.signed_in
def recovery_codes() -> ResponseReturnValue:
    """Make recovery codes, and show them once."""
    return _run(mf_recovery_codes, page_status=200)


def _run(view: View, *, page_status: int = 422, **arguments: str) -> Response:
    """Run a view of Flask-Security: a form shown again is 422, and redirects stay on this site."""
    response: Response = make_response(view(**arguments))
    if response.status_code in {301, 302, 303, 307, 308}:
        response.status_code = 303
        response.headers["Location"] = _local(response.headers["Location"])
    elif request.method == "POST" and response.status_code == 200:
        response.status_code = page_status
    return response


def _local(location: str) -> str:
    """Return a redirect's target as a path of this site."""
    parts = urlsplit(location)
    if parts.netloc and parts.netloc == request.host:
        location = parts._replace(scheme="", netloc="").geturl()
    return safe_target(location)


def _count_person(name: str) -> None:
    if request.method == "POST":
        person = this_session().person
        account = str(person.id) if person else str(flask_session.get("tf_user_id", ""))
        # Nothing is written yet; the attempt is counted apart, so the connection goes back first.
        session().rollback()
        attempts.count(name, account)


def _signed_in(response: Response) -> Response:
    """Note a sign-in that just happened, and let the portal speak the person's language."""
    key = flask_session.get(PERSON_KEY)
    if key is not None and this_session().before.get(PERSON_KEY) != key:
        person_id = queries.person_id_of_key(session(), key)
        if person_id is not None:
            person = queries.person_by_id(session(), person_id)
            accounts.signed_in(session(), person_id=person_id, by=person.actor, now=clock.now())
            i18n.remember_language(response, person.language)
    return response
