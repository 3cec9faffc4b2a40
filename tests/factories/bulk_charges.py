"""Thousands of charges at once: one settled session, made by the real operations, is copied in a few statements.

Copies follow each other, `apart` from each other, on the same lot, with versions and running balances as the operations would
have written them; `portal ledger verify` finds nothing wrong with them.
"""

import uuid
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

_NEW = "CAST(md5(CAST({0} AS text) || ':' || k) AS uuid)"
_SHIFT = "k * CAST(:apart AS interval)"
# Columns that are not copied as they are, by table.
_CHANGED = {
    "meter": {"id": _NEW.format("t.id"), "session_id": _NEW.format("t.session_id")},
    "meter_segment": {"meter_id": _NEW.format("t.meter_id")},
    "hold": {"id": _NEW.format("t.id"), "meter_id": _NEW.format("t.meter_id")},
    "hold_share": {"hold_id": _NEW.format("t.hold_id")},
    "ledger_transaction": {
        "id": _NEW.format("t.id"),
        "key": "replace(replace(t.key, CAST(:session AS text), CAST(" + _NEW.format("CAST(:session AS uuid)") + " AS text)), "
        "coalesce(CAST(t.hold_id AS text), '-'), coalesce(CAST(" + _NEW.format("t.hold_id") + " AS text), '-'))",
        "meter_id": _NEW.format("t.meter_id"),
        "hold_id": "CASE WHEN t.hold_id IS NOT NULL THEN " + _NEW.format("t.hold_id") + " END",
    },
}
_OF = {
    "meter": "id = :meter",
    "meter_segment": "meter_id = :meter",
    "hold": "meter_id = :meter",
    "hold_share": "hold_id IN (SELECT id FROM hold WHERE meter_id = :meter)",
    "ledger_transaction": "meter_id = :meter",
}


def copy(db: Session, session_id: uuid.UUID, count: int, *, apart: timedelta = timedelta(milliseconds=1)) -> None:
    """Copy a settled session of one lot `count` times; the lot must have enough, and nothing else may follow the session."""
    meter_id = db.execute(text("SELECT id FROM meter WHERE session_id = :id"), {"id": session_id}).scalar_one()
    terms = {"meter": meter_id, "session": session_id, "count": count, "apart": apart}
    for table, condition in _OF.items():
        db.execute(text(_copied(db, table, condition)), terms)
    moves = db.execute(
        text(
            "SELECT e.account_id, count(*) AS lines, sum(e.amount_ucr) AS total FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id"
            " WHERE t.meter_id = :meter AND e.account_version IS NOT NULL GROUP BY 1"
        ),
        terms,
    ).all()
    for move in moves:
        changes = {"lines": move.lines * count, "total": int(move.total) * count, "id": move.account_id}
        db.execute(text("UPDATE ledger_account SET version = version + :lines, balance_ucr = balance_ucr + :total WHERE id = :id"), changes)
    db.execute(text(_ENTRIES), terms)
    # As the database does by itself after a while: without figures it plans as if the tables were small.
    tables = "ledger_account, ledger_transaction, ledger_entry, lot, meter, meter_segment, hold, hold_share"
    db.execute(text(f"SET LOCAL ROLE NONE; ANALYZE {tables}; RESET ROLE"))


# A copy's version and balance: the template's, moved on by what the copies before it did to the account.
_ENTRIES = f"""
INSERT INTO ledger_entry (transaction_id, account_id, amount_ucr, account_version, balance_after_ucr)
SELECT {_NEW.format("t.id")}, e.account_id, e.amount_ucr, e.account_version + k * m.lines, e.balance_after_ucr + k * m.total
FROM generate_series(1, :count) k CROSS JOIN ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
JOIN (
    SELECT e.account_id, count(*) AS lines, CAST(sum(e.amount_ucr) AS bigint) AS total
    FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id WHERE t.meter_id = :meter GROUP BY 1
) m ON m.account_id = e.account_id
WHERE t.meter_id = :meter ORDER BY k, e.id
"""


def _copied(db: Session, table: str, condition: str) -> str:
    columns = db.execute(
        text("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = :t ORDER BY ordinal_position"), {"t": table}
    ).all()
    values = [_CHANGED[table].get(name) or (f"t.{name} + {_SHIFT}" if kind.startswith("timestamp") else f"t.{name}") for name, kind in columns]
    names = ", ".join(name for name, _ in columns)
    return f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM {table} t CROSS JOIN generate_series(1, :count) k WHERE {condition}"
