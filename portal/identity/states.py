"""The words of identity as enums; nothing here knows the database."""

from enum import StrEnum


class OrganisationKind(StrEnum):
    """What an organisation is."""

    STARTUP = "startup"
    UNIVERSITY = "university"
    COMPANY = "company"
    LAB = "lab"
    HUB = "hub"


class MembershipRole(StrEnum):
    """What a person may do in an organisation: owners invite, remove and rename; members belong."""

    OWNER = "owner"
    MEMBER = "member"


class TokenKind(StrEnum):
    """The two kinds of token that the OpenID Connect provider gives out."""

    ACCESS = "access"
    REFRESH = "refresh"
