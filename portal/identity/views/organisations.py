"""Organisations: one's own, one with its members, inviting, accepting, leaving."""

import uuid

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.identity import attempts, queries
from portal.identity.forms import InvitationForm, OrganisationForm
from portal.identity.labels import KINDS, MEMBERSHIP_ROLES
from portal.identity.operations import organisations as operations
from portal.identity.states import MembershipRole
from portal.identity.views.blueprint import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view

_WORDS = {"kinds": KINDS, "roles": MEMBERSHIP_ROLES}


@blueprint.get("/organisations")
@access.signed_in
def organisations() -> ResponseReturnValue:
    """Show the organisations that one belongs to."""
    page = queries.organisations_of(session(), current_actor().id, mark=request.args.get("mark"))
    return render_template("identity/organisations.html", rows=page, **_WORDS)


@blueprint.route("/organisations/new", methods=["GET", "POST"])
@access.signed_in
@once_view
def open_organisation() -> ResponseReturnValue:
    """Open an organisation."""
    form = OrganisationForm()
    if form.validate_on_submit():
        with form.catching():
            organisation_id = operations.open(session(), name=str(form.name.data), kind=form.kind.data, by=current_actor(), now=clock.now())
            return redirect(url_for("identity.organisation", organisation_id=organisation_id), 303)
    return render_template("identity/organisation_new.html", form=form), form.status


@blueprint.route("/organisations/<uuid:organisation_id>", methods=["GET", "POST"])
@access.signed_in
@once_view
def organisation(organisation_id: uuid.UUID) -> ResponseReturnValue:
    """Show an organisation with its members; its owners invite here."""
    card = queries.organisation_of(session(), organisation_id, actor=current_actor())
    is_owner = card.role is MembershipRole.OWNER
    form = InvitationForm()
    if form.validate_on_submit():
        attempts.count("invite", str(current_actor().id))
        with form.catching():
            operations.invite(session(), organisation_id=organisation_id, email=str(form.email.data), role=form.role.data, by=current_actor(), now=clock.now())
            flash(gettext("The invitation is on its way to %(email)s.", email=form.email.data), "success")
            return _back(organisation_id)
    shown = {
        "organisation": card,
        "is_owner": is_owner,
        "form": form,
        "members": queries.members_of(session(), organisation_id, mark=request.args.get("mark")),
        "invitations": queries.invitations_of(session(), organisation_id, now=clock.now()) if is_owner else [],
        "me": current_actor().id,
    }
    return render_template("identity/organisation.html", **shown, **_WORDS), form.status


@blueprint.post("/organisations/<uuid:organisation_id>/invitations/<uuid:invitation_id>/withdraw")
@access.signed_in
@once_view
def withdraw_invitation(organisation_id: uuid.UUID, invitation_id: uuid.UUID) -> ResponseReturnValue:
    """Withdraw an open invitation."""
    operations.withdraw(session(), organisation_id=organisation_id, invitation_id=invitation_id, by=current_actor(), now=clock.now())
    flash(gettext("The invitation is withdrawn."), "success")
    return _back(organisation_id)


@blueprint.post("/organisations/<uuid:organisation_id>/members/<uuid:person_id>/role/<any(owner, member):role>")
@access.signed_in
@once_view
def change_member(organisation_id: uuid.UUID, person_id: uuid.UUID, role: str) -> ResponseReturnValue:
    """Make a member an owner, or an owner a member."""
    operations.change_role(session(), organisation_id=organisation_id, person_id=person_id, role=MembershipRole(role), by=current_actor(), now=clock.now())
    flash(gettext("The role is changed."), "success")
    return _back(organisation_id)


@blueprint.post("/organisations/<uuid:organisation_id>/members/<uuid:person_id>/remove")
@access.signed_in
@once_view
def remove_member(organisation_id: uuid.UUID, person_id: uuid.UUID) -> ResponseReturnValue:
    """Take a member out, or leave."""
    operations.remove(session(), organisation_id=organisation_id, person_id=person_id, by=current_actor(), now=clock.now())
    if person_id == current_actor().id:
        flash(gettext("You have left the organisation."), "success")
        return redirect(url_for("identity.organisations"), 303)
    flash(gettext("The member is removed."), "success")
    return _back(organisation_id)


@blueprint.get("/invitations/<secret>")
@access.public
def invitation(secret: str) -> ResponseReturnValue:
    """Show who invites to what, to whoever holds the link."""
    attempts.count("open_link", secret)
    found = queries.invitation_by_secret(session(), secret, now=clock.now())
    return render_template("identity/invitation.html", invitation=found, secret=secret, **_WORDS)


@blueprint.post("/invitations/<secret>/accept")
@access.signed_in
@once_view
def accept_invitation(secret: str) -> ResponseReturnValue:
    """Accept an invitation that was sent to one's own confirmed address."""
    attempts.count("open_link", secret)
    organisation_id = operations.accept(session(), secret=secret, by=current_actor(), now=clock.now())
    flash(gettext("Welcome: you are a member now."), "success")
    return _back(organisation_id)


def _back(organisation_id: uuid.UUID) -> ResponseReturnValue:
    return redirect(url_for("identity.organisation", organisation_id=organisation_id), 303)
