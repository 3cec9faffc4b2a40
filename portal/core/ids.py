"""Ids and secrets: rows are named by UUIDv7 (time-ordered, made here, not by the database)."""

import hashlib
import secrets
import uuid

import uuid_utils


def new_id() -> uuid.UUID:
    """Return a UUIDv7: ids made later sort later, so keys make good page marks."""
    return uuid.UUID(bytes=uuid_utils.uuid7().bytes)


def new_secret() -> str:
    """Return 32 random bytes as base64url: tickets, invitation links, once-tokens."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """Return the SHA-256 of a secret as 64 hexadecimal digits: what is stored in its place."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same_secret(left: str, right: str) -> bool:
    """Return whether two secrets are equal, in time that does not depend on where they differ."""
    return secrets.compare_digest(left.encode(), right.encode())
