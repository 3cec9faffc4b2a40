"""Sums of days that are over, by lot."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0012_days"
down_revision = "0011_papers"
branch_labels = None
depends_on = None

TABLES = ['summed_day', 'lot_day']
NEVER_CHANGED = ['summed_day', 'lot_day']


def upgrade() -> None:
    """Build."""
    op.create_table('summed_day',
    sa.Column('day', sa.Date, nullable=False),
    sa.Column('summed_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('day', name='pk_summed_day')
    )
    op.create_table('lot_day',
    sa.Column('lot_id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('day', sa.Date, nullable=False),
    sa.Column('came_ucr', sa.BigInteger, nullable=False),
    sa.Column('used_ucr', sa.BigInteger, nullable=False),
    sa.Column('total_ucr', sa.BigInteger, nullable=False),
    sa.ForeignKeyConstraint(['day'], ['summed_day.day'], name='fk_lot_day__day'),
    sa.ForeignKeyConstraint(['lot_id'], ['lot.id'], name='fk_lot_day__lot_id'),
    sa.PrimaryKeyConstraint('lot_id', 'day', name='pk_lot_day')
    )
    for table in NEVER_CHANGED:
        op.execute(f"CREATE TRIGGER {table}_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")


def downgrade() -> None:
    """Take back."""
    for table in reversed(TABLES):
        op.drop_table(table)
