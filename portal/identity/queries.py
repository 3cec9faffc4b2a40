"""Reads of people and sessions."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Text, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from portal.core.access import Actor, Role
from portal.core.database import Json
from portal.core.errors import NotFound
from portal.core.ids import digest
from portal.identity import rules
from portal.identity.models import Person, RoleAssignment, SignInSession

_ROLES = (
    select(func.coalesce(func.array_agg(RoleAssignment.role, type_=ARRAY(Text)), cast([], ARRAY(Text))))
    .where(RoleAssignment.person_id == Person.id)
    .correlate(Person)
    .scalar_subquery()
)


@dataclass(frozen=True)
class PersonCard:
    """A person as the pages and the hub know them."""

    id: uuid.UUID
    number: int
    email: str
    display_name: str
    language: str
    zone: str
    is_active: bool
    is_confirmed: bool
    roles: frozenset[Role]

    @property
    def slug(self) -> str:
        """Return the immutable name for the hub: "u-1042"."""
        return rules.slug_of_person(self.number)

    @property
    def actor(self) -> Actor:
        """Return the person as somebody who acts; a suspended person has no roles."""
        return Actor(person_id=self.id, label=self.slug, roles=self.roles if self.is_active else frozenset())


@dataclass(frozen=True)
class LiveSession:
    """A session that holds now, and who is signed in with it (None: somebody between password and second factor)."""

    id: uuid.UUID
    data: Json
    started_at: datetime
    last_seen_at: datetime
    person: PersonCard | None


@dataclass(frozen=True)
class SessionRow:
    """One of a person's sessions, for the page that lists them."""

    id: uuid.UUID
    device: str
    started_at: datetime
    last_seen_at: datetime


_CARD = (
    Person.id,
    Person.number,
    Person.email,
    Person.display_name,
    Person.language,
    Person.zone,
    Person.is_active,
    Person.confirmed_at.is_not(None).label("is_confirmed"),
    _ROLES.label("roles"),
)


def _card(row: Sequence[Any]) -> PersonCard:
    person_id, number, email, display_name, language, zone, is_active, is_confirmed, roles = row
    return PersonCard(person_id, number, email, display_name, language, zone, is_active, is_confirmed, frozenset(Role(role) for role in roles))


def person_by_id(db: Session, person_id: uuid.UUID) -> PersonCard:
    """Return a person. Raises NotFound."""
    row = db.execute(select(*_CARD).where(Person.id == person_id)).one_or_none()
    if row is None:
        raise NotFound
    return _card(row)


def person_by_number(db: Session, number: int) -> PersonCard:
    """Return a person by the number in their slug. Raises NotFound."""
    row = db.execute(select(*_CARD).where(Person.number == number)).one_or_none()
    if row is None:
        raise NotFound
    return _card(row)


def person_by_email(db: Session, email: str) -> PersonCard | None:
    """Return the person with an address, None when there is none; for processes and staff, never for visitors' pages."""
    row = db.execute(select(*_CARD).where(Person.email == email.strip())).one_or_none()
    return _card(row) if row is not None else None


def actor_of(db: Session, person_id: uuid.UUID) -> Actor:
    """Return a person as somebody who acts, with their roles. Raises NotFound."""
    return person_by_id(db, person_id).actor


def live_session(db: Session, secret: str, *, now: datetime) -> LiveSession | None:
    """Return the session behind a cookie's secret, with its person and roles, in one statement.

    None when it is unknown, idle too long or too old, or when the person's key changed since (password, suspension).
    """
    columns = (SignInSession.id, SignInSession.data, SignInSession.started_at, SignInSession.last_seen_at, SignInSession.person_id, Person.fs_uniquifier)
    query = (
        select(*columns, *_CARD)
        .join_from(SignInSession, Person, Person.id == SignInSession.person_id, isouter=True)
        .where(
            SignInSession.token_digest == digest(secret),
            SignInSession.expires_at > now,
            SignInSession.last_seen_at > now - rules.SESSION_IDLE,
        )
    )
    row = db.execute(query).one_or_none()
    if row is None:
        return None
    session_id, data, started_at, last_seen_at, person_id, uniquifier, *card = row
    if person_id is None:
        return LiveSession(session_id, data, started_at, last_seen_at, None)
    person = _card(card)
    if not person.is_active or data.get("_user_id") != uniquifier:
        return None
    return LiveSession(session_id, data, started_at, last_seen_at, person)


def sessions_of(db: Session, person_id: uuid.UUID, *, now: datetime) -> list[SessionRow]:
    """Return a person's live sessions, the last used first."""
    query = (
        select(SignInSession.id, SignInSession.device, SignInSession.started_at, SignInSession.last_seen_at)
        .where(SignInSession.person_id == person_id, SignInSession.expires_at > now, SignInSession.last_seen_at > now - rules.SESSION_IDLE)
        .order_by(SignInSession.last_seen_at.desc(), SignInSession.id)
        .limit(100)
    )
    return [SessionRow(*row) for row in db.execute(query)]


def person_id_of_key(db: Session, key: str | None) -> uuid.UUID | None:
    """Return whose key Flask-Security put into a session, None when it is nobody's."""
    if key is None:
        return None
    return db.execute(select(Person.id).where(Person.fs_uniquifier == key)).scalar_one_or_none()
