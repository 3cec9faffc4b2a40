"""Meters: from the authorisation of a compute session to the last second booked.

    authorise → start → record_proven, roll_due each minute → settle, or void when nothing was used

Evidence may come in any order, twice, or after the end: proven seconds only grow, and what is booked follows them.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, update
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid, NotFound
from portal.core.ids import new_id
from portal.core.quantities import decimal_credits, short_credits
from portal.credits import bulk
from portal.credits.models import MAX_RATE_UCR_PER_HOUR, Meter
from portal.credits.operations import corrections, journal, rolling, wallets, work
from portal.credits.operations.batch import Batch, window_room_ucr
from portal.credits.rules.costs import MAX_PROVEN_S, Segment
from portal.credits.rules.windows import RENEW_BEFORE, plan_chain
from portal.credits.states import MeterState

Rolled = rolling.Rolled
roll_due = rolling.roll_due

METERING = Actor.process("metering")
_CLASS = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class NoCredit(Conflict):
    """The wallet has too little free for the first window."""

    text = N_("This needs %(needed)s credits for its first minutes, and %(free)s are free for this kind of machine.")

    def __init__(self, *, needed_ucr: int, free_ucr: int) -> None:
        super().__init__(needed=short_credits(needed_ucr), free=short_credits(free_ucr))
        self.needed_ucr = needed_ucr
        self.free_ucr = free_ucr


class WalletBlocked(Conflict):
    """A purchase was refunded or disputed after its credits were spent."""

    text = N_("This wallet owes %(owed)s credits of a purchase that was refunded or disputed. Nothing new starts until they are back.")


class BadRate(Invalid):
    """No session is free, and no price is beyond what the ledger can hold."""

    text = N_("The price of this machine is not set.")


@dataclass(frozen=True)
class Window:
    """What was authorised: hold_id is the first window's, ends_at the last one's, amount_ucr all of them."""

    hold_id: uuid.UUID
    starts_at: datetime
    ends_at: datetime
    amount_ucr: int


@dataclass(frozen=True)
class Proven:
    """Evidence of one session: it started then, and ran for at least these whole seconds."""

    session_id: uuid.UUID
    generation: int
    started_at: datetime
    proven_s: int
    last_seen_at: datetime


@dataclass(frozen=True)
class Rate:
    """What a session costs an hour, from its next window on."""

    session_id: uuid.UUID
    generation: int
    rate_ucr_per_hour: int


def require_rate(rate_ucr_per_hour: int) -> None:
    """Refuse a price that the ledger cannot take. Raises BadRate."""
    if not 0 < rate_ucr_per_hour <= MAX_RATE_UCR_PER_HOUR:
        raise BadRate


def authorise(
    db: Session,
    *,
    session_id: uuid.UUID,
    generation: int,
    wallet_id: uuid.UUID,
    charge_class: str,
    rate_ucr_per_hour: int,
    label: str,
    by: Actor,
    now: datetime,
    limit_s: int | None = None,
) -> Window:
    """Hold the first window of a session, more where lots end within minutes; the same again returns the same.

    limit_s: how long the session may last. Raises NoCredit, WalletBlocked, NotFound, BadRate, KeyReused.
    """
    require_rate(rate_ucr_per_hour)
    if not _CLASS.fullmatch(charge_class):
        raise BadRate
    wallet = wallets.lock_one(db, wallet_id)
    digest = journal.body_digest({"wallet": wallet_id, "class": charge_class, "rate": rate_ucr_per_hour, "label": label, "limit_s": limit_s})
    stored, usage_account_id = _stored_window(db, session_id, generation, charge_class, digest, by=by, now=now)
    if stored is not None:
        return stored
    meter = work.MeterWork(
        id=new_id(),
        session_id=session_id,
        generation=generation,
        wallet_id=wallet_id,
        charge_class=charge_class,
        usage_account_id=usage_account_id or journal.usage_account(db, charge_class),
        debt_account_id=wallet.debt_usage_account_id,
        state=MeterState.OPEN,
        limit_s=limit_s,
        next_rate_ucr_per_hour=None,
        started_at=None,
        proven_s=0,
        windows_end_at=now,
        debt_room_ucr=window_room_ucr(rate_ucr_per_hour),
        segments=[Segment(0, 0, rate_ucr_per_hour)],
        lots=work.lots_of(db, {wallet_id})[wallet_id],
    )
    _refuse_blocked(db, wallet)
    chain = plan_chain(meter.payers(), rate_ucr_per_hour, now, until=now + RENEW_BEFORE, most_s=limit_s)
    if chain.is_short:
        raise NoCredit(needed_ucr=chain.needed_ucr, free_ucr=chain.free_ucr)
    batch = Batch(now=now)
    batch.begin(meter, _meter_row(meter, label, digest, now))
    holds = [batch.place(meter, window) for window in chain.windows]
    batch.write(db, by=by)
    return Window(holds[0].id, holds[0].starts_at, holds[-1].ends_at, sum(hold.amount_ucr for hold in holds))


def _refuse_blocked(db: Session, wallet: wallets.LockedWallet) -> None:
    owed = bulk.run(db, "SELECT -balance_ucr AS owed_ucr FROM ledger_account WHERE id = %(id)s::uuid", {"id": str(wallet.debt_clawback_account_id)})
    if owed[0].owed_ucr > 0:
        raise WalletBlocked(owed=short_credits(owed[0].owed_ucr))


_STORED = """
SELECT u.id AS usage_id, m.body_digest, h.id, h.starts_at, h.ends_at, h.amount_ucr
FROM (SELECT 1) one LEFT JOIN ledger_account u ON u.name = %(usage)s::text
LEFT JOIN (meter m JOIN hold h ON h.meter_id = m.id AND h.placed_at = m.authorised_at)
    ON m.session_id = %(session)s::uuid AND m.generation = %(generation)s::bigint
