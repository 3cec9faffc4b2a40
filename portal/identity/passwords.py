"""Argon2id, with the parameters that Flask-Security checks and renews; usable without the web."""

from argon2 import PasswordHasher

from portal.identity.rules import normal_password

# OWASP's second choice: 19 MiB, two passes; about 25 ms. A hash with other parameters is renewed at sign-in.
TIME_COST = 2
MEMORY_COST_KIB = 19 * 1024
PARALLELISM = 1

_hasher = PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_COST_KIB, parallelism=PARALLELISM)


def hash_of(password: str) -> str:
    """Return the Argon2id hash of a password."""
    return _hasher.hash(normal_password(password))
