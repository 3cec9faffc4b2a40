"""Invariants 8 and 9: the journal is sealed and cannot change; closed months add up and stay closed."""

from portal.credits.operations.days import SUMS
from portal.credits.operations.seal import DIGEST, FIRST, LEAF
from portal.credits.verify.check import Check

_GUARDED = {
    "ledger_transaction": "ledger_transaction_never_changed",
    "ledger_entry": "ledger_entry_never_changed",
    "ledger_block": "ledger_block_never_changed",
    "ledger_seal": "ledger_seal_never_changed",
    "ledger_month": "ledger_month_never_changed",
    "wallet_month": "wallet_month_never_changed",
    "cash_transaction": "cash_transaction_never_changed",
    "cash_entry": "cash_entry_never_changed",
    "observation": "observation_append_only",
    "payment_event": "payment_event_kept",
    "document": "document_never_changed",
}
_VALUES = ", ".join(f"('{table}', '{trigger}')" for table, trigger in _GUARDED.items())

CHECKS = [
    Check(
        8,
        "its rows could be changed: the portal's role has a privilege that only the tables' owner has",
        "pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
        f"""
        SELECT 'table ' || g.name FROM (VALUES {_VALUES}) g(name, trigger) JOIN pg_class c ON c.oid = CAST(g.name AS regclass)
        JOIN pg_roles r ON r.rolname = current_user
        WHERE c.relowner <> r.oid AND NOT r.rolsuper AND (
            has_table_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE') OR has_table_privilege(c.oid, 'TRUNCATE')
        ) ORDER BY 1 LIMIT 1
        """,  # noqa: S608 -- constants of this module
    ),
    Check(
        8,
        "its rows could be changed: the trigger that refuses it is gone or switched off",
        "pg_trigger WHERE tgname LIKE '%never_changed' OR tgname LIKE '%append_only' OR tgname LIKE '%_kept'",
        f"""
        SELECT 'table ' || g.name FROM (VALUES {_VALUES}) g(name, trigger)
        WHERE NOT EXISTS (
            SELECT 1 FROM pg_trigger p JOIN pg_class c ON c.oid = p.tgrelid WHERE p.tgname = g.trigger AND c.relname = g.name AND p.tgenabled = 'O'
        ) ORDER BY 1 LIMIT 1
        """,  # noqa: S608 -- constants of this module
    ),
    Check(
        8,
        "its digest is not that of its transactions, or it does not follow the block before it",
        "ledger_block",
        f"""
        SELECT 'block ' || b.number FROM ledger_block b LEFT JOIN ledger_block p ON p.number = b.number - 1 LEFT JOIN LATERAL (
            SELECT string_agg({LEAF}, '' ORDER BY s.position) AS all_of_them, count(*) AS transactions
            FROM ledger_seal s JOIN ledger_transaction t ON t.id = s.transaction_id WHERE s.block = b.number
        ) l ON true
        WHERE b.previous_digest <> coalesce(p.digest, '{FIRST}') OR (p.number IS NULL AND b.number <> 1) OR l.transactions <> b.transactions
            OR b.digest <> {DIGEST.format(previous="b.previous_digest", number="b.number", leaves="l.all_of_them")}
        ORDER BY b.number LIMIT 1
        """,  # noqa: S608 -- constants of this module
    ),
    Check(
        8,
        "it was booked more than an hour ago and is not sealed",
        "ledger_seal",
        """
        SELECT 'transaction ' || t.key FROM ledger_transaction t LEFT JOIN ledger_seal s ON s.transaction_id = t.id
        WHERE s.transaction_id IS NULL AND t.booked_at < CAST(:now AS timestamptz) - interval '1 hour' AND EXISTS (SELECT 1 FROM ledger_block)
        ORDER BY t.id LIMIT 1
        """,
    ),
    Check(
        9,
        "its opening is not the closing of the month before, or its closing not the opening and what was booked",
        "wallet_month",
        """
        SELECT 'wallet ' || w.wallet_id || ' in ' || to_char(w.month, 'YYYY-MM') FROM (
            SELECT w.*, coalesce(lag(w.closing_ucr) OVER (PARTITION BY w.wallet_id ORDER BY w.month), 0) AS before_ucr,
                (SELECT p.ends_at FROM ledger_month p WHERE p.month < w.month ORDER BY p.month DESC LIMIT 1) AS starts_at, m.ends_at
            FROM wallet_month w JOIN ledger_month m ON m.month = w.month
        ) w LEFT JOIN LATERAL (
            SELECT sum(e.amount_ucr) AS change FROM lot l
            JOIN ledger_entry e ON e.account_id IN (l.available_account_id, l.held_account_id, l.frozen_account_id)
            JOIN ledger_transaction t ON t.id = e.transaction_id
            WHERE l.wallet_id = w.wallet_id AND t.booked_at < w.ends_at AND (w.starts_at IS NULL OR t.booked_at >= w.starts_at)
        ) c ON true
        WHERE w.opening_ucr <> w.before_ucr OR w.closing_ucr <> w.opening_ucr + coalesce(c.change, 0) ORDER BY w.month, w.wallet_id LIMIT 1
        """,
    ),
    Check(
        9,
        "its sums are not those of its wallets, or a month is missing before it",
        "ledger_month",
        """
        SELECT 'month ' || to_char(m.month, 'YYYY-MM') FROM (
            SELECT m.*, lag(m.month) OVER (ORDER BY m.month) AS before FROM ledger_month m
        ) m LEFT JOIN (
            SELECT month, count(*) AS wallets, sum(opening_ucr) AS opening, sum(closing_ucr) AS closing FROM wallet_month GROUP BY 1
        ) w ON w.month = m.month
        WHERE (m.wallets, m.opening_ucr, m.closing_ucr) IS DISTINCT FROM (coalesce(w.wallets, 0), coalesce(w.opening, 0), coalesce(w.closing, 0))
            OR (m.before IS NOT NULL AND m.before <> m.month - interval '1 month')
        ORDER BY m.month LIMIT 1
        """,
    ),
    Check(
        10,
        "its sum of a day is not what the journal says",
        "lot_day",
        f"""
        SELECT 'lot ' || coalesce(d.lot_id, j.lot_id) || ' on ' || coalesce(d.day, j.day) FROM lot_day d FULL JOIN (
            SELECT day.day, sums.* FROM summed_day day CROSS JOIN LATERAL (
                {
            SUMS.replace(":starts_at", "(CAST(day.day AS timestamp) AT TIME ZONE 'Africa/Casablanca')").replace(
                ":ends_at", "(CAST(day.day + 1 AS timestamp) AT TIME ZONE 'Africa/Casablanca')"
            )
        }
            ) sums
        ) j ON j.lot_id = d.lot_id AND j.day = d.day
        WHERE (d.came_ucr, d.used_ucr, d.total_ucr) IS DISTINCT FROM (j.came_ucr, j.used_ucr, j.total_ucr) ORDER BY 1 LIMIT 1
        """,  # noqa: S608 -- constants of this module
    ),
]
