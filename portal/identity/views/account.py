"""One's own account: profile, protection, and where one is signed in."""

import uuid

from flask import flash, make_response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, gettext

from portal.core import clock
from portal.core.errors import NotFound
from portal.identity import devices, queries
from portal.identity.account import this_session_id
from portal.identity.forms import ProfileForm
from portal.identity.operations import accounts, people, sign_ins
from portal.identity.views.blueprint import blueprint
from portal.web import access, i18n
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view


@blueprint.route("/profile", methods=["GET", "POST"])
@access.signed_in
@once_view
def profile() -> ResponseReturnValue:
    """Show and change one's name, language and zone."""
    person = queries.person_by_id(session(), current_actor().id)
    form = ProfileForm(obj=person)
    if form.validate_on_submit():
        values = {"display_name": str(form.display_name.data), "language": str(form.language.data), "zone": str(form.zone.data)}
        with form.catching():
            people.change_profile(session(), person_id=person.id, by=current_actor(), now=clock.now(), **values)
            with force_locale(values["language"]):
                flash(gettext("Your profile is saved."), "success")
            response = make_response(redirect(url_for("identity.profile"), 303))
            i18n.remember_language(response, values["language"])
            return response
    return render_template("identity/profile.html", form=form, person=person), form.status


@blueprint.get("/security")
@access.signed_in
def security() -> ResponseReturnValue:
    """Show how the account is protected, and where it is signed in."""
    person_id = current_actor().id
    rows = queries.sessions_of(session(), person_id, now=clock.now())
    here = this_session_id()
    return render_template(
        "identity/security.html",
        state=queries.security_of(session(), person_id),
        rows=[{"row": row, "device": devices.name_of(row.device), "is_here": row.id == here} for row in rows],
    )


@blueprint.post("/security/sessions/<uuid:session_id>/end")
@access.signed_in
@once_view
def sign_out_device(session_id: uuid.UUID) -> ResponseReturnValue:
    """Sign one of one's devices out."""
    if not sign_ins.end_own(session(), session_id=session_id, person_id=current_actor().id, now=clock.now()):
        raise NotFound
    flash(gettext("That device is signed out."), "success")
    return redirect(url_for("identity.security"), 303)


@blueprint.post("/security/sessions/end-others")
@access.signed_in
@once_view
def sign_out_others() -> ResponseReturnValue:
    """Sign every other device out."""
    accounts.end_elsewhere(session(), person_id=current_actor().id, except_session_id=this_session_id(), because="signed out everywhere", now=clock.now())
    flash(gettext("All other devices are signed out."), "success")
    return redirect(url_for("identity.security"), 303)