ORDER BY h.window_number
"""


def _stored_window(
    db: Session, session_id: uuid.UUID, generation: int, charge_class: str, digest: str, *, by: Actor, now: datetime
) -> tuple[Window | None, uuid.UUID | None]:
    """Return what the first call authorised, and the account that use goes to, where there are any. Raises KeyReused."""
    rows = bulk.run(db, _STORED, {"session": str(session_id), "generation": generation, "usage": f"usage:{charge_class}"})
    if rows[0].body_digest is None:
        return None, rows[0].usage_id
    if rows[0].body_digest != digest:
        journal.refuse_reuse(db, f"hold:{session_id}:{generation}:1", by=by, now=now)
    return Window(rows[0].id, rows[0].starts_at, rows[-1].ends_at, sum(row.amount_ucr for row in rows)), rows[0].usage_id


def _meter_row(meter: work.MeterWork, label: str, digest: str, now: datetime) -> dict[str, object]:
    row = {"session_id": meter.session_id, "generation": meter.generation, "wallet_id": meter.wallet_id, "charge_class": meter.charge_class}
    terms = {"usage_account_id": meter.usage_account_id, "label": label, "authorised_at": now, "body_digest": digest, "limit_s": meter.limit_s}
    return row | terms


def start(db: Session, *, session_id: uuid.UUID, generation: int, started_at: datetime, now: datetime) -> None:
    """Note when the process really started; the first word on it counts."""
    record_proven(db, [Proven(session_id, generation, started_at, 0, started_at)], now=now)


_EVIDENCE: bulk.Types = (
    ("session_id", "uuid"),
    ("generation", "bigint"),
    ("started_at", "timestamptz"),
    ("proven_s", "bigint"),
    ("last_seen_at", "timestamptz"),
)
# In id order, as `roll_due` locks them: two workers never wait for each other.
_LOCK_PROVEN = f"""
SELECT m.id FROM meter m JOIN {bulk.given("e", _EVIDENCE)} ON m.session_id = given.session_id AND m.generation = given.generation
ORDER BY m.id FOR NO KEY UPDATE OF m
"""  # noqa: S608 -- names of columns
_PROVEN = f"""
UPDATE meter m SET started_at = coalesce(m.started_at, greatest(g.started_at, m.authorised_at)), proven_s = g.now_s,
    last_seen_at = greatest(m.last_seen_at, g.last_seen_at), recorded_at = CASE WHEN g.now_s > m.proven_s THEN %(now)s::timestamptz ELSE m.recorded_at END,
    due_at = CASE WHEN m.state = 'open' AND m.started_at IS NULL THEN m.windows_end_at - %(renew)s::interval
        WHEN m.state <> 'open' AND g.now_s > m.proven_s THEN %(now)s::timestamptz ELSE m.due_at END
