"""The page of permissions: read from the domains' own tables, so that it cannot differ from the checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from portal.compute import permissions as compute
from portal.core.access import PermissionTable, Role
from portal.core.errors import N_
from portal.credits import permissions as credit
from portal.identity import permissions as identity
from portal.incubation import permissions as incubation
from portal.learning import permissions as learning
from portal.projects import permissions as projects
from portal.reporting import permissions as reporting

ROLE_NAMES: dict[Role, str] = {
    Role.REVIEWER: N_("Reviewer"),
    Role.MENTOR: N_("Mentor"),
    Role.INSTRUCTOR: N_("Instructor"),
    Role.ANNOTATOR: N_("Annotator"),
    Role.EMPLOYER: N_("Employer"),
    Role.STAFF: N_("Programme staff"),
    Role.FINANCE: N_("Finance"),
    Role.FUNDER: N_("Funder"),
    Role.ADMINISTRATOR: N_("Administrator"),
}

_TABLES: tuple[tuple[str, PermissionTable], ...] = (
    (N_("People"), identity.HOLDERS),
    (N_("Projects"), projects.HOLDERS),
    (N_("Credits"), credit.HOLDERS),
    (N_("GPU pool"), compute.HOLDERS),
    (N_("Courses"), learning.HOLDERS),
    (N_("Programmes"), incubation.HOLDERS),
    (N_("Reports"), reporting.HOLDERS),
)

# What follows from a relation instead of a role; each sentence is held by the queries of its domain.
RELATIONS: tuple[tuple[str, str], ...] = (
    (N_("Applicant"), N_("sees and edits their own application until it is submitted, and its receipt and decision afterwards")),
    (N_("Assigned reviewer"), N_("sees the applications assigned to them, unless a conflict of interest is known")),
    (N_("Project lead or member"), N_("sees the project’s wallet and sessions, and starts sessions that it pays for")),
    (N_("Learner of a course run"), N_("reads its lessons and opens its labs, which the course’s credits pay for")),
    (N_("Member of an organisation"), N_("sees its members; owners invite and remove them")),
)


@dataclass(frozen=True)
class PermissionRow:
    """One permission: the text that names it and the roles that hold it, as English sources."""

    permission: StrEnum
    text: str
    roles: Sequence[str]


@dataclass(frozen=True)
class Area:
    """The permissions of one domain."""

    name: str
    rows: Sequence[PermissionRow]


def areas() -> list[Area]:
    """Return every permission with its holders, by domain."""
    return [Area(name, [_row(permission, holders) for permission, holders in table.items()]) for name, table in _TABLES]


def _row(permission: StrEnum, holders: frozenset[Role]) -> PermissionRow:
    return PermissionRow(permission, TEXTS[permission.value], [ROLE_NAMES[role] for role in Role if role in holders])


# What each permission lets people do; a test holds that none is missing.
TEXTS: dict[str, str] = {
    "see people": N_("see the list of people"),
    "suspend people": N_("suspend people and let them back in"),
    "give roles": N_("give roles and take them away"),
    "projects.see_all": N_("see every project and its members"),
    "see_funds": N_("see the funds and what was used of them"),
    "reporting.see_reports": N_("read and export the reports of funds and cohorts"),
    "see_every_wallet": N_("see every wallet and its statement"),
    "open_fund": N_("open a fund"),
    "give_grant": N_("grant credits, alone up to the set limit"),
    "change_lot": N_("give granted credits a later end, or take them back to their fund"),
    "close_month": N_("close a month of the credit journal"),
    "decide_grant": N_("approve or decline a grant or an adjustment that somebody else asked for"),
    "adjust": N_("correct what a session was charged, and write off debts"),
    "compute.see_pool": N_("see the pool’s machines and who holds them"),
    "compute.see_all_sessions": N_("see every session"),
    "compute.stop_any_session": N_("stop any session"),
    "compute.make_good": N_("open incidents of the hub and make them good"),
    "learning.run_courses": N_("open course runs and lead them"),
    "learning.see_all_runs": N_("see every course run and its learners"),
    "incubation.manage_calls": N_("set up calls, publish and close them"),
    "incubation.see_applications": N_("see submitted applications, their own excepted"),
    "incubation.assign_reviewers": N_("give applications to reviewers"),
    "incubation.decide": N_("prepare and release decisions"),
    "incubation.see_ventures": N_("see every venture"),
}
