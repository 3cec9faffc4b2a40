"""Publishing price lists."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid
from portal.core.ids import new_id
from portal.credits.states import Currency
from portal.payments.models import PriceList, PriceStep
from portal.payments.rules.prices import Step, is_fair


class BadSteps(Invalid):
    """Steps begin at the least quantity, and prices fall with it."""

    text = N_("Check the steps: they begin at 10 credits, and prices fall with the quantity.")


class NotLater(Conflict):
    """A list begins after every other one, and not in the past."""

    text = N_("A new price list begins in the future, after every list before it.")
    field = "starts_on"


def publish(db: Session, *, starts_at: datetime, steps: Mapping[Currency, Sequence[Step]], by: Actor, now: datetime) -> uuid.UUID:
    """Publish a price list that holds from an instant on; it is never changed. Raises BadSteps, NotLater."""
    if set(steps) != set(Currency) or not all(is_fair(rows) for rows in steps.values()):
        raise BadSteps
    latest: datetime | None = db.execute(select(func.max(PriceList.starts_at))).scalar_one()
    # The first list of all may begin at once.
    if latest is not None and starts_at <= max(latest, now):
        raise NotLater
    list_id = new_id()
    db.execute(insert(PriceList).values(id=list_id, starts_at=starts_at, published_at=now, published_by_id=by.person_id))
    rows = [
        {"price_list_id": list_id, "currency": currency.value, "from_credits": step.from_credits, "unit_minor": step.unit_minor}
        for currency, own in steps.items()
        for step in own
    ]
    db.execute(insert(PriceStep), rows)
    audit.record(db, "published", "price_list", list_id, by=by, now=now, starts_at=starts_at.isoformat())
    return list_id