FROM (
    SELECT o.id, given.started_at, given.last_seen_at, greatest(o.proven_s, least(given.proven_s,
        floor(extract(epoch FROM %(now)s::timestamptz - o.authorised_at))::bigint, {MAX_PROVEN_S})) AS now_s
    FROM {bulk.given("e", _EVIDENCE)} JOIN meter o ON o.session_id = given.session_id AND o.generation = given.generation
) g
WHERE m.id = g.id RETURNING m.id, m.started_at, m.proven_s
"""  # noqa: S608 -- names of columns


def record_proven(db: Session, rows: Sequence[Proven], *, now: datetime) -> None:
    """Note evidence of many sessions in two statements. Older or repeated evidence changes nothing.

    Nothing starts before it was authorised, and nothing ran longer than the time since then. Evidence of a closed
    session makes it due: `roll_due` books what is missing.
    """
    if rows:
        evidence = bulk.arrays("e", _EVIDENCE, list(_merged(rows).values()))
        bulk.run(db, _LOCK_PROVEN, evidence)
        _note_proven(db, evidence, now)


def _note_proven(db: Session, evidence: Mapping[str, str], now: datetime) -> Sequence[Row[Any]]:
    """Note evidence of meters that are locked, and return what is proven now."""
    return bulk.run(db, _PROVEN, {**evidence, "now": now.isoformat(), "renew": f"{RENEW_BEFORE.total_seconds():.0f} seconds"})


def _merged(rows: Sequence[Proven]) -> Mapping[tuple[uuid.UUID, int], dict[str, object]]:
    """Return one row for each session: one UPDATE takes one row only."""
    best: dict[tuple[uuid.UUID, int], Proven] = {}
    for row in rows:
        old = best.get((row.session_id, row.generation), row)
        started_at, last_seen_at = min(old.started_at, row.started_at), max(old.last_seen_at, row.last_seen_at)
        best[row.session_id, row.generation] = Proven(row.session_id, row.generation, started_at, max(old.proven_s, row.proven_s), last_seen_at)
    return {key: vars(row) for key, row in best.items()}


def settle(db: Session, *, session_id: uuid.UUID, generation: int, proven_s: int, ended_at: datetime, now: datetime, by: Actor = METERING) -> None:
    """Book all that is proven, give the rest back, and close; again, or with less, changes nothing. Raises NotFound."""
    meter = work.locked(db, session_id, generation)
    age_s = max(meter.proven_s, min(proven_s, MAX_PROVEN_S))
    batch = Batch(now=now)
    if age_s > meter.proven_s:
        _take_evidence(db, meter, age_s, ended_at, now)
    if meter.state == MeterState.OPEN:
        meter.ended_at = ended_at
    rolling.close_books(batch, meter)
    batch.write(db, by=by)
    corrections.keep(db, [meter], by=by, now=now)


def _take_evidence(db: Session, meter: work.MeterWork, proven_s: int, ended_at: datetime, now: datetime) -> None:
    """Take a settlement's last evidence through the same door as all other evidence."""
    started_at = meter.started_at or ended_at - timedelta(seconds=proven_s)
    evidence = bulk.arrays("e", _EVIDENCE, [vars(Proven(meter.session_id, meter.generation, started_at, proven_s, ended_at))])
    noted = _note_proven(db, evidence, now)[0]
    meter.started_at, meter.proven_s = noted.started_at, noted.proven_s


def void(db: Session, *, session_id: uuid.UUID, generation: int, reason: str, now: datetime, by: Actor = METERING) -> None:
    """Give everything back: nothing was used. Evidence of use wins: such a meter is settled instead. Raises NotFound."""
    meter = work.locked(db, session_id, generation)
    if meter.state != MeterState.OPEN:
        return
    batch = Batch(now=now)
    meter.void_reason = reason
    rolling.close_books(batch, meter)
    batch.write(db, by=by)


_RATES: bulk.Types = (("session_id", "uuid"), ("generation", "bigint"), ("rate_ucr_per_hour", "bigint"))
_LOCK_RATES = f"""
SELECT m.id FROM meter m JOIN {bulk.given("r", _RATES)} ON m.session_id = given.session_id AND m.generation = given.generation
WHERE m.state = 'open' ORDER BY m.id FOR NO KEY UPDATE OF m
"""  # noqa: S608 -- names of columns
# A price that is the present one again takes a change back that has not begun.
_REPRICE = f"""
UPDATE meter m SET next_rate_ucr_per_hour = nullif(g.rate_ucr_per_hour, g.last_ucr)
FROM (
    SELECT o.id, given.rate_ucr_per_hour,
        (SELECT s.rate_ucr_per_hour FROM meter_segment s WHERE s.meter_id = o.id ORDER BY s.segment DESC LIMIT 1) AS last_ucr
    FROM {bulk.given("r", _RATES)} JOIN meter o ON o.session_id = given.session_id AND o.generation = given.generation
) g
WHERE m.id = g.id AND m.state = 'open' AND coalesce(m.next_rate_ucr_per_hour, g.last_ucr) <> g.rate_ucr_per_hour
RETURNING m.session_id, m.generation, g.rate_ucr_per_hour
"""  # noqa: S608 -- names of columns


def reprice(db: Session, rates: Sequence[Rate], *, by: Actor, now: datetime) -> list[uuid.UUID]:
    """Set the price of the windows to come of many sessions, in three statements; return the sessions whose price changed.

    Windows that are held keep theirs. The same again changes nothing, nor do meters that are closed. Raises BadRate.
    """
    for rate in rates:
        require_rate(rate.rate_ucr_per_hour)
    given = bulk.arrays("r", _RATES, [vars(rate) for rate in rates])
    bulk.run(db, _LOCK_RATES, given)
    changed = bulk.run(db, _REPRICE, given)
    for row in changed:
        details = {"generation": row.generation, "rate": decimal_credits(row.rate_ucr_per_hour)}
        audit.record(db, "repriced", "compute_session", row.session_id, by=by, now=now, **details)
    return [row.session_id for row in changed]


def change_limit(db: Session, *, session_id: uuid.UUID, generation: int, limit_s: int, now: datetime) -> None:
    """Set how long a session may last from its start: the extend button. Raises NotFound."""
    del now
    meter = work.locked(db, session_id, generation)
    meter.limit_s = limit_s
    due_at = meter.next_due_at()
    if due_at is None:
        raise NotFound
    db.execute(update(Meter).values(limit_s=limit_s, due_at=due_at).where(Meter.id == meter.id))
