"""What people want to hear about wallets: chosen by themselves, for wallets that they may read."""

import uuid
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Invalid
from portal.credits.models import CreditDigest, CreditWatch
from portal.credits.queries import wallet_by_ref
from portal.credits.rules.thresholds import MOST_DAYS, MOST_IDLE_DAYS, Watch

_RANGES = {"days_left": MOST_DAYS, "lot_days": MOST_DAYS, "used_percent": 100, "idle_days": MOST_IDLE_DAYS}


class BadThreshold(Invalid):
    """A number out of its range."""

    text = N_("Enter a whole number from 1 to %(most)s.")


def choose(db: Session, *, wallet_id: uuid.UUID, watch: Watch, by: Actor, now: datetime) -> None:
    """Keep the warnings that the actor wants for a wallet. Raises NotFound, BadThreshold."""
    wallet_by_ref(db, str(wallet_id), actor=by)
    for field, most in _RANGES.items():
        value = getattr(watch, field)
        if value is not None and not 1 <= value <= most:
            raise BadThreshold(field=field, most=most)
    values = {**asdict(watch), "lot_over_ucr": (watch.lot_over_ucr or 0) if watch.lot_days is not None else None, "set_at": now}
    row = insert(CreditWatch).values(person_id=by.id, wallet_id=wallet_id, **values)
    db.execute(row.on_conflict_do_update(index_elements=["person_id", "wallet_id"], set_=values))
    audit.record(db, "chose", "credit_warnings", wallet_id, by=by, now=now, **{name: value for name, value in asdict(watch).items() if value is not None})


def forget(db: Session, *, wallet_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Go back to the usual warnings of the actor's part in the project. Raises NotFound."""
    wallet_by_ref(db, str(wallet_id), actor=by)
    db.execute(delete(CreditWatch).where(CreditWatch.person_id == by.id, CreditWatch.wallet_id == wallet_id))
    audit.record(db, "reset", "credit_warnings", wallet_id, by=by, now=now)


def switch(db: Session, *, is_off: bool, by: Actor, now: datetime) -> None:
    """Switch the actor's daily mail off or on again; the warnings that were chosen stay."""
    row = insert(CreditDigest).values(person_id=by.id, last_on=None, is_off=is_off)
    db.execute(row.on_conflict_do_update(index_elements=["person_id"], set_={"is_off": is_off}))
    audit.record(db, "switched_off" if is_off else "switched_on", "credit_digest", by.id, by=by, now=now)
