"""What kinds of projects and roles of members are called on pages, as English sources."""

from portal.core.errors import N_
from portal.projects.states import MemberRole, ProjectKind

KINDS: dict[ProjectKind, str] = {
    ProjectKind.PERSON: N_("Personal project"),
    ProjectKind.VENTURE: N_("Venture"),
    ProjectKind.COURSE_RUN: N_("Course run"),
    ProjectKind.CAMPAIGN: N_("Labelling campaign"),
    ProjectKind.RESEARCH: N_("Research project"),
    ProjectKind.COMPANY: N_("Company project"),
}

ROLES: dict[MemberRole, str] = {
    MemberRole.LEAD: N_("Lead"),
    MemberRole.MEMBER: N_("Member"),
    MemberRole.LEARNER: N_("Learner"),
}
