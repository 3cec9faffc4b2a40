"""Sign-in sessions: rows behind the opaque cookie. A session ends for good when its row is gone."""

import uuid
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from portal.core.database import Json
from portal.core.ids import digest, new_id, new_secret
from portal.identity import rules
from portal.identity.models import Person, SignInSession
from portal.identity.operations import oidc_grants

DEVICE_MOST = 300


def begin(db: Session, *, data: Json, device: str, person_id: uuid.UUID | None, now: datetime) -> str:
    """Open a session and return the secret of its cookie, known to nobody else from now on."""
    secret = new_secret()
    row = SignInSession(
        id=new_id(),
        token_digest=digest(secret),
        person_id=person_id,
        data=data,
        device=device[:DEVICE_MOST],
        started_at=now,
        last_seen_at=now,
        expires_at=now + rules.SESSION_ABSOLUTE,
    )
    db.add(row)
    db.flush()
    return secret


def data_for(db: Session, person_id: uuid.UUID, *, now: datetime) -> Json:
    """Return what a session of this person carries, as Flask-Security writes it at sign-in."""
    uniquifier = db.execute(select(Person.fs_uniquifier).where(Person.id == person_id)).scalar_one()
    return {"_user_id": uniquifier, "_fresh": True, "fs_paa": now.timestamp()}


def rotate(db: Session, *, session_id: uuid.UUID, data: Json, person_id: uuid.UUID | None, now: datetime) -> str | None:
    """Give a session a new secret: the old cookie is dead. None when the session ended meanwhile."""
    secret = new_secret()
    changed = (
        update(SignInSession)
        .where(SignInSession.id == session_id)
        .values(token_digest=digest(secret), data=data, person_id=person_id, last_seen_at=now, expires_at=now + rules.SESSION_ABSOLUTE)
    )
    return secret if db.execute(changed.returning(SignInSession.id)).first() is not None else None


def keep(db: Session, *, session_id: uuid.UUID, data: Json, now: datetime) -> None:
    """Store what the pages keep in a session; one that ended meanwhile stays ended."""
    db.execute(update(SignInSession).where(SignInSession.id == session_id).values(data=data, last_seen_at=now))


def touch(db: Session, *, session_id: uuid.UUID, now: datetime) -> None:
    """Note that a session was used."""
    stale = SignInSession.last_seen_at < now - rules.SESSION_TOUCH
    db.execute(update(SignInSession).where(SignInSession.id == session_id, stale).values(last_seen_at=now))


def end(db: Session, *, session_id: uuid.UUID, now: datetime) -> None:
    """End one session, and what other sites were told on its strength."""
    db.execute(delete(SignInSession).where(SignInSession.id == session_id))
    oidc_grants.revoke_of_session(db, session_id=session_id, because="signed out", now=now)


def end_own(db: Session, *, session_id: uuid.UUID, person_id: uuid.UUID, now: datetime) -> bool:
    """End one of a person's own sessions; return whether it was theirs."""
    own = delete(SignInSession).where(SignInSession.id == session_id, SignInSession.person_id == person_id)
    if db.execute(own.returning(SignInSession.id)).first() is None:
        return False
    oidc_grants.revoke_of_session(db, session_id=session_id, because="signed out", now=now)
    return True


def end_all(db: Session, *, person_id: uuid.UUID, except_id: uuid.UUID | None = None) -> None:
    """End every session of a person, save one."""
    gone = delete(SignInSession).where(SignInSession.person_id == person_id)
    if except_id is not None:
        gone = gone.where(SignInSession.id != except_id)
    db.execute(gone)


def forget(db: Session, *, now: datetime) -> None:
    """Delete sessions that are past their idle or absolute time."""
    db.execute(delete(SignInSession).where((SignInSession.expires_at <= now) | (SignInSession.last_seen_at <= now - rules.SESSION_IDLE)))
