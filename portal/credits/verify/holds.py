"""Invariants 4 and 10: holds, their shares, and the journal that says the same."""

from portal.credits.verify.check import Check

CHECKS = [
    Check(
        4,
        "its shares do not add up to it, or its parts to what was authorised",
        "hold",
        """
        SELECT 'hold ' || h.id FROM hold h LEFT JOIN (
            SELECT hold_id, sum(amount_ucr) AS amount, sum(captured_ucr) AS captured, sum(released_ucr) AS released,
                count(*) AS shares, max(position) AS highest FROM hold_share GROUP BY 1
        ) s ON s.hold_id = h.id
        WHERE (h.amount_ucr, h.captured_ucr, h.released_ucr) IS DISTINCT FROM (s.amount, s.captured, s.released) OR s.highest + 1 <> s.shares
            OR (h.state = 'closed') <> (h.captured_ucr + h.released_ucr = h.amount_ucr)
        ORDER BY h.id LIMIT 1
        """,
    ),
    Check(
        4,
        "it overlaps the window before it, or leaves a gap to it",
        "hold",
        """
        SELECT 'hold ' || w.id FROM (
            SELECT id, starts_at, lag(ends_at) OVER (PARTITION BY meter_id ORDER BY window_number) AS previous_ends_at FROM hold WHERE NOT is_late
        ) w WHERE w.previous_ends_at <> w.starts_at ORDER BY w.id LIMIT 1
        """,
    ),
    Check(
        4,
        "it is open although its session is closed",
        "hold",
        """
        SELECT 'hold ' || h.id FROM hold h JOIN meter m ON m.id = h.meter_id WHERE h.state = 'open' AND m.state <> 'open' ORDER BY h.id LIMIT 1
        """,
    ),
    Check(
        4,
        "it never started, and its hold outlived its window by more than fifteen minutes",
        "meter",
        """
        SELECT 'session ' || m.session_id FROM meter m
        WHERE m.state = 'open' AND m.started_at IS NULL AND m.windows_end_at < :now - interval '15 minutes' ORDER BY m.id LIMIT 1
        """,
    ),
    Check(
        10,
        "its share is not what the journal says",
        "hold_share",
        """
        SELECT 'hold ' || coalesce(j.hold_id, s.hold_id) || ' from lot ' || coalesce(j.lot_id, s.lot_id) FROM (
            SELECT t.hold_id, l.id AS lot_id,
                coalesce(sum(e.amount_ucr) FILTER (WHERE t.operation = 'hold' AND e.account_id = l.held_account_id), 0)
                    - coalesce(sum(e.amount_ucr) FILTER (WHERE t.operation = 'capture' AND e.account_id = l.available_account_id), 0) AS amount,
                -coalesce(sum(e.amount_ucr) FILTER (WHERE t.operation = 'capture'), 0) AS captured,
                coalesce(sum(e.amount_ucr) FILTER (WHERE t.operation = 'release' AND e.account_id = l.available_account_id), 0) AS released
            FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
            JOIN lot l ON e.account_id IN (l.available_account_id, l.held_account_id) WHERE t.hold_id IS NOT NULL GROUP BY 1, 2
        ) j FULL JOIN hold_share s ON s.hold_id = j.hold_id AND s.lot_id = j.lot_id
        WHERE (s.amount_ucr, s.captured_ucr, s.released_ucr) IS DISTINCT FROM (j.amount, j.captured, j.released)
        ORDER BY 1 LIMIT 1
        """,
    ),
]
