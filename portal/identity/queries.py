"""Reads of people and sessions."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, bindparam, cast, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from portal.core.access import Actor, Role
from portal.core.database import Instant, Json
from portal.core.errors import NotFound
from portal.core.ids import digest
from portal.core.pages import Page, page_of
from portal.identity import rules
from portal.identity.models import Invitation, Membership, Organisation, Person, RoleAssignment, SignInSession
from portal.identity.states import MembershipRole, OrganisationKind

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


@dataclass(frozen=True)
class SecurityState:
    """How a person's account is protected."""

    has_password: bool
    password_changed_at: datetime | None
    has_codes: bool
    recovery_codes_left: int


@dataclass(frozen=True)
class OrganisationCard:
    """An organisation as one of its members sees it; `role` is theirs."""

    id: uuid.UUID
    name: str
    kind: OrganisationKind
    role: MembershipRole
    member_count: int


@dataclass(frozen=True)
class MemberRow:
    """A member of an organisation."""

    person_id: uuid.UUID
    display_name: str
    role: MembershipRole
    joined_at: datetime


@dataclass(frozen=True)
class InvitationRow:
    """An invitation that waits for its answer."""

    id: uuid.UUID
    email: str
    role: MembershipRole
    invited_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class OpenInvitation:
    """An invitation as the holder of its link sees it."""

    organisation_name: str
    inviter_name: str | None
    role: MembershipRole
    email: str
    is_open: bool


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


@cache
def _live_session() -> Select[Any]:
    """Return the statement of every request; it is built once a process, because building it costs more than running it."""
    columns = (SignInSession.id, SignInSession.data, SignInSession.started_at, SignInSession.last_seen_at, SignInSession.person_id, Person.fs_uniquifier)
    return (
        select(*columns, *_CARD)
        .join_from(SignInSession, Person, Person.id == SignInSession.person_id, isouter=True)
        .where(
            SignInSession.token_digest == bindparam("token_digest", type_=Text()),
            SignInSession.expires_at > bindparam("now", type_=Instant()),
            SignInSession.last_seen_at > bindparam("idle_since", type_=Instant()),
        )
    )


def live_session(db: Session, secret: str, *, now: datetime) -> LiveSession | None:
    """Return the session behind a cookie's secret, with its person and roles, in one statement.

    None when it is unknown, idle too long or too old, or when the person's key changed since (password, suspension).
    """
    row = db.execute(_live_session(), {"token_digest": digest(secret), "now": now, "idle_since": now - rules.SESSION_IDLE}).one_or_none()
    if row is None:
        return None
    session_id, data, started_at, last_seen_at, person_id, uniquifier, *card = row
    if person_id is None:
        if started_at <= now - rules.PENDING_LIFE:
            return None
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


def security_of(db: Session, person_id: uuid.UUID) -> SecurityState:
    """Return how a person's account is protected."""
    row = db.execute(
        select(
            Person.password.is_not(None),
            Person.password_changed_at,
            Person.tf_primary_method.is_not(None),
            func.coalesce(func.jsonb_array_length(Person.mf_recovery_codes), 0),
        ).where(Person.id == person_id)
    ).one()
    return SecurityState(*row)


def people_page(db: Session, *, search: str, mark: str | None) -> Page[PersonCard]:
    """Return one page of people, newest first, whose name, address or slug begins with the search."""
    query = select(*_CARD)
    text = search.strip().lower()
    if text:
        prefix = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        found: list[ColumnElement[bool]] = [func.lower(Person.display_name).like(prefix), func.lower(cast(Person.email, Text)).like(prefix)]
        number = text.removeprefix("u-")
        if number.isascii() and number.isdigit() and len(number) < 18:
            found.append(Person.number == int(number))
        query = query.where(or_(*found))
    return page_of(db, query, Person.id, mark=mark).map(_card)


def _organisations(person_id: uuid.UUID) -> Any:
    mine = Membership.__table__.alias("mine")
    count = select(func.count()).where(Membership.organisation_id == Organisation.id).correlate(Organisation).scalar_subquery()
    return (
        select(Organisation.id, Organisation.name, Organisation.kind, mine.c.role, count.label("member_count"))
        .join(mine, mine.c.organisation_id == Organisation.id)
        .where(mine.c.person_id == person_id)
    )


def _organisation_card(row: Sequence[Any]) -> OrganisationCard:
    organisation_id, name, kind, role, member_count = row
    return OrganisationCard(organisation_id, name, OrganisationKind(kind), MembershipRole(role), member_count)


def organisations_of(db: Session, person_id: uuid.UUID, *, mark: str | None = None) -> Page[OrganisationCard]:
    """Return one page of the organisations that a person belongs to, newest first."""
    return page_of(db, _organisations(person_id), Organisation.id, mark=mark).map(_organisation_card)


def organisation_of(db: Session, organisation_id: uuid.UUID, *, actor: Actor) -> OrganisationCard:
    """Return an organisation that the actor belongs to. Raises NotFound."""
    row = db.execute(_organisations(actor.id).where(Organisation.id == organisation_id)).one_or_none()
    if row is None:
        raise NotFound
    return _organisation_card(row)


def members_of(db: Session, organisation_id: uuid.UUID, *, mark: str | None) -> Page[MemberRow]:
    """Return one page of an organisation's members; the caller has checked that the reader is one."""
    columns: tuple[Any, ...] = (Membership.person_id, Person.display_name, Membership.role, Membership.joined_at)
    query: Select[Any] = select(*columns).join(Person, Person.id == Membership.person_id).where(Membership.organisation_id == organisation_id)
    page = page_of(db, query, Membership.person_id, mark=mark, is_newest_first=False, key_name="person_id")
    return page.map(lambda row: MemberRow(row.person_id, row.display_name, MembershipRole(row.role), row.joined_at))


def invitations_of(db: Session, organisation_id: uuid.UUID, *, now: datetime) -> list[InvitationRow]:
    """Return an organisation's open invitations; for its owners."""
    query = (
        select(Invitation.id, Invitation.email, Invitation.role, Invitation.invited_at, Invitation.expires_at)
        .where(Invitation.organisation_id == organisation_id, Invitation.accepted_at.is_(None), Invitation.withdrawn_at.is_(None), Invitation.expires_at > now)
        .order_by(Invitation.id.desc())
        .limit(100)
    )
    return [InvitationRow(row.id, row.email, MembershipRole(row.role), row.invited_at, row.expires_at) for row in db.execute(query)]


def invitation_by_secret(db: Session, secret: str, *, now: datetime) -> OpenInvitation:
    """Return the invitation of a link. Raises NotFound."""
    query = (
        select(
            Organisation.name,
            Person.display_name,
            Invitation.role,
            Invitation.email,
            (Invitation.accepted_at.is_(None) & Invitation.withdrawn_at.is_(None) & (Invitation.expires_at > now)).label("is_open"),
        )
        .join_from(Invitation, Organisation, Organisation.id == Invitation.organisation_id)
        .join(Person, Person.id == Invitation.invited_by, isouter=True)
        .where(Invitation.token_digest == digest(secret))
    )
    row = db.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return OpenInvitation(row.name, row.display_name, MembershipRole(row.role), row.email, row.is_open)
