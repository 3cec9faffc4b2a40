"""What roles may do with projects that are not their own; what members may do follows from `MemberRole`."""

from enum import StrEnum

from portal.core.access import Role


class Permission(StrEnum):
    """Permissions of the domain."""

    SEE_ALL_PROJECTS = "projects.see_all"


HOLDERS: dict[StrEnum, frozenset[Role]] = {
    Permission.SEE_ALL_PROJECTS: frozenset({Role.STAFF, Role.FINANCE, Role.ADMINISTRATOR}),
}
