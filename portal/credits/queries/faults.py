"""Sessions as a fault of the hub met them, and what was given for it. Who may see them is checked where sessions are."""

import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Select, case, cast, func, select
from sqlalchemy.orm import Session

from portal.credits import bulk
from portal.credits.models import LedgerEntry, LedgerTransaction, Lot, LotRevocation, MakeGood, Meter, MeterSegment
from portal.credits.rules.costs import Segment
from portal.credits.rules.faults import Struck
from portal.credits.states import FaultRule, MeterState


@dataclass(frozen=True)
class StruckSession:
    """A session's wallet, when it began, and what a fault took from it."""

    wallet_id: uuid.UUID
    started_at: datetime | None
    struck: Struck


@dataclass(frozen=True)
class MadeGood:
    """What was given to a session: by which rule, in which lot, until when."""

    rule: FaultRule
    duration_s: int
    amount_ucr: int
    lot_number: int
    expires_at: datetime
    recorded_at: datetime


def struck_sessions(db: Session, session_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, StruckSession]:
    """Return what sessions are charged for, by session; the last generation of each. Three statements, whatever their number."""
    kept_s = func.coalesce(Meter.forgiven_from_s, func.greatest(Meter.booked_s, Meter.proven_s))
    charged_s = case((Meter.state == MeterState.VOIDED.value, 0), else_=kept_s)
    query = (
        select(Meter.id, Meter.session_id, Meter.wallet_id, Meter.started_at, charged_s.label("charged_s"))
        .where(bulk.among(Meter.session_id, session_ids))
        .order_by(Meter.session_id, Meter.generation)
    )
    # Of several generations the last one is kept.
    meters = list({row.session_id: row for row in db.execute(query)}.values())
    ids = [row.id for row in meters]
    segments: defaultdict[uuid.UUID, list[Segment]] = defaultdict(list)
    for row in db.execute(select(MeterSegment).where(bulk.among(MeterSegment.meter_id, ids)).order_by(MeterSegment.meter_id, MeterSegment.segment)).scalars():
        segments[row.meter_id].append(Segment(row.segment, row.starts_s, row.rate_ucr_per_hour))
    late = {row.meter_id: row.late_ucr for row in db.execute(_released_late(ids))}
    return {row.session_id: StruckSession(row.wallet_id, row.started_at, Struck(row.charged_s, segments[row.id], late.get(row.id, 0))) for row in meters}


def _released_late(meter_ids: Collection[uuid.UUID]) -> Select[*tuple[Any, ...]]:
    """Select what closing meters gave back to lots that had ended by then; a revoked lot goes to its fund anyway."""
    booking, entry = LedgerTransaction, LedgerEntry
    return (
        select(Meter.id.label("meter_id"), cast(func.sum(entry.amount_ucr), BigInteger).label("late_ucr"))
        .join(booking, booking.meter_id == Meter.id)
        .join(entry, entry.transaction_id == booking.id)
        .join(Lot, Lot.available_account_id == entry.account_id)
        .join(LotRevocation, LotRevocation.lot_id == Lot.id, isouter=True)
        .where(bulk.among(Meter.id, meter_ids), booking.operation == "release", booking.booked_at >= Meter.closed_at)
        .where(Lot.expires_at <= booking.booked_at, LotRevocation.lot_id.is_(None))
        .group_by(Meter.id)
    )


def made_good(db: Session, session_id: uuid.UUID) -> list[MadeGood]:
    """Return what was given to a session for faults of the hub."""
    query = (
        select(MakeGood.rule, MakeGood.duration_s, MakeGood.amount_ucr, Lot.number, Lot.expires_at, MakeGood.recorded_at)
        .join(Lot, Lot.id == MakeGood.lot_id)
        .where(MakeGood.session_id == session_id)
        .order_by(MakeGood.id)
    )
    return [MadeGood(FaultRule(row.rule), *row[1:]) for row in db.execute(query)]
