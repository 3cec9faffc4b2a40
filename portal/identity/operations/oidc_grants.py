"""Grants of the OpenID Connect provider: one authorisation, its code, and every token that came of it."""

import uuid
from datetime import datetime

from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Session

from portal.identity.models import OidcGrant


def revoke(db: Session, *, grant_id: uuid.UUID, because: str, now: datetime) -> None:
    """Revoke a grant: its code and all its tokens are refused from now on."""
    _revoke(db, OidcGrant.id == grant_id, because, now)


def revoke_of_session(db: Session, *, session_id: uuid.UUID, because: str, now: datetime) -> None:
    """Revoke what was granted on the strength of one sign-in session."""
    _revoke(db, OidcGrant.sign_in_session_id == session_id, because, now)


def revoke_all(db: Session, *, person_id: uuid.UUID, because: str, now: datetime, except_session_id: uuid.UUID | None = None) -> None:
    """Revoke what was granted to a person, save on the strength of one session."""
    which = OidcGrant.person_id == person_id
    if except_session_id is not None:
        which = which & OidcGrant.sign_in_session_id.is_distinct_from(except_session_id)
    _revoke(db, which, because, now)


def _revoke(db: Session, which: ColumnElement[bool], because: str, now: datetime) -> None:
    db.execute(update(OidcGrant).where(which, OidcGrant.revoked_at.is_(None)).values(revoked_at=now, revoked_because=because))
