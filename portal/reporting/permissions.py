"""Who reads reports."""

from enum import StrEnum

from portal.core.access import PermissionTable, Role


class Permission(StrEnum):
    """Permissions of the domain."""

    SEE_REPORTS = "reporting.see_reports"


HOLDERS: PermissionTable = {Permission.SEE_REPORTS: frozenset({Role.FINANCE, Role.STAFF, Role.FUNDER, Role.ADMINISTRATOR})}
