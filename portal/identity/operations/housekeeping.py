"""Deleting what time has ended."""

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from portal.identity.models import OidcGrant
from portal.identity.operations import sign_ins

# Grants stay a day longer than they hold, so that a code or token brought again is known as such.
KEPT_FOR = timedelta(days=1)


def forget_expired(db: Session, *, now: datetime) -> None:
    """Delete ended sessions, and grants with their codes and tokens."""
    sign_ins.forget(db, now=now)
    db.execute(delete(OidcGrant).where(OidcGrant.expires_at < now - KEPT_FOR))
