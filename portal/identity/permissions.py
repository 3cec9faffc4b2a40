"""What roles may do with people, as a table."""

from enum import StrEnum

from portal.core.access import Role


class Permission(StrEnum):
    """Acts of staff on people."""

    SEE_PEOPLE = "see people"
    SUSPEND_PEOPLE = "suspend people"
    GIVE_ROLES = "give roles"


HOLDERS: dict[StrEnum, frozenset[Role]] = {
    Permission.SEE_PEOPLE: frozenset({Role.STAFF, Role.ADMINISTRATOR}),
    Permission.SUSPEND_PEOPLE: frozenset({Role.STAFF, Role.ADMINISTRATOR}),
    Permission.GIVE_ROLES: frozenset({Role.ADMINISTRATOR}),
}
