"""Closed months, and statements written to files."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0013_statements"
down_revision = "0012_days"
branch_labels = None
depends_on = None

TABLES = ['ledger_month', 'wallet_month', 'statement_export']
NEVER_CHANGED = ['ledger_month', 'wallet_month']

REFUSE_CLOSED_MONTH = """
CREATE FUNCTION refuse_closed_month() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    closed timestamptz;
BEGIN
    SELECT max(ends_at) INTO closed FROM ledger_month;
    IF closed IS NOT NULL AND EXISTS (SELECT 1 FROM fresh WHERE booked_at < closed) THEN
        RAISE EXCEPTION 'nothing is booked before %: that month is closed', closed USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    """Build."""
    op.create_table('ledger_month',
    sa.Column('month', sa.Date, nullable=False),
    sa.Column('ends_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('wallets', sa.BigInteger, nullable=False),
    sa.Column('opening_ucr', sa.BigInteger, nullable=False),
    sa.Column('closing_ucr', sa.BigInteger, nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('closed_by_id', pg.UUID(as_uuid=True)),
    sa.ForeignKeyConstraint(['closed_by_id'], ['person.id'], name='fk_ledger_month__closed_by_id'),
    sa.PrimaryKeyConstraint('month', name='pk_ledger_month')
    )
    op.create_table('statement_export',
    sa.Column('id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('number', sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.Column('wallet_id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('person_id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('format', sa.Text, nullable=False),
    sa.Column('language', sa.Text, nullable=False),
    sa.Column('first_on', sa.Date, nullable=False),
    sa.Column('last_on', sa.Date, nullable=False),
    sa.Column('state', sa.Text, nullable=False),
    sa.Column('lines', sa.BigInteger),
    sa.Column('lines_done', sa.BigInteger, nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True)),
    sa.Column('content', sa.LargeBinary()),
    sa.CheckConstraint("(state = 'done') = (content IS NOT NULL)", name=op.f('ck_statement_export__done_has_content')),
    sa.CheckConstraint("(state IN ('done', 'failed')) = (ended_at IS NOT NULL)", name=op.f('ck_statement_export__ended_has_time')),
    sa.CheckConstraint("format IN ('pdf', 'xlsx')", name=op.f('ck_statement_export__format')),
    sa.CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", name=op.f('ck_statement_export__state')),
    sa.ForeignKeyConstraint(['person_id'], ['person.id'], name='fk_statement_export__person_id'),
    sa.ForeignKeyConstraint(['wallet_id'], ['wallet.id'], name='fk_statement_export__wallet_id'),
    sa.PrimaryKeyConstraint('id', name='pk_statement_export'),
    sa.UniqueConstraint('number', name='uq_statement_export__number')
    )
    op.create_index('ix_statement_export__ended', 'statement_export', ['ended_at'], postgresql_where=sa.text('ended_at IS NOT NULL'))
    op.create_index('ix_statement_export__wallet', 'statement_export', ['wallet_id', 'id'])
    op.create_table('wallet_month',
    sa.Column('month', sa.Date, nullable=False),
    sa.Column('wallet_id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('opening_ucr', sa.BigInteger, nullable=False),
    sa.Column('closing_ucr', sa.BigInteger, nullable=False),
    sa.ForeignKeyConstraint(['month'], ['ledger_month.month'], name='fk_wallet_month__month'),
    sa.ForeignKeyConstraint(['wallet_id'], ['wallet.id'], name='fk_wallet_month__wallet_id'),
    sa.PrimaryKeyConstraint('wallet_id', 'month', name='pk_wallet_month')
    )
    op.create_index('ix_wallet_month__month', 'wallet_month', ['month'])
    for table in NEVER_CHANGED:
        op.execute(f"CREATE TRIGGER {table}_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    op.execute(REFUSE_CLOSED_MONTH)
    op.execute(
        "CREATE TRIGGER ledger_transaction_in_open_month AFTER INSERT ON ledger_transaction REFERENCING NEW TABLE AS fresh"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_closed_month()"
    )


def downgrade() -> None:
    """Take back."""
    op.execute("DROP TRIGGER ledger_transaction_in_open_month ON ledger_transaction")
    op.execute("DROP FUNCTION refuse_closed_month")
    for table in reversed(TABLES):
        op.drop_table(table)
