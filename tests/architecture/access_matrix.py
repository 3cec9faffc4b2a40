"""The words of the permission matrix. Each domain's `tests/<domain>/access_matrix.py` has `ROWS`, one per endpoint.

    ROWS = {
        "compute.session": Row("signed_in", relation="members of the session's project; staff", object="session"),
        "credits.funds": Row("permission", permission=Permission.SEE_FUNDS),
    }
    OBJECTS = {"session": make_session}     # (db, owner: person id, now) -> url arguments of a thing that owner owns

`object` names a maker in the domain's OBJECTS: the walk then proves that its owner gets in by GET (below 400) and
that another signed-in person without roles gets 404, and sends every POST of a stranger expecting 404 too.
Rows without an object are walked with made-up arguments: strangers to the role get 403, visitors the sign-in page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

ObjectMaker = Callable[[Session, UUID, datetime], Mapping[str, Any]]


@dataclass(frozen=True)
class Row:
    """Who may call one endpoint."""

    kind: str
    permission: StrEnum | None = None
    relation: str = ""
    object: str | None = None
    # Methods whose answer for the owner is not below 400 without form data (a POST that needs fields is walked for strangers alone).
    owner_gets: bool = True
