"""A profile's price: versions that never overlap and never change, and what a new one means for sessions that run.

Nobody pays a price that they were not told of: `tell` writes to the people of sessions which a published price will
reach, and `bring` then lets the windows that are held after its beginning cost it. Both look at what is, so that they
may run twice, at once, or late.
"""

import uuid
from datetime import datetime

from sqlalchemy import or_, select, text, update
from sqlalchemy.orm import Session, aliased

from portal.compute.models import ComputeSession, PriceVersion, Profile
from portal.compute.operations.letters import write_letters
from portal.compute.states import LIVE, SessionState
from portal.core import audit, jobs
from portal.core.access import Actor
from portal.core.errors import N_, Invalid, NotFound
from portal.core.ids import new_id
from portal.credits import relations as ledger
from portal.credits.operations import meters

MOST_AT_ONCE = 500


class PriceInThePast(Invalid):
    """A price begins now or later: what was agreed stands."""

    text = N_("A price begins now or later, and after the price before it.")
    field = "starts_at"


def set_price(db: Session, *, profile_id: uuid.UUID, rate_ucr_per_hour: int, starts_at: datetime, by: Actor, now: datetime) -> uuid.UUID:
    """Let a profile cost a rate from an instant on; the price before it ends there. The same again returns the same.

    Raises NotFound, BadRate, PriceInThePast.
    """
    meters.require_rate(rate_ucr_per_hour)
    if db.execute(select(Profile.id).where(Profile.id == profile_id).with_for_update()).first() is None:
        raise NotFound
    open_price = db.execute(select(PriceVersion).where(PriceVersion.profile_id == profile_id, PriceVersion.ends_at.is_(None))).scalar_one_or_none()
    if open_price is not None and (open_price.rate_ucr_per_hour, open_price.starts_at) == (rate_ucr_per_hour, starts_at):
        return open_price.id
    if starts_at < now or (open_price is not None and starts_at <= open_price.starts_at):
        raise PriceInThePast
    db.execute(update(PriceVersion).where(PriceVersion.profile_id == profile_id, PriceVersion.ends_at.is_(None)).values(ends_at=starts_at))
    price = PriceVersion(id=new_id(), profile_id=profile_id, rate_ucr_per_hour=rate_ucr_per_hour, starts_at=starts_at, ends_at=None)
    db.add(price)
    db.flush()
    audit.record(db, "priced", "compute_profile", profile_id, by=by, now=now, rate_ucr_per_hour=rate_ucr_per_hour, starts_at=starts_at.isoformat())
    if open_price is not None:
        jobs.enqueue(db, "compute.follow_prices", once_as="compute.follow_prices")
    return price.id


# The earliest price after the last one that a session's person knows of, where the session may still run then.
_UNTOLD = """
SELECT s.id, n.id AS price_id, n.rate_ucr_per_hour, n.starts_at, p.rate_ucr_per_hour AS before_ucr
FROM compute_session s JOIN price_version p ON p.id = coalesce(s.told_price_id, s.price_version_id)
CROSS JOIN LATERAL (
    SELECT v.id, v.rate_ucr_per_hour, v.starts_at FROM price_version v WHERE v.profile_id = s.profile_id AND v.starts_at > p.starts_at
        AND v.starts_at < coalesce(s.started_at, :now) + s.duration_s * interval '1 second'
    ORDER BY v.starts_at LIMIT 1
) n
WHERE s.state = ANY(:states) ORDER BY s.id LIMIT :most FOR UPDATE OF s SKIP LOCKED
"""


def tell(db: Session, *, now: datetime) -> bool:
    """Write to the people of sessions that a published price will reach, each once; return whether there may be more of them."""
    states = [SessionState.REQUESTED.value, SessionState.STARTING.value, SessionState.RUNNING.value]
    rows = db.execute(text(_UNTOLD), {"now": now, "states": states, "most": MOST_AT_ONCE}).all()
    for price_id in {row.price_id for row in rows}:
        told = [row.id for row in rows if row.price_id == price_id]
        db.execute(update(ComputeSession).where(ComputeSession.id.in_(told)).values(told_price_id=price_id).execution_options(synchronize_session=False))
    changed = {row.id: row for row in rows if row.rate_ucr_per_hour != row.before_ucr}
    more = {
        key: {"old_ucr": row.before_ucr, "new_ucr": row.rate_ucr_per_hour, "begins_at": max(now, row.starts_at).isoformat()} for key, row in changed.items()
    }
    write_letters(db, "compute.price_changing", list(changed), now=now, more=more)
    return bool(rows)


def bring(db: Session, *, by: Actor, now: datetime) -> int:
    """Let what sessions hold from now on cost the price in force, where their people know of it; return how many changed.

    Call it before windows are held. What is held already keeps its price.
    """
    told, meter = aliased(PriceVersion), ledger.open_meter.c
    is_in_force = (PriceVersion.starts_at <= now) & or_(PriceVersion.ends_at.is_(None), PriceVersion.ends_at > now)
    query = (
        select(ComputeSession.id, ComputeSession.generation, PriceVersion.rate_ucr_per_hour)
        .join(told, told.id == ComputeSession.told_price_id)
        .join(PriceVersion, (PriceVersion.profile_id == ComputeSession.profile_id) & is_in_force & (PriceVersion.starts_at <= told.starts_at))
        .join(ledger.open_meter, (meter.session_id == ComputeSession.id) & (meter.generation == ComputeSession.generation))
        .where(ComputeSession.state.in_(LIVE), meter.next_ucr != PriceVersion.rate_ucr_per_hour)
    )
    rates = [meters.Rate(*row) for row in db.execute(query)]
    return len(meters.reprice(db, rates, by=by, now=now)) if rates else 0
