"""What roles may do with course runs; whose runs an instructor sees follows from the run's project."""

from enum import StrEnum

from portal.core.access import Role


class Permission(StrEnum):
    """Permissions of the domain."""

    RUN_COURSES = "learning.run_courses"
    SEE_ALL_RUNS = "learning.see_all_runs"


HOLDERS: dict[StrEnum, frozenset[Role]] = {
    Permission.RUN_COURSES: frozenset({Role.INSTRUCTOR, Role.STAFF, Role.ADMINISTRATOR}),
    Permission.SEE_ALL_RUNS: frozenset({Role.STAFF, Role.ADMINISTRATOR}),
}
