"""Invariants 1, 2, 6 and 10: transactions, balances, funds and what is in transit."""

from portal.credits.verify.check import Check

CHECKS = [
    Check(
        1,
        "does not sum to zero, or has fewer than two entries",
        "ledger_transaction",
        """
        SELECT 'transaction ' || t.key FROM ledger_transaction t LEFT JOIN (
            SELECT e.transaction_id, bool_or(e.total <> 0) AS is_off, sum(e.lines) AS lines FROM (
                SELECT e.transaction_id, a.asset, sum(e.amount_ucr) AS total, count(*) AS lines
                FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id GROUP BY 1, 2
            ) e GROUP BY 1
        ) s ON s.transaction_id = t.id
        WHERE s.transaction_id IS NULL OR s.is_off OR s.lines < 2 ORDER BY t.id LIMIT 1
        """,
    ),
    Check(
        2,
        "its balance or version is not what its entries say",
        "ledger_account",
        """
        SELECT 'account ' || a.name FROM ledger_account a LEFT JOIN (
            SELECT account_id, sum(amount_ucr) AS total, count(*) AS lines, count(account_version) AS versions,
                min(account_version) AS lowest, max(account_version) AS highest
            FROM ledger_entry GROUP BY 1
        ) e ON e.account_id = a.id
        WHERE (a.balance_ucr IS NOT NULL AND (a.balance_ucr <> coalesce(e.total, 0) OR a.version <> coalesce(e.highest, 0)
            OR a.version <> coalesce(e.versions, 0) OR coalesce(e.lines, 0) <> coalesce(e.versions, 0) OR coalesce(e.lowest, 1) <> 1))
            OR (a.balance_ucr IS NULL AND e.versions > 0)
        ORDER BY a.name LIMIT 1
        """,
    ),
    Check(
        2,
        "its running balance is wrong or crossed a bound",
        "ledger_entry",
        """
        SELECT 'entry ' || r.id || ' on account ' || r.name FROM (
            SELECT e.id, a.name, a.kind, e.balance_after_ucr, a.lower_bound_ucr,
                sum(e.amount_ucr) OVER (PARTITION BY e.account_id ORDER BY e.account_version) AS running,
                lag(e.id) OVER (PARTITION BY e.account_id ORDER BY e.account_version) AS previous_id
            FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id WHERE a.balance_ucr IS NOT NULL
        ) r
        WHERE r.balance_after_ucr IS DISTINCT FROM r.running OR r.previous_id > r.id
            OR (r.kind LIKE 'lot_%' AND r.running < 0) OR (r.kind NOT LIKE 'lot_%' AND r.running > 0)
            OR (r.kind = 'issuance' AND r.running < r.lower_bound_ucr)
        ORDER BY r.id LIMIT 1
        """,
    ),
    Check(
        2,
        "its bound is not its debt and one window for each running session",
        "wallet",
        """
        SELECT 'wallet ' || w.id FROM wallet w JOIN ledger_account a ON a.id = w.debt_usage_account_id LEFT JOIN (
            SELECT wallet_id, sum(debt_room_ucr - debt_ucr) AS room FROM meter WHERE state = 'open' GROUP BY 1
        ) m ON m.wallet_id = w.id
        WHERE a.lower_bound_ucr <> a.balance_ucr - coalesce(m.room, 0) ORDER BY w.id LIMIT 1
        """,
    ),
    Check(
        6,
        "it issued more than its budget, or its account does not say its budget, or its lots do not add up to it",
        "fund",
        """
        SELECT 'fund ' || f.slug FROM fund f JOIN ledger_account a ON a.id = f.issuance_account_id LEFT JOIN (
            SELECT fund_id, sum(issued_ucr) AS issued FROM lot WHERE origin IN ('grant', 'make_good') GROUP BY 1
        ) l ON l.fund_id = f.id LEFT JOIN (
            SELECT e.account_id, -sum(e.amount_ucr) AS issued FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
            WHERE t.operation = 'grant' GROUP BY 1
        ) j ON j.account_id = a.id
        WHERE -a.balance_ucr > f.budget_ucr OR a.lower_bound_ucr <> -f.budget_ucr OR coalesce(l.issued, 0) <> coalesce(j.issued, 0)
        ORDER BY f.slug LIMIT 1
        """,
    ),
    Check(
        2,
        "its bound is not the debt that it made",
        "wallet",
        """
        SELECT 'wallet ' || w.id FROM wallet w JOIN ledger_account a ON a.id = w.debt_clawback_account_id
        WHERE a.lower_bound_ucr <> a.balance_ucr ORDER BY w.id LIMIT 1
        """,
    ),
    Check(
        10,
        "credits are in transit between two wallets",
        "ledger_entry",
        """
        SELECT 'transfer ' || regexp_replace(t.key, '[:]in$', '') FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id
        JOIN ledger_transaction t ON t.id = e.transaction_id WHERE a.kind = 'transit'
        GROUP BY 1 HAVING sum(e.amount_ucr) <> 0 OR count(*) <> 2 ORDER BY 1 LIMIT 1
        """,
    ),
    Check(
        10,
        "all its entries together are not zero",
        "ledger_entry",
        """
        SELECT 'asset ' || a.asset FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id
        GROUP BY a.asset HAVING sum(e.amount_ucr) <> 0 ORDER BY a.asset LIMIT 1
        """,
    ),
    Check(
        10,
        "live balances and summed accounts together are not zero",
        "ledger_account",
        """
        SELECT 'asset ' || s.asset FROM (
            SELECT a.asset, sum(a.balance_ucr) AS total FROM ledger_account a WHERE a.balance_ucr IS NOT NULL GROUP BY 1
            UNION ALL
            SELECT a.asset, sum(e.amount_ucr) FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id WHERE a.balance_ucr IS NULL GROUP BY 1
        ) s GROUP BY s.asset HAVING sum(s.total) <> 0 ORDER BY s.asset LIMIT 1
        """,
    ),
]
