"""Invariants 3 and 5: what lots gave, and in which order."""

from portal.credits.verify.check import Check

# The order of spending, as `rules.lots.burn_order`: the row constructor compares place by place.
BURN_ORDER = "({lot}.priority, {lot}.expires_at, coalesce(cardinality({lot}.classes), 1073741824), {lot}.is_bought, {lot}.granted_at, {lot}.id)"

CHECKS = [
    Check(
        3,
        "what came in is not what it has, held, frozen and gave away together",
        "lot",
        """
        SELECT 'lot ' || l.id FROM lot l
        JOIN ledger_account v ON v.id = l.available_account_id JOIN ledger_account h ON h.id = l.held_account_id
        JOIN ledger_account f ON f.id = l.frozen_account_id
        LEFT JOIN (
            SELECT o.lot_id, sum(e.amount_ucr) FILTER (WHERE t.operation IN ('grant', 'purchase') OR (t.operation = 'transfer' AND e.amount_ucr > 0)) AS issued,
                sum(e.amount_ucr) FILTER (
                    WHERE t.operation NOT IN ('grant', 'purchase', 'hold', 'release') AND NOT (t.operation = 'transfer' AND e.amount_ucr > 0)) AS moved,
                sum(e.amount_ucr) FILTER (WHERE t.operation IN ('hold', 'release', 'freeze')) AS inside,
                sum(e.amount_ucr) FILTER (WHERE t.operation = 'capture') AS captured
            FROM (
                SELECT id AS lot_id, unnest(ARRAY[available_account_id, held_account_id, frozen_account_id]) AS account_id FROM lot
            ) o JOIN ledger_entry e ON e.account_id = o.account_id JOIN ledger_transaction t ON t.id = e.transaction_id GROUP BY 1
        ) j ON j.lot_id = l.id
        LEFT JOIN (
            SELECT lot_id, sum(captured_ucr) AS captured, sum(amount_ucr - captured_ucr - released_ucr) AS open FROM hold_share GROUP BY 1
        ) s ON s.lot_id = l.id
        WHERE l.issued_ucr <> coalesce(j.issued, 0) OR coalesce(j.inside, 0) <> 0
            OR v.balance_ucr + h.balance_ucr + f.balance_ucr <> l.issued_ucr + coalesce(j.moved, 0)
            OR coalesce(s.captured, 0) <> -coalesce(j.captured, 0) OR h.balance_ucr <> coalesce(s.open, 0)
        ORDER BY l.id LIMIT 1
        """,
    ),
    Check(
        3,
        "it supplements a grant of another wallet, fund or purpose",
        "lot",
        """
        SELECT 'lot ' || l.id FROM lot l JOIN lot f ON f.id = l.supplements_lot_id
        WHERE (l.wallet_id, l.fund_id, l.purpose) IS DISTINCT FROM (f.wallet_id, f.fund_id, f.purpose) ORDER BY l.id LIMIT 1
        """,
    ),
    Check(
        3,
        "its lot is of another wallet or amount, or no lot of a make-good",
        "make_good",
        """
        SELECT 'make-good ' || g.number FROM make_good g JOIN lot l ON l.id = g.lot_id
        WHERE (l.wallet_id, l.issued_ucr, l.origin) IS DISTINCT FROM (g.wallet_id, g.amount_ucr, 'make_good') ORDER BY g.id LIMIT 1
        """,
    ),
    Check(
        3,
        "it is a make-good for nothing",
        "lot",
        """
        SELECT 'lot ' || l.id FROM lot l LEFT JOIN make_good g ON g.lot_id = l.id WHERE l.origin = 'make_good' AND g.id IS NULL ORDER BY l.id LIMIT 1
        """,
    ),
    Check(
        5,
        "its lot was not valid for its time, not meant for its class, or of another wallet",
        "hold_share",
        """
        SELECT 'hold ' || h.id || ' from lot ' || l.id FROM hold_share s
        JOIN hold h ON h.id = s.hold_id JOIN lot l ON l.id = s.lot_id JOIN meter m ON m.id = h.meter_id
        WHERE l.wallet_id <> h.wallet_id OR m.wallet_id <> h.wallet_id OR h.starts_at < l.effective_at OR h.ends_at > l.expires_at
            OR (l.classes IS NOT NULL AND NOT m.charge_class = ANY (l.classes))
        ORDER BY h.id LIMIT 1
        """,
    ),
    Check(
        5,
        "it was held from a lot that was revoked before",
        "hold_share",
        """
        SELECT 'hold ' || h.id || ' from lot ' || s.lot_id FROM hold_share s
        JOIN hold h ON h.id = s.hold_id JOIN lot_revocation r ON r.lot_id = s.lot_id
        WHERE h.placed_at > r.revoked_at ORDER BY h.id LIMIT 1
        """,
    ),
    Check(
        5,
        "its shares are not in the order of spending",
        "hold_share",
        f"""
        SELECT 'hold ' || s.hold_id FROM hold_share s JOIN hold_share n ON n.hold_id = s.hold_id AND n.position = s.position + 1
        JOIN lot a ON a.id = s.lot_id JOIN lot b ON b.id = n.lot_id
        WHERE {BURN_ORDER.format(lot="a")} >= {BURN_ORDER.format(lot="b")} ORDER BY s.hold_id LIMIT 1
        """,  # noqa: S608 -- constants of this module
    ),
    Check(
        5,
        "it skipped a lot that comes earlier and had credits left",
        "hold",
        f"""
        SELECT 'hold ' || h.id || ' skipped lot ' || e.id FROM hold h
        JOIN meter m ON m.id = h.meter_id
        JOIN LATERAL (SELECT lot_id FROM hold_share WHERE hold_id = h.id ORDER BY position DESC LIMIT 1) last ON true
        JOIN lot b ON b.id = last.lot_id
        JOIN LATERAL (
            SELECT max(le.id) AS entry_id FROM ledger_transaction t JOIN ledger_entry le ON le.transaction_id = t.id
            WHERE t.hold_id = h.id AND t.operation = CASE WHEN h.is_late THEN 'capture' ELSE 'hold' END
        ) j ON true
        JOIN lot e ON e.wallet_id = h.wallet_id AND {BURN_ORDER.format(lot="e")} < {BURN_ORDER.format(lot="b")}
            AND e.effective_at <= h.starts_at AND e.expires_at > h.starts_at AND (e.classes IS NULL OR m.charge_class = ANY (e.classes))
            AND NOT EXISTS (SELECT 1 FROM lot_revocation r WHERE r.lot_id = e.id AND r.revoked_at <= h.placed_at)
        JOIN LATERAL (
            SELECT le.balance_after_ucr FROM ledger_entry le WHERE le.account_id = e.available_account_id AND le.id <= j.entry_id ORDER BY le.id DESC LIMIT 1
        ) left_then ON left_then.balance_after_ucr > 0
        ORDER BY h.id LIMIT 1
        """,  # noqa: S608 -- constants of this module
    ),
]
