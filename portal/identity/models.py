"""Tables of identity; private to the domain.

Secrets that are handed out (cookies, invitation links, codes, tokens, recovery codes) are stored as SHA-256 alone.
`Person` is seen by Flask-Security through `portal.identity.account`, a second mapping of the same table.
"""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import CITEXT, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.access import Role
from portal.core.database import Base, Json, Number, PrimaryId
from portal.core.states import state_check
from portal.identity import rules
from portal.identity.states import MembershipRole, OrganisationKind, TokenKind

_PERSON = "person.id"


class Person(Base):
    """Somebody with an account, from applicant to alumnus: one record. Never a national identity number."""

    __tablename__ = "person"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    email: Mapped[str] = mapped_column(CITEXT)
    display_name: Mapped[str]
    language: Mapped[str]
    zone: Mapped[str]
    is_active: Mapped[bool] = mapped_column(default=True)
    joined_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    signed_in_at: Mapped[datetime | None]
    suspended_at: Mapped[datetime | None]
    password: Mapped[str | None]
    password_changed_at: Mapped[datetime | None]
    # Flask-Security's key of the person in a session: a new one ends every session and every link.
    fs_uniquifier: Mapped[str]
    tf_primary_method: Mapped[str | None]
    tf_totp_secret: Mapped[str | None]
    totp_last_counter: Mapped[int | None]
    mf_recovery_codes: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))

    __table_args__ = (
        UniqueConstraint("email", name="uq_person__email"),
        UniqueConstraint("fs_uniquifier", name="uq_person__fs_uniquifier"),
        CheckConstraint("language IN ('en', 'fr', 'ar')", name="language"),
        CheckConstraint(f"display_name <> '' AND char_length(display_name) <= {rules.NAME_MOST}", name="display_name"),
        CheckConstraint(f"char_length(email) <= {rules.EMAIL_MOST}", name="email"),
        CheckConstraint("is_active = (suspended_at IS NULL)", name="suspended"),
        Index("ix_person__email_prefix", text("lower(email::text) text_pattern_ops")),
        Index("ix_person__display_name_prefix", text("lower(display_name) text_pattern_ops")),
    )


class RoleAssignment(Base):
    """A role that a person holds for the whole hub."""

    __tablename__ = "role_assignment"

    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(_PERSON, ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    given_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey(_PERSON, ondelete="SET NULL"))
    given_at: Mapped[datetime]

    __table_args__ = (CheckConstraint(state_check(Role, "role"), name="role"), Index("ix_role_assignment__role", "role", "person_id"))


class SignInSession(Base):
    """One browser's session: whose it is once signed in, and what the pages keep in it."""

    __tablename__ = "sign_in_session"

    id: Mapped[PrimaryId]
    token_digest: Mapped[str] = mapped_column(unique=True)
    person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey(_PERSON, ondelete="CASCADE"), index=True)
    data: Mapped[Json]
    device: Mapped[str]
    started_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Organisation(Base):
    """A startup, university, company, lab or hub that people belong to."""

    __tablename__ = "organisation"

    id: Mapped[PrimaryId]
    name: Mapped[str]
    kind: Mapped[str]
    opened_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(state_check(OrganisationKind, "kind"), name="kind"),
        CheckConstraint(f"name <> '' AND char_length(name) <= {rules.NAME_MOST}", name="name"),
    )


class Membership(Base):
    """A person belongs to an organisation now; who left is in the audit trail."""

    __tablename__ = "membership"

    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisation.id", ondelete="CASCADE"), primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(_PERSON, ondelete="CASCADE"), primary_key=True)
    role: Mapped[str]
    joined_at: Mapped[datetime]

    __table_args__ = (CheckConstraint(state_check(MembershipRole, "role"), name="role"), Index("ix_membership__person_id", "person_id"))


class Invitation(Base):
    """An offer of membership, sent to one address; it gives nothing until that confirmed address accepts."""

    __tablename__ = "invitation"

    id: Mapped[PrimaryId]
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisation.id", ondelete="CASCADE"))
    email: Mapped[str] = mapped_column(CITEXT)
    role: Mapped[str]
    token_digest: Mapped[str] = mapped_column(unique=True)
    invited_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey(_PERSON, ondelete="SET NULL"))
    invited_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey(_PERSON, ondelete="SET NULL"))
    withdrawn_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(state_check(MembershipRole, "role"), name="role"),
        CheckConstraint("accepted_at IS NULL OR withdrawn_at IS NULL", name="one_end"),
        Index("uq_invitation__open", "organisation_id", "email", unique=True, postgresql_where=text("accepted_at IS NULL AND withdrawn_at IS NULL")),
    )


class OidcGrant(Base):
    """What one authorisation at one client led to: its code and every token since are revoked together."""

    __tablename__ = "oidc_grant"

    id: Mapped[PrimaryId]
    client_id: Mapped[str]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(_PERSON, ondelete="CASCADE"), index=True)
    sign_in_session_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    scope: Mapped[str]
    nonce: Mapped[str | None]
    signed_in_at: Mapped[datetime]
    started_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
    revoked_because: Mapped[str | None]

    __table_args__ = (CheckConstraint("(revoked_at IS NULL) = (revoked_because IS NULL)", name="revoked"),)


class OidcCode(Base):
    """A one-time authorisation code, bound to client and redirect URI; claimed in one statement."""

    __tablename__ = "oidc_code"

    code_digest: Mapped[str] = mapped_column(primary_key=True)
    grant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("oidc_grant.id", ondelete="CASCADE"), index=True)
    redirect_uri: Mapped[str]
    code_challenge: Mapped[str]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    claimed_at: Mapped[datetime | None]


class OidcToken(Base):
    """An access or refresh token of a grant; a refresh token is used once."""

    __tablename__ = "oidc_token"

    token_digest: Mapped[str] = mapped_column(primary_key=True)
    grant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("oidc_grant.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(state_check(TokenKind, "kind"), name="kind"),
        CheckConstraint("used_at IS NULL OR kind = 'refresh'", name="used"),
    )
