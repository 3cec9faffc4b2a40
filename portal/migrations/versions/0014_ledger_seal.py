"""The hash chain over the journal."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0014_ledger_seal"
down_revision = "0013_statements"
branch_labels = None
depends_on = None

TABLES = ['ledger_block', 'ledger_seal']
NEVER_CHANGED = ['ledger_block', 'ledger_seal']


def upgrade() -> None:
    """Build."""
    op.create_table('ledger_block',
    sa.Column('number', sa.BigInteger, autoincrement=False, nullable=False),
    sa.Column('previous_digest', sa.Text, nullable=False),
    sa.Column('digest', sa.Text, nullable=False),
    sa.Column('transactions', sa.BigInteger, nullable=False),
    sa.Column('sealed_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('number > 0 AND transactions > 0', name=op.f('ck_ledger_block__numbers')),
    sa.PrimaryKeyConstraint('number', name='pk_ledger_block')
    )
    op.create_table('ledger_seal',
    sa.Column('transaction_id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('block', sa.BigInteger, nullable=False),
    sa.Column('position', sa.BigInteger, nullable=False),
    sa.ForeignKeyConstraint(['block'], ['ledger_block.number'], name='fk_ledger_seal__block'),
    sa.ForeignKeyConstraint(['transaction_id'], ['ledger_transaction.id'], name='fk_ledger_seal__transaction_id'),
    sa.PrimaryKeyConstraint('transaction_id', name='pk_ledger_seal'),
    sa.UniqueConstraint('block', 'position', name='uq_ledger_seal__block_position')
    )
    for table in NEVER_CHANGED:
        op.execute(f"CREATE TRIGGER {table}_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")


def downgrade() -> None:
    """Take back."""
    for table in reversed(TABLES):
        op.drop_table(table)
