"""Who acts. An `Actor` is a value that views, jobs and the command line make and operations receive as `by`.

Roles are held by a person for the whole hub; what somebody may do with one thing (a project, an application)
follows from relations, which queries check in SQL.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from portal.core.errors import Refused


class Role(StrEnum):
    """What a person is for the hub as a whole. Members, founders and students are relations, not roles."""

    REVIEWER = "reviewer"
    MENTOR = "mentor"
    INSTRUCTOR = "instructor"
    ANNOTATOR = "annotator"
    EMPLOYER = "employer"
    STAFF = "staff"
    FINANCE = "finance"
    FUNDER = "funder"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class Actor:
    """Somebody or something that acts: a person with roles, a process of ours, or nobody yet.

    person_id: None for processes and visitors. label: what the audit trail calls it.
    """

    person_id: uuid.UUID | None
    label: str
    roles: frozenset[Role] = field(default_factory=frozenset)
    is_process: bool = False

    @classmethod
    def process(cls, label: str) -> "Actor":
        """Return an actor for one of our processes: "worker", "hub", "command line"."""
        return cls(person_id=None, label=label, is_process=True)

    @property
    def is_signed_in(self) -> bool:
        """Return whether a person stands behind the actor."""
        return self.person_id is not None

    def has(self, *roles: Role) -> bool:
        """Return whether the actor holds any of the roles; a process of ours holds all."""
        return self.is_process or not self.roles.isdisjoint(roles)

    @property
    def id(self) -> uuid.UUID:
        """Return the person's id. Raises Refused for visitors and processes."""
        if self.person_id is None:
            raise Refused
        return self.person_id


VISITOR = Actor(person_id=None, label="visitor")

PermissionTable = Mapping[StrEnum, frozenset[Role]]


def require(actor: Actor, permission: StrEnum, table: PermissionTable) -> None:
    """Raise Refused unless one of the actor's roles holds the permission in the domain's table."""
    if not actor.has(*table[permission]):
        raise Refused
