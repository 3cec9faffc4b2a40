"""Limits on attempts, as a table: per account, per address, and for everybody together.

Counted in PostgreSQL before anything is checked. A store that does not answer refuses: its error is not caught.
"""

from dataclasses import dataclass
from datetime import timedelta

from flask import request

from portal.core import clock, limits
from portal.core.ids import digest
from portal.web.database import sessions

_QUARTER, _HOUR = timedelta(minutes=15), timedelta(hours=1)


@dataclass(frozen=True)
class Bounds:
    """How many attempts in one window: on one account, from one address, by everybody."""

    account: int
    address: int
    everybody: int
    window: timedelta


# A class of forty behind one address signs in within a few minutes; one account never needs ten tries in a quarter.
BOUNDS = {
    "sign_in": Bounds(account=10, address=200, everybody=6000, window=_QUARTER),
    "code": Bounds(account=10, address=200, everybody=6000, window=_QUARTER),
    "password": Bounds(account=10, address=200, everybody=6000, window=_QUARTER),
    "sign_up": Bounds(account=5, address=100, everybody=2000, window=_HOUR),
    "mail_link": Bounds(account=5, address=60, everybody=2000, window=_HOUR),
    "open_link": Bounds(account=20, address=200, everybody=6000, window=_HOUR),
    "invite": Bounds(account=50, address=500, everybody=5000, window=_HOUR),
}


def count(name: str, account: str) -> None:
    """Count one attempt on an account (an address typed in, or a person's key). Raises TooMany.

    What was typed is counted whether or not such an account exists, and kept as a digest.
    """
    bounds, now = BOUNDS[name], clock.now()
    keys = (
        (f"{name}:account:{digest(account.strip().casefold())}", bounds.account),
        (f"{name}:address:{request.remote_addr or ''}", bounds.address),
        (f"{name}:everybody", bounds.everybody),
    )
    for key, most in keys:
        limits.hit(sessions(), key, most=most, window=bounds.window, now=now)
