"""What roles may do in incubation; what applicants and reviewers may do follows from their own rows."""

from enum import StrEnum

from portal.core.access import Role


class Permission(StrEnum):
    """Permissions of the domain."""

    MANAGE_CALLS = "incubation.manage_calls"
    SEE_APPLICATIONS = "incubation.see_applications"
    ASSIGN_REVIEWERS = "incubation.assign_reviewers"
    DECIDE = "incubation.decide"
    SEE_VENTURES = "incubation.see_ventures"


_PROGRAMME_STAFF = frozenset({Role.STAFF, Role.ADMINISTRATOR})

HOLDERS: dict[StrEnum, frozenset[Role]] = {
    Permission.MANAGE_CALLS: _PROGRAMME_STAFF,
    Permission.SEE_APPLICATIONS: _PROGRAMME_STAFF,
    Permission.ASSIGN_REVIEWERS: _PROGRAMME_STAFF,
    Permission.DECIDE: _PROGRAMME_STAFF,
    Permission.SEE_VENTURES: _PROGRAMME_STAFF | {Role.FINANCE},
}
