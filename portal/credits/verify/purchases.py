"""Invariants 1 and 6: bought credits and the money that they were bought with."""

from portal.credits.verify.check import Check

CHECKS = [
    Check(
        1,
        "does not sum to zero, or has fewer than two entries",
        "cash_transaction",
        """
        SELECT 'cash transaction ' || t.key FROM cash_transaction t LEFT JOIN (
            SELECT transaction_id, sum(amount_minor) AS total, count(*) AS lines FROM cash_entry GROUP BY 1
        ) e ON e.transaction_id = t.id
        WHERE e.transaction_id IS NULL OR e.total <> 0 OR e.lines < 2 ORDER BY t.id LIMIT 1
        """,
    ),
    Check(
        6,
        "its credits were not issued exactly once, or more came back than was issued",
        "lot",
        """
        SELECT 'purchase ' || l.purchase_id FROM lot l LEFT JOIN (
            SELECT t.purchase_id, count(DISTINCT t.id) FILTER (WHERE t.operation = 'purchase') AS times,
                -coalesce(sum(e.amount_ucr) FILTER (WHERE t.operation = 'purchase'), 0) AS issued,
                coalesce(sum(e.amount_ucr) FILTER (WHERE t.operation = 'clawback'), 0) AS clawed
            FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id
            WHERE a.kind = 'purchased' GROUP BY 1
        ) j ON j.purchase_id = l.purchase_id
        WHERE l.purchase_id IS NOT NULL
            AND (j.times IS DISTINCT FROM 1 OR j.issued <> l.issued_ucr OR j.clawed NOT BETWEEN 0 AND l.issued_ucr)
        ORDER BY l.id LIMIT 1
        """,
    ),
    Check(
        6,
        "it moved bought credits of no lot",
        "ledger_transaction",
        """
        SELECT 'transaction ' || t.key FROM ledger_transaction t
        WHERE t.operation IN ('purchase', 'clawback', 'freeze') AND NOT EXISTS (SELECT 1 FROM lot l WHERE l.purchase_id = t.purchase_id AND l.id = t.lot_id)
        ORDER BY t.id LIMIT 1
        """,
    ),
]
