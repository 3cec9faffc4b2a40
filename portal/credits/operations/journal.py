"""Bookings: transactions with idempotency keys and their entries, written in two statements however many there are."""

import hashlib
import json
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, case, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session
from sqlalchemy.types import UUID

from portal.core import audit
from portal.core.access import Actor
from portal.core.database import Json
from portal.core.errors import N_, Conflict
from portal.core.ids import new_id
from portal.credits import bulk
from portal.credits.models import LedgerAccount, LedgerEntry, LedgerTransaction

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


def post(db: Session, bookings: Sequence[Booking], *, by: Actor, now: datetime) -> None:
    """Write bookings in their order. The caller holds the locks; the database checks sums, bounds and versions.

    Raises KeyReused when a key exists: callers look for stored results under the lock first.
    """
    if not bookings:
        return
    ids = [new_id() for _ in bookings]
    rows = [
        {
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
        for id_, booking in zip(ids, bookings, strict=True)
    ]
    table = LedgerTransaction.__table__
    given = bulk.as_rows({key: table.c[key].type for key in rows[0]}, rows)
    fresh = upsert(LedgerTransaction).from_select(list(rows[0]), given.select()).on_conflict_do_nothing().returning(LedgerTransaction.key)
    written = set(db.execute(fresh).scalars())
    reused = [booking.key for booking in bookings if booking.key not in written]
    if reused:
        refuse_reuse(db, reused[0], by=by, now=now)
    lines = [(id_, line) for id_, booking in zip(ids, bookings, strict=True) for line in booking.lines if line.amount_ucr]
    _write_entries(db, lines)


def _write_entries(db: Session, lines: Sequence[tuple[uuid.UUID, Line]]) -> None:
    """Move the live balances and write the entries with version and running balance, in one statement."""
    rows = [
        {"position": position, "transaction_id": id_, "account_id": line.account_id, "amount_ucr": line.amount_ucr}
        for position, (id_, line) in enumerate(lines)
    ]
    types = {"position": BigInteger(), "transaction_id": UUID(), "account_id": UUID(), "amount_ucr": BigInteger()}
    line = bulk.as_rows(types, rows).select().cte("line")
    moves = select(line.c.account_id, func.sum(line.c.amount_ucr).label("delta"), func.count().label("lines")).group_by(line.c.account_id).cte("moves")
    account = LedgerAccount
    moved = (
        update(account)
        .values(balance_ucr=account.balance_ucr + moves.c.delta, version=account.version + moves.c.lines)
        .where(account.id == moves.c.account_id, account.balance_ucr.is_not(None))
        .returning(account.id, (account.balance_ucr - moves.c.delta).label("balance_before"), (account.version - moves.c.lines).label("version_before"))
        .cte("moved")
    )
    db.execute(insert(LedgerEntry).from_select(["transaction_id", "account_id", "amount_ucr", "account_version", "balance_after_ucr"], _entries(line, moved)))


def _entries(line: Any, moved: Any) -> Select[Any]:
    running = {"partition_by": line.c.account_id, "order_by": line.c.position, "rows": (None, 0)}
    version = moved.c.version_before + func.row_number().over(partition_by=line.c.account_id, order_by=line.c.position)
    balance = moved.c.balance_before + func.sum(line.c.amount_ucr).over(**running)
    has_balance = moved.c.id.is_not(None)
    query = select(line.c.transaction_id, line.c.account_id, line.c.amount_ucr, case((has_balance, version)), case((has_balance, balance)))
    return query.join_from(line, moved, moved.c.id == line.c.account_id, isouter=True).order_by(line.c.position)


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
