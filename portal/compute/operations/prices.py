"""A profile's price: versions that never overlap and never change."""

import uuid
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal.compute.models import PriceVersion, Profile
from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Invalid
from portal.core.ids import new_id


class PriceInThePast(Invalid):
    """A price begins now or later: what was agreed stands."""

    text = N_("A price begins now or later, and after the price before it.")
    field = "starts_at"


def set_price(db: Session, *, profile_id: uuid.UUID, rate_ucr_per_hour: int, starts_at: datetime, by: Actor, now: datetime) -> uuid.UUID:
    """Let a profile cost a rate from an instant on; the price before it ends there. Raises PriceInThePast."""
    db.execute(select(Profile.id).where(Profile.id == profile_id).with_for_update())
    open_price = db.execute(select(PriceVersion).where(PriceVersion.profile_id == profile_id, PriceVersion.ends_at.is_(None))).scalar_one_or_none()
    if starts_at < now or (open_price is not None and starts_at <= open_price.starts_at):
        raise PriceInThePast
    db.execute(update(PriceVersion).where(PriceVersion.profile_id == profile_id, PriceVersion.ends_at.is_(None)).values(ends_at=starts_at))
    price = PriceVersion(id=new_id(), profile_id=profile_id, rate_ucr_per_hour=rate_ucr_per_hour, starts_at=starts_at, ends_at=None)
    db.add(price)
    db.flush()
    audit.record(db, "priced", "compute_profile", profile_id, by=by, now=now, rate_ucr_per_hour=rate_ucr_per_hour, starts_at=starts_at.isoformat())
    return price.id
