"""The hash chain over the journal: each block's digest covers the block before it and every transaction in it.

Sealing runs in the background, so that no booking waits for another's digest. A transaction is sealed once, in the
first block after it was committed; `verify` says if one stays unsealed for an hour, or if a sealed one has changed.
"""

from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from portal.credits.models import LedgerBlock

FIRST = "0" * 64
MOST = 20_000
SETTLED = timedelta(seconds=5)
LOOK_BACK = timedelta(hours=2)
_LOCK = 7_326_001

# The whole of a transaction and its entries, in one form that no setting of a session changes.
LEAF = """
encode(sha256(convert_to(json_build_array(t.id, t.key, t.operation, t.body_digest, t.result::text,
    (extract(epoch FROM t.booked_at) * 1000000)::bigint, t.actor_id, t.actor_label, t.wallet_id, t.lot_id, t.meter_id, t.hold_id, t.purchase_id,
    t.segment, t.from_s, t.until_s, (SELECT json_agg(json_build_array(e.id, e.account_id, e.amount_ucr, e.account_version, e.balance_after_ucr)
        ORDER BY e.id) FROM ledger_entry e WHERE e.transaction_id = t.id))::text, 'UTF8')), 'hex')
"""
DIGEST = "encode(sha256(convert_to({previous} || ':' || {number} || ':' || {leaves}, 'UTF8')), 'hex')"

_SEAL = f"""
WITH fresh AS (
    SELECT t.id, row_number() OVER (ORDER BY t.id) AS position FROM (
        SELECT t.id FROM ledger_transaction t
        WHERE t.booked_at < :settled AND (:everything OR t.booked_at > :since)
            AND NOT EXISTS (SELECT 1 FROM ledger_seal s WHERE s.transaction_id = t.id)
        ORDER BY t.id LIMIT :most
    ) t
), leaves AS (
    SELECT string_agg({LEAF}, '' ORDER BY f.position) AS all_of_them, count(*) AS transactions FROM fresh f JOIN ledger_transaction t ON t.id = f.id
), block AS (
    INSERT INTO ledger_block (number, previous_digest, digest, transactions, sealed_at)
    SELECT :number, :previous, {DIGEST.format(previous="CAST(:previous AS text)", number="CAST(:number AS text)", leaves="all_of_them")}, transactions, :now
    FROM leaves WHERE transactions > 0 RETURNING number
)
INSERT INTO ledger_seal (transaction_id, block, position) SELECT f.id, b.number, f.position FROM fresh f CROSS JOIN block b
"""  # noqa: S608 -- constants of this module


def seal_due(db: Session, *, now: datetime, everything: bool = False) -> int:
    """Seal what is committed and not sealed yet in one more block, and return how many transactions that were.

    everything: look at the whole journal, not only at the last hours; once a day, for what was committed very late.
    """
    db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    last = db.execute(select(LedgerBlock.number, LedgerBlock.digest, LedgerBlock.sealed_at).order_by(LedgerBlock.number.desc()).limit(1)).one_or_none()
    number, previous = (last.number + 1, last.digest) if last is not None else (1, FIRST)
    # After hours away it looks back to where it stopped.
    since = min(now, last.sealed_at) - LOOK_BACK if last is not None else now
    instants = {"settled": now - SETTLED, "since": since, "now": now}
    done = db.execute(text(_SEAL), {"number": number, "previous": previous, "most": MOST, "everything": everything or last is None, **instants})
    return int(done.rowcount)  # type: ignore[attr-defined]  # CursorResult
