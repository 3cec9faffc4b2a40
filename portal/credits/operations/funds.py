"""Funds: a sponsor's budget, from which grants come."""

import re
import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid
from portal.core.ids import new_id
from portal.core.quantities import decimal_credits
from portal.credits.models import Fund
from portal.credits.operations import journal

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
MAX_BUDGET_UCR = 10**18


class SlugTaken(Conflict):
    """Another fund has the short name."""

    text = N_("Another fund already has this short name.")
    field = "slug"


class BadSlug(Invalid):
    """The short name has other letters than it may."""

    text = N_("Use 2 to 63 small letters a to z, digits and hyphens.")
    field = "slug"


class BadBudget(Invalid):
    """The budget is not a positive amount that the ledger can hold."""

    text = N_("Enter a budget above zero.")
    field = "budget"


def open(db: Session, *, slug: str, name: str, sponsor: str, budget_ucr: int, by: Actor, now: datetime) -> uuid.UUID:  # noqa: A001 -- funds.open reads as what it does
    """Open a fund and return its id. Raises SlugTaken, BadSlug, BadBudget."""
    if not _SLUG.fullmatch(slug):
        raise BadSlug
    if not 0 < budget_ucr <= MAX_BUDGET_UCR:
        raise BadBudget
    if db.execute(select(Fund.id).where(Fund.slug == slug)).first() is not None:
        raise SlugTaken
    accounts = [(f"issuance:{slug}", "issuance", -budget_ucr, 0), (f"breakage:{slug}", "breakage", None, None)]
    issuance_id, breakage_id = journal.open_accounts(db, accounts)
    fund_id = new_id()
    row = insert(Fund).values(id=fund_id, slug=slug, name=name, sponsor=sponsor, budget_ucr=budget_ucr, opened_at=now)
    db.execute(row.values(issuance_account_id=issuance_id, breakage_account_id=breakage_id))
    audit.record(db, "opened", "fund", fund_id, by=by, now=now, slug=slug, budget=decimal_credits(budget_ucr))
    return fund_id
