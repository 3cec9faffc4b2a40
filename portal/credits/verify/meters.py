"""Invariants 7 and 10: what sessions are charged."""

from portal.credits.verify.check import Check

# What the first `seconds` of a meter cost: each segment rounded down once. Counted in numeric, apart from the code that books.
COST = """(
    SELECT sum(div(greatest(least({seconds}, coalesce(n.starts_s, {seconds})) - g.starts_s, 0)::numeric * g.rate_ucr_per_hour, 3600))::bigint
    FROM meter_segment g LEFT JOIN meter_segment n ON n.meter_id = g.meter_id AND n.segment = g.segment + 1 WHERE g.meter_id = m.id
)"""

CHECKS = [
    Check(
        7,
        "what is booked is not the price of its proven seconds",
        "meter",
        f"""
        SELECT 'session ' || m.session_id FROM meter m
        WHERE m.booked_ucr <> {COST.format(seconds="m.booked_s")}
            OR (m.state <> 'open' AND m.due_at IS NULL AND m.booked_ucr <> {COST.format(seconds="m.proven_s")})
        ORDER BY m.id LIMIT 1
        """,  # noqa: S608 -- constants of this module
    ),
    Check(
        7,
        "what was given back is not the price of the seconds forgiven, or not what the journal says",
        "meter",
        f"""
        SELECT 'session ' || m.session_id FROM meter m LEFT JOIN (
            SELECT t.meter_id, -sum(e.amount_ucr) AS corrected FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
            JOIN ledger_account a ON a.id = e.account_id WHERE t.operation = 'correction' AND a.kind = 'usage' GROUP BY 1
        ) j ON j.meter_id = m.id
        WHERE m.corrected_ucr <> coalesce(j.corrected, 0)
            OR (m.forgiven_from_s IS NOT NULL AND m.due_at IS NULL AND m.corrected_ucr <> m.booked_ucr - {COST.format(seconds="m.forgiven_from_s")})
        ORDER BY m.id LIMIT 1
        """,  # noqa: S608 -- constants of this module
    ),
    Check(
        7,
        "more seconds are proven than it existed",
        "meter",
        """
        SELECT 'session ' || m.session_id FROM meter m
        WHERE m.proven_s > 0 AND (m.recorded_at IS NULL OR m.proven_s > extract(epoch FROM m.recorded_at - m.authorised_at)) ORDER BY m.id LIMIT 1
        """,
    ),
    Check(
        7,
        "a second is booked twice, or left out",
        "ledger_transaction",
        """
        SELECT 'transaction ' || c.key FROM (
            SELECT id, key, from_s, lag(until_s, 1, 0) OVER (PARTITION BY meter_id ORDER BY until_s, id) AS previous_until_s
            FROM ledger_transaction WHERE operation = 'capture'
        ) c WHERE c.from_s IS DISTINCT FROM c.previous_until_s ORDER BY c.id LIMIT 1
        """,
    ),
    Check(
        10,
        "its figures are not what the journal says",
        "meter",
        """
        SELECT 'session ' || m.session_id FROM meter m LEFT JOIN (
            SELECT t.meter_id, count(DISTINCT t.id) FILTER (WHERE t.operation = 'capture') AS captures, max(t.until_s) AS booked_s,
                sum(e.amount_ucr) FILTER (WHERE a.kind = 'usage' AND a.id = o.usage_account_id) AS used,
                -sum(e.amount_ucr) FILTER (WHERE a.kind = 'debt_usage') AS debt, -sum(e.amount_ucr) FILTER (WHERE a.kind = 'writeoff') AS written_off
            FROM ledger_transaction t JOIN meter o ON o.id = t.meter_id
            JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id
            WHERE t.operation IN ('capture', 'hold', 'release') GROUP BY 1
        ) j ON j.meter_id = m.id LEFT JOIN (
            SELECT meter_id, count(*) AS windows, max(window_number) AS highest, max(ends_at) FILTER (WHERE NOT is_late) AS ends_at FROM hold GROUP BY 1
        ) w ON w.meter_id = m.id
        WHERE (m.capture_count, m.booked_s, m.booked_ucr, m.debt_ucr, m.written_off_ucr)
                IS DISTINCT FROM (coalesce(j.captures, 0), coalesce(j.booked_s, 0), coalesce(j.used, 0), coalesce(j.debt, 0), coalesce(j.written_off, 0))
            OR m.window_count IS DISTINCT FROM w.windows OR m.window_count IS DISTINCT FROM w.highest OR m.windows_end_at IS DISTINCT FROM w.ends_at
        ORDER BY m.id LIMIT 1
        """,
    ),
    Check(
        10,
        "what one of finance wrote off, and another approved, is not what the journal says",
        "adjustment",
        """
        SELECT 'adjustment ' || a.number FROM adjustment a LEFT JOIN (
            SELECT t.key, sum(e.amount_ucr) AS amount_ucr FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
            JOIN ledger_account c ON c.id = e.account_id AND c.kind = 'debt_usage' WHERE t.operation = 'write_off' GROUP BY 1
        ) j ON j.key = 'writeoff:' || a.id
        WHERE a.kind = 'write_off' AND coalesce(j.amount_ucr, 0) <> CASE WHEN a.state = 'booked' THEN a.amount_ucr ELSE 0 END ORDER BY a.id LIMIT 1
        """,
    ),
    Check(
        10,
        "more was given back of a session than the journal says",
        "adjustment",
        """
        SELECT 'adjustment ' || max(a.number) FROM adjustment a JOIN meter m ON m.id = a.meter_id
        WHERE a.state = 'booked' GROUP BY m.id, m.corrected_ucr HAVING sum(a.amount_ucr) > m.corrected_ucr ORDER BY m.id LIMIT 1
        """,
    ),
]
