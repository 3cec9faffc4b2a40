"""Who may call identity's routes."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from portal.identity import queries
from portal.identity.operations import organisations
from portal.identity.permissions import Permission
from portal.identity.states import MembershipRole, OrganisationKind
from tests.architecture.access_matrix import Row

_OWN = "one's own account"
ROWS = {
    "security.login": Row("public"),
    "security.two_factor_token_validation": Row("public", relation="a session between password and code"),
    "security.mf_recovery": Row("public", relation="a session between password and code"),
    "security.two_factor_rescue": Row("public"),
    "security.logout": Row("public"),
    "security.register": Row("public"),
    "security.confirm_page": Row("public", relation="the link's holder"),
    "security.confirm_email": Row("public", relation="the link's holder"),
    "security.send_confirmation": Row("public"),
    "security.forgot_password": Row("public"),
    "security.reset_password": Row("public", relation="the link's holder"),
    "security.change_password": Row("signed_in", relation=_OWN),
    "security.verify": Row("signed_in", relation=_OWN),
    "security.two_factor_setup": Row("signed_in", relation=_OWN),
    "security.two_factor_setup_validate": Row("signed_in", relation=_OWN),
    "security.mf_recovery_codes": Row("signed_in", relation=_OWN),
    "identity.profile": Row("signed_in", relation=_OWN),
    "identity.security": Row("signed_in", relation=_OWN),
    "identity.sign_out_device": Row("signed_in", relation="one's own session; tested in test_sessions"),
    "identity.sign_out_others": Row("signed_in", relation=_OWN),
    "identity.organisations": Row("signed_in", relation="one's own"),
    "identity.open_organisation": Row("signed_in"),
    "identity.organisation": Row("signed_in", relation="its members", object="organisation"),
    "identity.withdraw_invitation": Row("signed_in", relation="its owners", object="invitation"),
    "identity.change_member": Row("signed_in", relation="its owners", object="member_role"),
    "identity.remove_member": Row("signed_in", relation="its owners, and oneself", object="member"),
    "identity.invitation": Row("public", relation="the link's holder"),
    "identity.accept_invitation": Row("signed_in", relation="the link's holder, with the address it was sent to"),
    "identity.people": Row("permission", permission=Permission.SEE_PEOPLE),
    "identity.person": Row("permission", permission=Permission.SEE_PEOPLE),
    "identity.give_role": Row("permission", permission=Permission.GIVE_ROLES),
    "identity.take_role": Row("permission", permission=Permission.GIVE_ROLES),
    "identity.suspend": Row("permission", permission=Permission.SUSPEND_PEOPLE),
    "identity.resume": Row("permission", permission=Permission.SUSPEND_PEOPLE),
    "identity.authorize": Row("public", relation="a registered client; sign-in is asked for"),
    "identity.token": Row("public", relation="a client with its secret"),
    "identity.userinfo": Row("public", relation="an access token"),
    "identity.jwks": Row("public"),
    "identity.discovery": Row("public"),
    "identity.end_session": Row("public"),
}


def make_organisation(db: Session, owner_id: uuid.UUID, now: datetime) -> Mapping[str, Any]:
    owner = queries.actor_of(db, owner_id)
    return {"organisation_id": organisations.open(db, name="Atlas Vision", kind=OrganisationKind.STARTUP, by=owner, now=now)}


def make_invitation(db: Session, owner_id: uuid.UUID, now: datetime) -> Mapping[str, Any]:
    found = make_organisation(db, owner_id, now)
    owner = queries.actor_of(db, owner_id)
    invitation_id = organisations.invite(
        db, organisation_id=found["organisation_id"], email="somebody@example.org", role=MembershipRole.MEMBER, by=owner, now=now
    )
    return {**found, "invitation_id": invitation_id}


def make_member(db: Session, owner_id: uuid.UUID, now: datetime) -> Mapping[str, Any]:
    return {**make_organisation(db, owner_id, now), "person_id": owner_id}


def make_member_role(db: Session, owner_id: uuid.UUID, now: datetime) -> Mapping[str, Any]:
    return {**make_member(db, owner_id, now), "role": "owner"}


OBJECTS = {"organisation": make_organisation, "invitation": make_invitation, "member": make_member, "member_role": make_member_role}
