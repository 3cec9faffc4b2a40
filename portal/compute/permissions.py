"""What roles may do with sessions and the pool; what people may do with their own follows from relations."""

from enum import StrEnum

from portal.core.access import Role


class Permission(StrEnum):
    """Permissions of the domain."""

    SEE_POOL = "compute.see_pool"
    SEE_ALL_SESSIONS = "compute.see_all_sessions"
    STOP_ANY_SESSION = "compute.stop_any_session"
    MAKE_GOOD = "compute.make_good"


HOLDERS: dict[StrEnum, frozenset[Role]] = {
    Permission.SEE_POOL: frozenset({Role.STAFF, Role.ADMINISTRATOR}),
    Permission.SEE_ALL_SESSIONS: frozenset({Role.STAFF, Role.ADMINISTRATOR}),
    Permission.STOP_ANY_SESSION: frozenset({Role.STAFF, Role.ADMINISTRATOR}),
    Permission.MAKE_GOOD: frozenset({Role.STAFF, Role.FINANCE, Role.ADMINISTRATOR}),
}
