"""Life of a lot: bought lots, transfers and loans, revocations, make-good, corrections, the cash memorandum."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0009_ledger_life"
down_revision = "0008_incubation"
branch_labels = None
depends_on = None

# The two accounts of bought credits, which belong to no fund.
PURCHASED_ACCOUNT_ID = "00000000-0000-7000-8000-00000000c0fe"
BREAKAGE_PURCHASED_ACCOUNT_ID = "00000000-0000-7000-8000-00000000c0fd"
# Where credits are between the two bookings of a transfer: nothing is ever left there.
TRANSIT_ACCOUNT_ID = "00000000-0000-7000-8000-00000000c0fc"

NEVER_CHANGED = ["lot_revocation", "incident", "cash_transaction", "cash_entry"]

CASH_BALANCES = """
CREATE FUNCTION cash_entries_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bad text;
BEGIN
    SELECT f.transaction_id::text INTO bad FROM fresh f GROUP BY f.transaction_id HAVING sum(f.amount_minor) <> 0 OR count(*) < 2 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'cash transaction % does not sum to zero', bad USING ERRCODE = 'check_violation';
    END IF;
    SELECT f.transaction_id::text INTO bad FROM (SELECT transaction_id, count(*) AS lines FROM fresh GROUP BY 1) f
        WHERE f.lines <> (SELECT count(*) FROM cash_entry e WHERE e.transaction_id = f.transaction_id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'cash transaction % was complete already', bad USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""

CASH_HAS_ENTRIES = """
CREATE FUNCTION cash_transaction_has_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM cash_entry e WHERE e.transaction_id = NEW.id) THEN
        RAISE EXCEPTION 'cash transaction % has no entries', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""

# Checks of earlier migrations carry their table's name twice; names that became too long end in a hash.
CUT_NAMES = {
    ("ledger_account", "ck_ledger_account__ck_ledger_account__bounded_kinds_hav_2731"): "bounded_kinds_have_balance",
    ("program_application", "ck_program_application__ck_program_application__submitt_496b"): "submitted_has_receipt",
    ("program_application", "ck_program_application__ck_program_application__submitt_78f3"): "submitted_has_time",
    ("program_application", "ck_program_application__ck_program_application__withdra_3875"): "withdrawn_has_time",
}
RENAME_DOUBLED = """
DO $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT c.relname AS t, o.conname AS name FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid
        WHERE o.contype = 'c' AND starts_with(o.conname, 'ck_' || c.relname || '__ck_' || c.relname || '__') LOOP
        EXECUTE format('ALTER TABLE %I RENAME CONSTRAINT %I TO %I', r.t, r.name, substr(r.name, length('ck_' || r.t || '__') + 1));
    END LOOP;
END $$
"""

KINDS = "'issuance', 'lot_available', 'lot_held', 'lot_frozen', 'debt_usage', 'debt_clawback', 'usage', 'breakage', 'writeoff'"
OPERATIONS = "'grant', 'hold', 'capture', 'release', 'expiry', 'purchase', 'correction', 'revoke', 'transfer', 'clawback', 'freeze', 'write_off'"


def upgrade() -> None:
    """Build."""
    for (table, cut), name in CUT_NAMES.items():
        op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {cut} TO ck_{table}__{name}")
    op.execute(RENAME_DOUBLED)
    _widen_accounts(f"{KINDS}, 'purchased', 'transit'", "'usage', 'breakage', 'writeoff', 'purchased', 'transit'")
    op.execute(
        "INSERT INTO ledger_account (id, name, kind, asset) VALUES"  # noqa: S608 -- constants of this file
        f" ('{PURCHASED_ACCOUNT_ID}', 'issuance:purchased', 'purchased', 'CRED'),"
        f" ('{BREAKAGE_PURCHASED_ACCOUNT_ID}', 'breakage:purchased', 'breakage', 'CRED'),"
        f" ('{TRANSIT_ACCOUNT_ID}', 'transit', 'transit', 'CRED')"
    )
    _transactions(f"{OPERATIONS}, 'repayment'")
    op.add_column("ledger_transaction", sa.Column("purchase_id", pg.UUID(as_uuid=True)))
    op.create_index("ix_ledger_transaction__purchase", "ledger_transaction", ["purchase_id", "id"], postgresql_where=sa.text("purchase_id IS NOT NULL"))
    _lots()
    _funds()
    _meters()
    _events()
    _cash()


def downgrade() -> None:
    """Take back; only where nothing uses it. The names of checks stay as they should have been."""
    for table in ("cash_entry", "cash_transaction", "incident", "credit_loan", "lot_revocation"):
        op.drop_table(table)
    op.execute("DROP FUNCTION cash_entries_balance")
    op.execute("DROP FUNCTION cash_transaction_has_entries")
    for table, columns in {
        "meter": ["forgiven_from_s", "corrected_ucr"],
        "fund": ["largest_grant_ucr", "classes", "closed_at"],
        "lot": ["purchase_id", "source_lot_id", "origin"],
        "ledger_transaction": ["purchase_id"],
    }.items():
        for column in columns:
            op.drop_column(table, column)
    op.alter_column("lot", "fund_id", nullable=False)
    _transactions(OPERATIONS)
    op.execute("ALTER TABLE ledger_account DISABLE TRIGGER ledger_account_never_deleted")
    op.execute("DELETE FROM ledger_account WHERE name IN ('issuance:purchased', 'breakage:purchased', 'transit')")
    op.execute("ALTER TABLE ledger_account ENABLE TRIGGER ledger_account_never_deleted")
    _widen_accounts(KINDS, "'usage', 'breakage', 'writeoff'")


def _widen_accounts(kinds: str, without_balance: str) -> None:
    op.drop_constraint(op.f("ck_ledger_account__kind"), "ledger_account")
    op.drop_constraint(op.f("ck_ledger_account__bounded_kinds_have_balance"), "ledger_account")
    op.create_check_constraint(op.f("ck_ledger_account__kind"), "ledger_account", f"kind IN ({kinds})")
    op.create_check_constraint(op.f("ck_ledger_account__bounded_kinds_have_balance"), "ledger_account", f"(balance_ucr IS NULL) = (kind IN ({without_balance}))")


def _transactions(operations: str) -> None:
    op.drop_constraint(op.f("ck_ledger_transaction__operation"), "ledger_transaction")
    op.create_check_constraint(op.f("ck_ledger_transaction__operation"), "ledger_transaction", f"operation IN ({operations})")


def _lots() -> None:
    op.alter_column("lot", "fund_id", nullable=True)
    op.add_column("lot", sa.Column("purchase_id", pg.UUID(as_uuid=True)))
    op.add_column("lot", sa.Column("source_lot_id", pg.UUID(as_uuid=True)))
    op.add_column("lot", sa.Column("origin", sa.Text, nullable=False, server_default="grant"))
    op.alter_column("lot", "origin", server_default=None)
    op.create_foreign_key("fk_lot__source_lot_id", "lot", "lot", ["source_lot_id"], ["id"])
    op.create_unique_constraint("uq_lot__purchase_id", "lot", ["purchase_id"])
    for name, rule in {
        "origin": "origin IN ('grant', 'purchase', 'transfer', 'extension', 'make_good')",
        "fund_or_purchase": "(fund_id IS NULL) = (purchase_id IS NOT NULL)",
        "bought_is_purchase": "is_bought = (purchase_id IS NOT NULL) AND is_bought = (origin = 'purchase')",
        "moved_has_source": "(source_lot_id IS NOT NULL) = (origin IN ('transfer', 'extension'))",
    }.items():
        op.create_check_constraint(op.f(f"ck_lot__{name}"), "lot", rule)
    op.create_index("ix_lot__source", "lot", ["source_lot_id"], postgresql_where=sa.text("source_lot_id IS NOT NULL"))


def _funds() -> None:
    op.add_column("fund", sa.Column("largest_grant_ucr", sa.BigInteger))
    op.add_column("fund", sa.Column("classes", pg.ARRAY(sa.Text)))
    op.add_column("fund", sa.Column("closed_at", sa.DateTime(timezone=True)))
    op.create_check_constraint(op.f("ck_fund__largest_grant_positive"), "fund", "largest_grant_ucr IS NULL OR largest_grant_ucr > 0")
    op.create_check_constraint(op.f("ck_fund__classes_not_empty"), "fund", "classes IS NULL OR cardinality(classes) > 0")


def _meters() -> None:
    op.add_column("meter", sa.Column("forgiven_from_s", sa.BigInteger))
    op.add_column("meter", sa.Column("corrected_ucr", sa.BigInteger, nullable=False, server_default="0"))
    op.alter_column("meter", "corrected_ucr", server_default=None)
    op.create_check_constraint(op.f("ck_meter__corrected_is_booked"), "meter", "corrected_ucr BETWEEN 0 AND booked_ucr")
    op.create_check_constraint(op.f("ck_meter__corrected_has_second"), "meter", "(forgiven_from_s IS NULL) = (corrected_ucr = 0) AND forgiven_from_s >= 0")


def _events() -> None:
    op.create_table(
        "lot_revocation",
        sa.Column("lot_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_by_id", pg.UUID(as_uuid=True)),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_lot_revocation__has_reason")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_lot_revocation__lot_id"),
        sa.ForeignKeyConstraint(["revoked_by_id"], ["person.id"], name="fk_lot_revocation__revoked_by_id"),
        sa.PrimaryKeyConstraint("lot_id", name="pk_lot_revocation"),
    )
    op.create_table(
        "credit_loan",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("lot_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("lender_wallet_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("lent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("returns_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("returned_at", sa.DateTime(timezone=True)),
        sa.Column("returned_ucr", sa.BigInteger),
        sa.CheckConstraint("state IN ('lent', 'returned')", name=op.f("ck_credit_loan__state")),
        sa.CheckConstraint("lent_at < returns_at", name=op.f("ck_credit_loan__times")),
        sa.CheckConstraint(
            "(state = 'returned') = (returned_at IS NOT NULL) AND (returned_at IS NULL) = (returned_ucr IS NULL)", name=op.f("ck_credit_loan__returned")
        ),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_credit_loan__lot_id"),
        sa.ForeignKeyConstraint(["lender_wallet_id"], ["wallet.id"], name="fk_credit_loan__lender_wallet_id"),
        sa.PrimaryKeyConstraint("id", name="pk_credit_loan"),
        sa.UniqueConstraint("lot_id", name="uq_credit_loan__lot_id"),
    )
    op.create_index("ix_credit_loan__due", "credit_loan", ["returns_at"], postgresql_where=sa.text("state = 'lent'"))
    op.create_index("ix_credit_loan__lender", "credit_loan", ["lender_wallet_id", "id"])
    op.create_table(
        "incident",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("wallet_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("session_id", pg.UUID(as_uuid=True)),
        sa.Column("lot_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("duration_s", sa.BigInteger, nullable=False),
        sa.Column("amount_ucr", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("rule IN ('failed_start', 'node_death', 'outage', 'late_start', 'released_too_late')", name=op.f("ck_incident__rule")),
        sa.CheckConstraint("amount_ucr > 0 AND duration_s >= 0", name=op.f("ck_incident__amounts")),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name="fk_incident__wallet_id"),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_incident__lot_id"),
        sa.PrimaryKeyConstraint("id", name="pk_incident"),
        sa.UniqueConstraint("number", name="uq_incident__number"),
        sa.UniqueConstraint("lot_id", name="uq_incident__lot_id"),
        sa.UniqueConstraint("rule", "session_id", name="uq_incident__rule_session_id"),
    )
    op.create_index("ix_incident__wallet", "incident", ["wallet_id", "id"])


def _cash() -> None:
    op.create_table(
        "cash_transaction",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("body_digest", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("purchase_id", pg.UUID(as_uuid=True)),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("booked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", pg.UUID(as_uuid=True)),
        sa.Column("actor_label", sa.Text, nullable=False),
        sa.CheckConstraint(
            "operation IN ('payment', 'fee', 'refund', 'refund_failed', 'dispute', 'dispute_won', 'payout', 'revenue', 'correction')",
            name=op.f("ck_cash_transaction__operation"),
        ),
        sa.CheckConstraint("currency IN ('MAD', 'EUR', 'USD')", name=op.f("ck_cash_transaction__currency")),
        sa.PrimaryKeyConstraint("id", name="pk_cash_transaction"),
        sa.UniqueConstraint("key", name="uq_cash_transaction__key"),
    )
    op.create_index("ix_cash_transaction__purchase", "cash_transaction", ["purchase_id", "id"], postgresql_where=sa.text("purchase_id IS NOT NULL"))
    op.create_index("ix_cash_transaction__booked", "cash_transaction", ["booked_at", "id"])
    op.create_table(
        "cash_entry",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("transaction_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.CheckConstraint(
            "account IN ('psp_clearing', 'psp_fees', 'bank', 'deferred', 'revenue', 'tax', 'refunds', 'disputes', 'suspense')", name=op.f("ck_cash_entry__account")
        ),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_cash_entry__amount_not_zero")),
        sa.ForeignKeyConstraint(["transaction_id"], ["cash_transaction.id"], name="fk_cash_entry__transaction_id"),
        sa.PrimaryKeyConstraint("id", name="pk_cash_entry"),
        sa.UniqueConstraint("transaction_id", "account", name="uq_cash_entry__transaction_id_account"),
    )
    op.create_index("ix_cash_entry__account", "cash_entry", ["account", "id"])
    for table in NEVER_CHANGED:
        op.execute(f"CREATE TRIGGER {table}_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    op.execute("CREATE TRIGGER credit_loan_never_deleted BEFORE DELETE OR TRUNCATE ON credit_loan FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    op.execute(CASH_BALANCES)
    op.execute(
        "CREATE TRIGGER cash_entry_balances AFTER INSERT ON cash_entry REFERENCING NEW TABLE AS fresh"
        " FOR EACH STATEMENT EXECUTE FUNCTION cash_entries_balance()"
    )
    op.execute(CASH_HAS_ENTRIES)
    op.execute(
        "CREATE CONSTRAINT TRIGGER cash_transaction_complete AFTER INSERT ON cash_transaction"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION cash_transaction_has_entries()"
    )
