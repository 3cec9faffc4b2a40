"""Words for identity's enums, translated when shown."""

from flask_babel import LazyString, lazy_gettext

from portal.core.access import Role
from portal.identity.states import MembershipRole, OrganisationKind

KINDS: dict[OrganisationKind, LazyString] = {
    OrganisationKind.STARTUP: lazy_gettext("Startup"),
    OrganisationKind.UNIVERSITY: lazy_gettext("University"),
    OrganisationKind.COMPANY: lazy_gettext("Company"),
    OrganisationKind.LAB: lazy_gettext("Research lab"),
    OrganisationKind.HUB: lazy_gettext("The hub"),
}

MEMBERSHIP_ROLES: dict[MembershipRole, LazyString] = {
    MembershipRole.OWNER: lazy_gettext("Owner"),
    MembershipRole.MEMBER: lazy_gettext("Member"),
}

ROLES: dict[Role, LazyString] = {
    Role.REVIEWER: lazy_gettext("Reviewer"),
    Role.MENTOR: lazy_gettext("Mentor"),
    Role.INSTRUCTOR: lazy_gettext("Instructor"),
    Role.ANNOTATOR: lazy_gettext("Annotator"),
    Role.EMPLOYER: lazy_gettext("Employer"),
    Role.STAFF: lazy_gettext("Programme staff"),
    Role.FINANCE: lazy_gettext("Finance"),
    Role.FUNDER: lazy_gettext("Funder"),
    Role.ADMINISTRATOR: lazy_gettext("Administrator"),
}
