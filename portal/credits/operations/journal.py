"""Bookings: transactions with idempotency keys and their entries, written in two statements however many there are."""

import hashlib
import json
import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.database import Json
from portal.core.errors import N_, Conflict
from portal.core.ids import new_id
from portal.credits import bulk
from portal.credits.models import LedgerAccount, LedgerTransaction

ASSET = "CRED"
WRITEOFF_ACCOUNT_ID = uuid.UUID("00000000-0000-7000-8000-00000000c0ff")
TRANSIT_ACCOUNT_ID = uuid.UUID("00000000-0000-7000-8000-00000000c0fc")
_KINDS_WITHOUT_BALANCE = frozenset({"usage", "breakage", "writeoff", "purchased", "transit"})

logger = logging.getLogger(__name__)


class KeyReused(Conflict):
    """The same idempotency key came with another body: a mistake or an attack, never a retry."""

    text = N_("This was already booked with other figures. Nothing was booked now.")


@dataclass(frozen=True)
class Line:
    """One side of a booking: credits come from accounts with a negative amount."""

    account_id: uuid.UUID
    amount_ucr: int


@dataclass(frozen=True)
class Booking:
    """A transaction to write. `body` is what the key stands for; lines of amount 0 are left out."""

    key: str
    operation: str
    body: Mapping[str, Any]
    lines: Sequence[Line]
    result: Json = field(default_factory=dict)
    wallet_id: uuid.UUID | None = None
    lot_id: uuid.UUID | None = None
    meter_id: uuid.UUID | None = None
    hold_id: uuid.UUID | None = None
    purchase_id: uuid.UUID | None = None
    segment: int | None = None
    from_s: int | None = None
    until_s: int | None = None


