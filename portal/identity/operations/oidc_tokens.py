"""Codes and tokens of the OpenID Connect provider: each stored as a digest, codes and refresh tokens used once."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from portal.core.ids import digest, new_id, new_secret
from portal.identity import rules
from portal.identity.models import OidcCode, OidcGrant, OidcToken, Person
from portal.identity.operations import oidc_grants
from portal.identity.states import TokenKind

# Two requests of the hub may renew at the same moment; a refresh token that comes back later was stolen or lost.
REUSE_LEEWAY = timedelta(seconds=10)


@dataclass(frozen=True)
class HeldGrant:
    """A grant that holds, as a code or token proved it."""

    id: uuid.UUID
    client_id: str
    person_id: uuid.UUID
    scope: str
    nonce: str | None
    signed_in_at: datetime


@dataclass(frozen=True)
class ClaimedCode:
    """A code at its one use."""

    grant: HeldGrant
    redirect_uri: str
    code_challenge: str


_GRANT = (OidcGrant.id, OidcGrant.client_id, OidcGrant.person_id, OidcGrant.scope, OidcGrant.nonce, OidcGrant.signed_in_at)


def give_code(
    db: Session,
    *,
    client_id: str,
    person_id: uuid.UUID,
    session_id: uuid.UUID | None,
    redirect_uri: str,
    scope: str,
    nonce: str | None,
    code_challenge: str,
    signed_in_at: datetime,
    now: datetime,
) -> str:
    """Grant a client what it asked for and return the code that proves it once, for a minute."""
    grant = OidcGrant(
        id=new_id(),
        client_id=client_id,
        person_id=person_id,
        sign_in_session_id=session_id,
        scope=scope,
        nonce=nonce,
        signed_in_at=signed_in_at,
        started_at=now,
        expires_at=now + rules.GRANT_LIFE,
    )
    db.add(grant)
    db.flush()
    code = new_secret()
    row = OidcCode(
        code_digest=digest(code),
        grant_id=grant.id,
        redirect_uri=redirect_uri,
        code_challenge=code_challenge,
        issued_at=now,
        expires_at=now + rules.CODE_LIFE,
    )
    db.add(row)
    db.flush()
    return code


def claim_code(db: Session, code: str, *, client_id: str, now: datetime) -> ClaimedCode | None:
    """Use a client's code up and return it; None when it is unknown, another client's, too old or used.

    One statement decides, so of requests that bring a code at once one gets it. A code that is brought again
    revokes what came of it. The caller commits at once: a code is used up whatever becomes of the request.
    """
    claimed = (
        update(OidcCode)
        .where(
            OidcCode.code_digest == digest(code),
            OidcCode.claimed_at.is_(None),
            OidcCode.expires_at > now,
            OidcGrant.id == OidcCode.grant_id,
            OidcGrant.client_id == client_id,
            OidcGrant.revoked_at.is_(None),
        )
        .values(claimed_at=now)
        .returning(*_GRANT, OidcCode.redirect_uri, OidcCode.code_challenge)
    )
    row = db.execute(claimed).one_or_none()
    if row is None:
        _revoke_reused_code(db, code, client_id, now)
        return None
    return ClaimedCode(HeldGrant(*row[:6]), row.redirect_uri, row.code_challenge)


def _revoke_reused_code(db: Session, code: str, client_id: str, now: datetime) -> None:
    query = (
        select(OidcCode.grant_id)
        .join(OidcGrant, OidcGrant.id == OidcCode.grant_id)
        .where(OidcCode.code_digest == digest(code), OidcCode.claimed_at.is_not(None), OidcGrant.client_id == client_id)
    )
    grant_id = db.execute(query).scalar_one_or_none()
    if grant_id is not None:
        oidc_grants.revoke(db, grant_id=grant_id, because="code used twice", now=now)


def give_tokens(db: Session, *, grant_id: uuid.UUID, access_token: str, refresh_token: str, now: datetime) -> None:
    """Keep a pair of tokens of a grant, as digests."""
    for kind, token, life in (
        (TokenKind.ACCESS, access_token, rules.ACCESS_TOKEN_LIFE),
        (TokenKind.REFRESH, refresh_token, rules.REFRESH_TOKEN_LIFE),
    ):
        db.add(OidcToken(token_digest=digest(token), grant_id=grant_id, kind=kind.value, issued_at=now, expires_at=now + life))
    db.flush()


def claim_refresh_token(db: Session, token: str, *, client_id: str, now: datetime) -> HeldGrant | None:
    """Use a client's refresh token up and return its grant; None when it holds no more.

    A token that comes back after the leeway revokes the whole grant: one of the two who hold it is not the client.
    The caller commits at once, as for codes.
    """
    is_this = (OidcToken.token_digest == digest(token), OidcToken.kind == TokenKind.REFRESH.value, OidcGrant.id == OidcToken.grant_id)
    holds = (OidcGrant.client_id == client_id, OidcGrant.revoked_at.is_(None), OidcGrant.expires_at > now, OidcToken.expires_at > now)
    is_usable = OidcToken.used_at.is_(None) | (OidcToken.used_at > now - REUSE_LEEWAY)
    used = update(OidcToken).where(*is_this, *holds, is_usable).values(used_at=func.coalesce(OidcToken.used_at, now)).returning(*_GRANT)
    row = db.execute(used).one_or_none()
    if row is not None:
        return HeldGrant(*row)
    reused = select(OidcGrant.id).where(*is_this, OidcGrant.client_id == client_id, OidcToken.used_at.is_not(None))
    grant_id = db.execute(reused).scalar_one_or_none()
    if grant_id is not None:
        oidc_grants.revoke(db, grant_id=grant_id, because="refresh token used twice", now=now)
    return None


def grant_of_access_token(db: Session, token: str, *, now: datetime) -> HeldGrant | None:
    """Return the grant behind an access token that holds, of a person who may sign in."""
    query = (
        select(*_GRANT)
        .join_from(OidcToken, OidcGrant, OidcGrant.id == OidcToken.grant_id)
        .join(Person, Person.id == OidcGrant.person_id)
        .where(
            OidcToken.token_digest == digest(token),
            OidcToken.kind == TokenKind.ACCESS.value,
            OidcToken.expires_at > now,
            OidcGrant.revoked_at.is_(None),
            OidcGrant.expires_at > now,
            Person.is_active,
        )
    )
    row = db.execute(query).one_or_none()
    return HeldGrant(*row) if row is not None else None
