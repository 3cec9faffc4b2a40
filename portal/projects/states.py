"""Kinds of projects and the roles of their members."""

from enum import StrEnum


class ProjectKind(StrEnum):
    """What a project belongs to."""

    PERSON = "person"
    VENTURE = "venture"
    COURSE_RUN = "course_run"
    CAMPAIGN = "campaign"
    RESEARCH = "research"
    COMPANY = "company"


class MemberRole(StrEnum):
    """What a member may do: see the page of the domain."""

    LEAD = "lead"
    MEMBER = "member"
    LEARNER = "learner"
