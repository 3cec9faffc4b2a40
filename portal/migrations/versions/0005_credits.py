"""Credits: accounts and their append-only journal, funds, wallets, lots, meters, holds, grant requests."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0005_credits"
down_revision = "0004_projects"
branch_labels = None
depends_on = None

TABLES = ["ledger_account", "fund", "wallet", "lot", "meter", "meter_segment", "hold", "hold_share", "ledger_transaction", "ledger_entry", "grant_request"]
NEVER_CHANGED = ["ledger_transaction", "ledger_entry", "lot", "meter_segment"]
NEVER_DELETED = ["ledger_account", "fund", "wallet", "meter", "hold", "hold_share", "grant_request"]

# The one account that belongs to nobody.
WRITEOFF_ACCOUNT_ID = "00000000-0000-7000-8000-00000000c0ff"

# All entries of a transaction come in one statement: what is there afterwards must balance, be complete, and agree
# with the live balances of the accounts that have one.
ENTRIES_BALANCE = """
CREATE FUNCTION ledger_entries_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bad text;
BEGIN
    SELECT f.transaction_id::text INTO bad FROM fresh f JOIN ledger_account a ON a.id = f.account_id
        GROUP BY f.transaction_id, a.asset HAVING sum(f.amount_ucr) <> 0 OR count(*) < 2 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger transaction % does not sum to zero', bad USING ERRCODE = 'check_violation';
    END IF;
    SELECT f.transaction_id::text INTO bad FROM (SELECT transaction_id, count(*) AS lines FROM fresh GROUP BY 1) f
        WHERE f.lines <> (SELECT count(*) FROM ledger_entry e WHERE e.transaction_id = f.transaction_id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger transaction % was complete already', bad USING ERRCODE = 'check_violation';
    END IF;
    SELECT a.name INTO bad FROM (SELECT DISTINCT ON (account_id) * FROM fresh ORDER BY account_id, account_version DESC) f
        JOIN ledger_account a ON a.id = f.account_id
        WHERE (a.version, a.balance_ucr) IS DISTINCT FROM (f.account_version, f.balance_after_ucr) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entries on account % disagree with its balance', bad USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""

TRANSACTION_HAS_ENTRIES = """
CREATE FUNCTION ledger_transaction_has_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.transaction_id = NEW.id) THEN
        RAISE EXCEPTION 'ledger transaction % has no entries', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Build."""
    _accounts()
    _funds()
    _wallets()
    _lots()
    _meters()
    _segments()
    _holds()
    _shares()
    _transactions()
    _entries()
    _grant_requests()
    _triggers()
    op.execute(
        "INSERT INTO ledger_account (id, name, kind, asset) VALUES"  # noqa: S608 -- a constant of this file
        f" ('{WRITEOFF_ACCOUNT_ID}', 'writeoff', 'writeoff', 'CRED')"
    )


def downgrade() -> None:
    """Take back."""
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute("DROP FUNCTION ledger_entries_balance")
    op.execute("DROP FUNCTION ledger_transaction_has_entries")


def _triggers() -> None:
    for table in NEVER_CHANGED:
        op.execute(f"CREATE TRIGGER {table}_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    for table in NEVER_DELETED:
        op.execute(f"CREATE TRIGGER {table}_never_deleted BEFORE DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    op.execute("CREATE TRIGGER ledger_account_keeps_name BEFORE UPDATE OF id, name, kind, asset ON ledger_account FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    op.execute(ENTRIES_BALANCE)
    op.execute(
        "CREATE TRIGGER ledger_entry_balances AFTER INSERT ON ledger_entry REFERENCING NEW TABLE AS fresh"
        " FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_balance()"
    )
    op.execute(TRANSACTION_HAS_ENTRIES)
    op.execute(
        "CREATE CONSTRAINT TRIGGER ledger_transaction_complete AFTER INSERT ON ledger_transaction"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_transaction_has_entries()"
    )


def _accounts() -> None:
    op.create_table(
        "ledger_account",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("balance_ucr", sa.BigInteger),
        sa.Column("version", sa.BigInteger),
        sa.Column("lower_bound_ucr", sa.BigInteger),
        sa.Column("upper_bound_ucr", sa.BigInteger),
        sa.CheckConstraint("(balance_ucr IS NULL) = (kind IN ('usage', 'breakage', 'writeoff'))", name='ck_ledger_account__bounded_kinds_have_balance'),
        sa.CheckConstraint("CASE WHEN kind LIKE 'lot_%' THEN lower_bound_ucr = 0 WHEN kind IN ('issuance', 'debt_usage', 'debt_clawback') THEN lower_bound_ucr <= 0 AND upper_bound_ucr = 0 ELSE lower_bound_ucr IS NULL AND upper_bound_ucr IS NULL END", name='ck_ledger_account__bounds_of_kind'),
        sa.CheckConstraint("kind IN ('issuance', 'lot_available', 'lot_held', 'lot_frozen', 'debt_usage', 'debt_clawback', 'usage', 'breakage', 'writeoff')", name='ck_ledger_account__kind'),
        sa.CheckConstraint("(balance_ucr IS NULL) = (version IS NULL)", name="ck_ledger_account__balance_has_version"),
        sa.CheckConstraint("lower_bound_ucr IS NULL OR balance_ucr >= lower_bound_ucr", name="ck_ledger_account__not_below_bound"),
        sa.CheckConstraint("upper_bound_ucr IS NULL OR balance_ucr <= upper_bound_ucr", name="ck_ledger_account__not_above_bound"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_account"),
        sa.UniqueConstraint("name", name="uq_ledger_account__name"),
    )


def _funds() -> None:
    op.create_table(
        "fund",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sponsor", sa.Text, nullable=False),
        sa.Column("budget_ucr", sa.BigInteger, nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("issuance_account_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("breakage_account_id", pg.UUID(as_uuid=True), nullable=False),
        sa.CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{1,62}$'", name='ck_fund__slug_shape'),
        sa.CheckConstraint("budget_ucr > 0", name="ck_fund__budget_positive"),
        sa.ForeignKeyConstraint(["breakage_account_id"], ["ledger_account.id"], name="fk_fund__breakage_account_id"),
        sa.ForeignKeyConstraint(["issuance_account_id"], ["ledger_account.id"], name="fk_fund__issuance_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_fund"),
        sa.UniqueConstraint("issuance_account_id", name="uq_fund__issuance_account_id"),
        sa.UniqueConstraint("slug", name="uq_fund__slug"),
    )


def _wallets() -> None:
    op.create_table(
        "wallet",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("project_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("debt_usage_account_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("debt_clawback_account_id", pg.UUID(as_uuid=True), nullable=False),
        sa.ForeignKeyConstraint(["debt_clawback_account_id"], ["ledger_account.id"], name="fk_wallet__debt_clawback_account_id"),
        sa.ForeignKeyConstraint(["debt_usage_account_id"], ["ledger_account.id"], name="fk_wallet__debt_usage_account_id"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_wallet__project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_wallet"),
        sa.UniqueConstraint("project_id", name="uq_wallet__project_id"),
    )


def _lots() -> None:
    op.create_table(
        "lot",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("wallet_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("fund_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("classes", pg.ARRAY(sa.Text)),
        sa.Column("priority", sa.BigInteger, nullable=False),
        sa.Column("is_bought", sa.Boolean, nullable=False),
        sa.Column("issued_ucr", sa.BigInteger, nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("available_account_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("held_account_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("frozen_account_id", pg.UUID(as_uuid=True), nullable=False),
        sa.CheckConstraint("classes IS NULL OR cardinality(classes) > 0", name="ck_lot__classes_not_empty"),
        sa.CheckConstraint("effective_at < expires_at", name="ck_lot__validity"),
        sa.CheckConstraint("issued_ucr > 0", name="ck_lot__issued_positive"),
        sa.CheckConstraint("priority BETWEEN 0 AND 1000", name="ck_lot__priority_range"),
        sa.ForeignKeyConstraint(["available_account_id"], ["ledger_account.id"], name="fk_lot__available_account_id"),
        sa.ForeignKeyConstraint(["frozen_account_id"], ["ledger_account.id"], name="fk_lot__frozen_account_id"),
        sa.ForeignKeyConstraint(["fund_id"], ["fund.id"], name="fk_lot__fund_id"),
        sa.ForeignKeyConstraint(["held_account_id"], ["ledger_account.id"], name="fk_lot__held_account_id"),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name="fk_lot__wallet_id"),
        sa.PrimaryKeyConstraint("id", name="pk_lot"),
        sa.UniqueConstraint("available_account_id", name="uq_lot__available_account_id"),
        sa.UniqueConstraint("frozen_account_id", name="uq_lot__frozen_account_id"),
        sa.UniqueConstraint("held_account_id", name="uq_lot__held_account_id"),
        sa.UniqueConstraint("number", name="uq_lot__number"),
    )
    op.create_index("ix_lot__fund", "lot", ["fund_id", "id"])
    op.create_index("ix_lot__wallet", "lot", ["wallet_id", "expires_at"])


def _meters() -> None:
    op.create_table(
        "meter",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("session_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("wallet_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("charge_class", sa.Text, nullable=False),
        sa.Column("usage_account_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("authorised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body_digest", sa.Text, nullable=False),
        sa.Column("limit_s", sa.BigInteger),
        sa.Column("next_rate_ucr_per_hour", sa.BigInteger),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("proven_s", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True)),
        sa.Column("recorded_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("void_reason", sa.Text),
        sa.Column("windows_end_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_count", sa.BigInteger, nullable=False),
        sa.Column("capture_count", sa.BigInteger, nullable=False),
        sa.Column("booked_s", sa.BigInteger, nullable=False),
        sa.Column("booked_ucr", sa.BigInteger, nullable=False),
        sa.Column("debt_room_ucr", sa.BigInteger, nullable=False),
        sa.Column("debt_ucr", sa.BigInteger, nullable=False),
        sa.Column("written_off_ucr", sa.BigInteger, nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True)),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name='ck_meter__closed_at_of_state'),
        sa.CheckConstraint("state <> 'open' OR due_at IS NOT NULL", name='ck_meter__open_is_due'),
        sa.CheckConstraint("state <> 'voided' OR booked_ucr = 0", name='ck_meter__voided_is_free'),
        sa.CheckConstraint("state IN ('open', 'settled', 'voided')", name='ck_meter__state'),
        sa.CheckConstraint("booked_s BETWEEN 0 AND proven_s", name="ck_meter__booked_is_proven"),
        sa.CheckConstraint("debt_ucr BETWEEN 0 AND debt_room_ucr", name="ck_meter__debt_within_one_window"),
        sa.CheckConstraint("limit_s IS NULL OR limit_s > 0", name="ck_meter__limit_positive"),
        sa.CheckConstraint("proven_s = 0 OR started_at IS NOT NULL", name="ck_meter__proven_is_started"),
        sa.CheckConstraint("proven_s BETWEEN 0 AND 7776000", name="ck_meter__proven_range"),
        sa.ForeignKeyConstraint(["usage_account_id"], ["ledger_account.id"], name="fk_meter__usage_account_id"),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name="fk_meter__wallet_id"),
        sa.PrimaryKeyConstraint("id", name="pk_meter"),
        sa.UniqueConstraint("session_id", "generation", name="uq_meter__session_id_generation"),
    )
    op.create_index("ix_meter__due", "meter", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))
    op.create_index('ix_meter__open', 'meter', ['wallet_id'], postgresql_where=sa.text("state = 'open'"))
    op.create_index("ix_meter__wallet", "meter", ["wallet_id", "id"])


def _segments() -> None:
    op.create_table(
        "meter_segment",
        sa.Column("meter_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("starts_s", sa.BigInteger, nullable=False),
        sa.Column("rate_ucr_per_hour", sa.BigInteger, nullable=False),
        sa.CheckConstraint("rate_ucr_per_hour BETWEEN 1 AND 1000000000000", name="ck_meter_segment__rate_range"),
        sa.CheckConstraint("starts_s >= 0 AND (segment = 0) = (starts_s = 0)", name="ck_meter_segment__starts_in_order"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_meter_segment__meter_id"),
        sa.PrimaryKeyConstraint("meter_id", "segment", name="pk_meter_segment"),
        sa.UniqueConstraint("meter_id", "starts_s", name="uq_meter_segment__meter_id_starts_s"),
    )


def _holds() -> None:
    op.create_table(
        "hold",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("meter_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("wallet_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("window_number", sa.BigInteger, nullable=False),
        sa.Column("segment", sa.BigInteger, nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_late", sa.Boolean, nullable=False),
        sa.Column("amount_ucr", sa.BigInteger, nullable=False),
        sa.Column("captured_ucr", sa.BigInteger, nullable=False),
        sa.Column("released_ucr", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        pg.ExcludeConstraint((sa.column("meter_id"), "="), (sa.text("tstzrange(starts_at, ends_at)"), "&&"), where=sa.text("NOT is_late"), using="gist", name="ex_hold__windows_apart"),
        sa.CheckConstraint("(state = 'closed') = (captured_ucr + released_ucr = amount_ucr)", name='ck_hold__closed_when_empty'),
        sa.CheckConstraint("state IN ('open', 'closed')", name='ck_hold__state'),
        sa.CheckConstraint("amount_ucr > 0 AND captured_ucr >= 0 AND released_ucr >= 0", name="ck_hold__amounts"),
        sa.CheckConstraint("captured_ucr + released_ucr <= amount_ucr", name="ck_hold__not_overdrawn"),
        sa.CheckConstraint("starts_at < ends_at", name="ck_hold__times"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_hold__meter_id"),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name="fk_hold__wallet_id"),
        sa.PrimaryKeyConstraint("id", name="pk_hold"),
        sa.UniqueConstraint("meter_id", "window_number", name="uq_hold__meter_id_window_number"),
    )
    op.create_index('ix_hold__open', 'hold', ['wallet_id'], postgresql_where=sa.text("state = 'open'"))


def _shares() -> None:
    op.create_table(
        "hold_share",
        sa.Column("hold_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("lot_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("amount_ucr", sa.BigInteger, nullable=False),
        sa.Column("captured_ucr", sa.BigInteger, nullable=False),
        sa.Column("released_ucr", sa.BigInteger, nullable=False),
        sa.CheckConstraint("amount_ucr > 0 AND captured_ucr >= 0 AND released_ucr >= 0", name="ck_hold_share__amounts"),
        sa.CheckConstraint("captured_ucr + released_ucr <= amount_ucr", name="ck_hold_share__not_overdrawn"),
        sa.ForeignKeyConstraint(["hold_id"], ["hold.id"], name="fk_hold_share__hold_id"),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_hold_share__lot_id"),
        sa.PrimaryKeyConstraint("hold_id", "position", name="pk_hold_share"),
        sa.UniqueConstraint("hold_id", "lot_id", name="uq_hold_share__hold_id_lot_id"),
    )
    op.create_index("ix_hold_share__lot", "hold_share", ["lot_id"])


def _transactions() -> None:
    op.create_table(
        "ledger_transaction",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("body_digest", sa.Text, nullable=False),
        sa.Column("result", pg.JSONB, nullable=False),
        sa.Column("booked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", pg.UUID(as_uuid=True)),
        sa.Column("actor_label", sa.Text, nullable=False),
        sa.Column("wallet_id", pg.UUID(as_uuid=True)),
        sa.Column("lot_id", pg.UUID(as_uuid=True)),
        sa.Column("meter_id", pg.UUID(as_uuid=True)),
        sa.Column("hold_id", pg.UUID(as_uuid=True)),
        sa.Column("segment", sa.BigInteger),
        sa.Column("from_s", sa.BigInteger),
        sa.Column("until_s", sa.BigInteger),
        sa.CheckConstraint("operation IN ('grant', 'hold', 'capture', 'release', 'expiry', 'purchase', 'correction', 'revoke', 'transfer', 'clawback', 'freeze', 'write_off')", name='ck_ledger_transaction__operation'),
        sa.CheckConstraint("(from_s IS NULL) = (until_s IS NULL) AND from_s < until_s", name="ck_ledger_transaction__seconds"),
        sa.ForeignKeyConstraint(["hold_id"], ["hold.id"], name="fk_ledger_transaction__hold_id"),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_ledger_transaction__lot_id"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_ledger_transaction__meter_id"),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name="fk_ledger_transaction__wallet_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_transaction"),
        sa.UniqueConstraint("key", name="uq_ledger_transaction__key"),
    )
    op.create_index("ix_ledger_transaction__hold", "ledger_transaction", ["hold_id"], postgresql_where=sa.text("hold_id IS NOT NULL"))
    op.create_index("ix_ledger_transaction__lot", "ledger_transaction", ["lot_id"], postgresql_where=sa.text("lot_id IS NOT NULL"))
    op.create_index("ix_ledger_transaction__meter", "ledger_transaction", ["meter_id", "id"], postgresql_where=sa.text("meter_id IS NOT NULL"))
    op.create_index("ix_ledger_transaction__wallet", "ledger_transaction", ["wallet_id", "booked_at", "id"])


def _entries() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("transaction_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("account_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("amount_ucr", sa.BigInteger, nullable=False),
        sa.Column("account_version", sa.BigInteger),
        sa.Column("balance_after_ucr", sa.BigInteger),
        sa.CheckConstraint("(account_version IS NULL) = (balance_after_ucr IS NULL)", name="ck_ledger_entry__version_has_balance"),
        sa.CheckConstraint("amount_ucr <> 0", name="ck_ledger_entry__amount_not_zero"),
        sa.ForeignKeyConstraint(["account_id"], ["ledger_account.id"], name="fk_ledger_entry__account_id"),
        sa.ForeignKeyConstraint(["transaction_id"], ["ledger_transaction.id"], name="fk_ledger_entry__transaction_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_entry"),
        sa.UniqueConstraint("account_id", "account_version", name="uq_ledger_entry__account_id_account_version"),
    )
    op.create_index("ix_ledger_entry__account", "ledger_entry", ["account_id", "id"])
    op.create_index("ix_ledger_entry__transaction", "ledger_entry", ["transaction_id"])


def _grant_requests() -> None:
    op.create_table(
        "grant_request",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("wallet_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("fund_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("amount_ucr", sa.BigInteger, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("classes", pg.ARRAY(sa.Text)),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.Column("decided_by_id", pg.UUID(as_uuid=True)),
        sa.Column("lot_id", pg.UUID(as_uuid=True)),
        sa.CheckConstraint("(state = 'approved') = (lot_id IS NOT NULL)", name='ck_grant_request__approved_has_lot'),
        sa.CheckConstraint("(state = 'waiting') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by_id IS NULL)", name='ck_grant_request__decision'),
        sa.CheckConstraint("state <> 'approved' OR decided_by_id <> asked_by_id", name='ck_grant_request__second_person'),
        sa.CheckConstraint("state IN ('waiting', 'approved', 'declined', 'withdrawn')", name='ck_grant_request__state'),
        sa.CheckConstraint("amount_ucr > 0", name="ck_grant_request__amount_positive"),
        sa.ForeignKeyConstraint(["asked_by_id"], ["person.id"], name="fk_grant_request__asked_by_id"),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name="fk_grant_request__decided_by_id"),
        sa.ForeignKeyConstraint(["fund_id"], ["fund.id"], name="fk_grant_request__fund_id"),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_grant_request__lot_id"),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name="fk_grant_request__wallet_id"),
        sa.PrimaryKeyConstraint("id", name="pk_grant_request"),
    )
    op.create_index("ix_grant_request__fund", "grant_request", ["fund_id", "id"])
    op.create_index('ix_grant_request__waiting', 'grant_request', ['id'], postgresql_where=sa.text("state = 'waiting'"))
    op.create_index("ix_grant_request__wallet", "grant_request", ["wallet_id", "id"])