def body_digest(body: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a body in one canonical form."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


def stored_result(db: Session, key: str, body: Mapping[str, Any], *, by: Actor, now: datetime) -> Json | None:
    """Return what the key's first use returned, None when it is new. Raises KeyReused for another body."""
    query = select(LedgerTransaction.body_digest, LedgerTransaction.result).where(LedgerTransaction.key == key)
    row = db.execute(query).one_or_none()
    if row is None:
        return None
    if row.body_digest != body_digest(body):
        refuse_reuse(db, key, by=by, now=now)
    result: Json = row.result
    return result


def refuse_reuse(db: Session, key: str, *, by: Actor, now: datetime) -> None:
    """Raise KeyReused, and leave an alarm that stays when the refused work is rolled back."""
    logger.error("ledger key %s came again with another body, from %s", key, by.label)
    with Session(db.get_bind(), autoflush=True) as alarm:
        audit.record(alarm, "refused_reused_key", "ledger_transaction", key, by=by, now=now)
        alarm.commit()
    raise KeyReused


def count_of(db: Session, operation: str, condition: ColumnElement[bool]) -> int:
    """Return how many bookings of an operation there are; with the wallet locked, the next one's number is one more."""
    return db.execute(select(func.count()).select_from(LedgerTransaction).where(LedgerTransaction.operation == operation, condition)).scalar_one()


def lock_accounts(db: Session, account_ids: Iterable[uuid.UUID]) -> None:
    """Lock accounts that several wallets share, always in id order; wallets are locked before."""
    query = select(LedgerAccount.id).where(bulk.among(LedgerAccount.id, account_ids), LedgerAccount.balance_ucr.is_not(None)).order_by(LedgerAccount.id)
    db.execute(query.with_for_update(key_share=True)).all()


def post(
    db: Session,
    bookings: Sequence[Booking],
    *,
    by: Actor,
    now: datetime,
    before: Iterable[bulk.Part | None] = (),
    bounds: Mapping[uuid.UUID, int] | None = None,
) -> None:
    """Write bookings in their order, in one statement. The caller holds the locks; the database checks sums, bounds and versions.

    before: other writes of the same statement, such as the holds that the bookings refer to. bounds: by how much the
    lower bounds of accounts move with them. Raises KeyReused when a key exists: callers look for stored results first.
    """
    ids = [new_id() for _ in bookings]
    lines = [(id_, line) for id_, booking in zip(ids, bookings, strict=True) for line in booking.lines if line.amount_ucr]
    moves = _moves(lines, bounds or {})
    if not bookings:
        bulk.together(db, [*before, bulk.Part(_BOUNDS, bulk.arrays("move", _MOVE, moves)) if moves else None])
        return
    rows = [_row(id_, booking, by, now) for id_, booking in zip(ids, bookings, strict=True)]
    parameters = bulk.arrays("booking", _BOOKING, rows) | bulk.arrays("line", _LINE, _offsets(lines)) | bulk.arrays("move", _MOVE, moves)
    written = bulk.together(db, before, last=bulk.Part(_POST, parameters | {"bookings": len(bookings)}))
    if len(written) != len(bookings):
        fresh = {row.key for row in written}
        refuse_reuse(db, next(booking.key for booking in bookings if booking.key not in fresh), by=by, now=now)


_BOOKING: bulk.Types = (
    ("id", "uuid"),
    ("key", "text"),
    ("operation", "text"),
    ("body_digest", "text"),
    ("result", "jsonb"),
    ("booked_at", "timestamptz"),
    ("actor_id", "uuid"),
    ("actor_label", "text"),
    ("wallet_id", "uuid"),
    ("lot_id", "uuid"),
    ("meter_id", "uuid"),
    ("hold_id", "uuid"),
    ("purchase_id", "uuid"),
    ("segment", "bigint"),
    ("from_s", "bigint"),
    ("until_s", "bigint"),
)
_LINE: bulk.Types = (
    ("position", "bigint"),
    ("transaction_id", "uuid"),
    ("account_id", "uuid"),
    ("amount_ucr", "bigint"),
    ("place", "bigint"),
    ("sum_ucr", "bigint"),
)
_MOVE: bulk.Types = (("id", "uuid"), ("delta_ucr", "bigint"), ("lines", "bigint"), ("bound_ucr", "bigint"))
_COLUMNS = ", ".join(name for name, _ in _BOOKING)
_BOUNDS = f"""UPDATE ledger_account a SET lower_bound_ucr = a.lower_bound_ucr + given.bound_ucr FROM {bulk.given("move", _MOVE)} WHERE a.id = given.id"""  # noqa: S608

# Transactions, live balances and entries. Where a key exists already nothing moves, and the caller is told.
_POST = f"""
WITH booked AS (
    INSERT INTO ledger_transaction ({_COLUMNS}) SELECT {_COLUMNS} FROM {bulk.given("booking", _BOOKING)} ON CONFLICT DO NOTHING RETURNING key
), moved AS (
    UPDATE ledger_account a SET balance_ucr = a.balance_ucr + given.delta_ucr, version = a.version + given.lines,
        lower_bound_ucr = a.lower_bound_ucr + given.bound_ucr
    FROM {bulk.given("move", _MOVE)}
    WHERE a.id = given.id AND a.balance_ucr IS NOT NULL AND (SELECT count(*) FROM booked) = %(bookings)s
    RETURNING a.id, a.balance_ucr - given.delta_ucr AS before_ucr, a.version - given.lines AS version_before
), entered AS (
    INSERT INTO ledger_entry (transaction_id, account_id, amount_ucr, account_version, balance_after_ucr)
    SELECT given.transaction_id, given.account_id, given.amount_ucr, moved.version_before + given.place, moved.before_ucr + given.sum_ucr
    FROM {bulk.given("line", _LINE)} LEFT JOIN moved ON moved.id = given.account_id
    WHERE (SELECT count(*) FROM booked) = %(bookings)s ORDER BY given.position
)
SELECT key FROM booked
"""  # noqa: S608 -- names of columns


def _row(id_: uuid.UUID, booking: Booking, by: Actor, now: datetime) -> dict[str, Any]:
    return {
        "id": id_,
        "key": booking.key,
        "operation": booking.operation,
        "body_digest": body_digest(booking.body),
        "result": booking.result,
        "booked_at": now,
        "actor_id": by.person_id,
        "actor_label": by.label,
        "wallet_id": booking.wallet_id,
        "lot_id": booking.lot_id,
        "meter_id": booking.meter_id,
        "hold_id": booking.hold_id,
        "purchase_id": booking.purchase_id,
        "segment": booking.segment,
        "from_s": booking.from_s,
        "until_s": booking.until_s,
    }


def _offsets(lines: Sequence[tuple[uuid.UUID, Line]]) -> list[dict[str, Any]]:
    """Return the lines with their place on their account, and what the lines up to them move on it."""
    places: defaultdict[uuid.UUID, int] = defaultdict(int)
    sums: defaultdict[uuid.UUID, int] = defaultdict(int)
    rows = []
    for position, (id_, line) in enumerate(lines):
        places[line.account_id] += 1
        sums[line.account_id] += line.amount_ucr
        row = {"position": position, "transaction_id": id_, "account_id": line.account_id, "amount_ucr": line.amount_ucr}
        rows.append(row | {"place": places[line.account_id], "sum_ucr": sums[line.account_id]})
    return rows


def _moves(lines: Sequence[tuple[uuid.UUID, Line]], bounds: Mapping[uuid.UUID, int]) -> list[dict[str, Any]]:
    """Return what the lines and bounds together change on each account, in id order."""
    deltas: defaultdict[uuid.UUID, int] = defaultdict(int)
    counts: defaultdict[uuid.UUID, int] = defaultdict(int)
    for _, line in lines:
        deltas[line.account_id] += line.amount_ucr
        counts[line.account_id] += 1
    moved = sorted(set(deltas) | {account_id for account_id, bound_ucr in bounds.items() if bound_ucr})
    return [{"id": id_, "delta_ucr": deltas[id_], "lines": counts[id_], "bound_ucr": bounds.get(id_, 0)} for id_ in moved]


def open_account(db: Session, name: str, kind: str, *, lower_bound_ucr: int | None = None, upper_bound_ucr: int | None = None) -> uuid.UUID:
    """Make an account and return its id."""
    return open_accounts(db, [(name, kind, lower_bound_ucr, upper_bound_ucr)])[0]


def open_accounts(db: Session, accounts: Sequence[tuple[str, str, int | None, int | None]]) -> list[uuid.UUID]:
    """Make accounts, each (name, kind, lower bound, upper bound), in one statement; return their ids."""
    rows: list[dict[str, Any]] = []
    for name, kind, lower, upper in accounts:
        live = None if kind in _KINDS_WITHOUT_BALANCE else 0
        row = {"id": new_id(), "name": name, "kind": kind, "asset": ASSET, "balance_ucr": live, "version": live}
        rows.append(row | {"lower_bound_ucr": lower, "upper_bound_ucr": upper})
    bulk.insert_rows(db, LedgerAccount, rows)
    return [row["id"] for row in rows]


def usage_account(db: Session, charge_class: str) -> uuid.UUID:
    """Return the account where credits of a class go, made at its first use."""
    name = f"usage:{charge_class}"
    known = select(LedgerAccount.id).where(LedgerAccount.name == name)
    found = db.execute(known).scalar_one_or_none()
    if found is not None:
        return found
    db.execute(upsert(LedgerAccount).values(id=new_id(), name=name, kind="usage", asset=ASSET).on_conflict_do_nothing(index_elements=["name"]))
    return db.execute(known).scalar_one()
