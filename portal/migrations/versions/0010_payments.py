"""Payments: purchases, payment events, refunds, disputes, the balance and its differences."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0010_payments"
down_revision = "0009_ledger_life"
branch_labels = None
depends_on = None

TABLES = ['purchase', 'payment_event', 'refund', 'dispute', 'balance_line', 'difference']
NEVER_CHANGED = ['balance_line']
NEVER_DELETED = ['purchase', 'payment_event', 'refund', 'dispute', 'difference']

# What a payment event and a purchase said at first stays as it was.


def upgrade() -> None:
    """Build."""
    op.create_table('balance_line',
    sa.Column('psp_id', sa.Text, nullable=False),
    sa.Column('kind', sa.Text, nullable=False),
    sa.Column('source_id', sa.Text, nullable=False),
    sa.Column('currency', sa.Text, nullable=False),
    sa.Column('amount_minor', sa.BigInteger, nullable=False),
    sa.Column('fee_minor', sa.BigInteger, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('read_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('psp_id', name='pk_balance_line')
    )
    op.create_index('ix_balance_line__created', 'balance_line', ['created_at', 'psp_id'])
    op.create_table('payment_event',
    sa.Column('event_id', sa.Text, nullable=False),
    sa.Column('kind', sa.Text, nullable=False),
    sa.Column('object_id', sa.Text, nullable=False),
    sa.Column('payment_id', sa.Text),
    sa.Column('is_live', sa.Boolean, nullable=False),
    sa.Column('source', sa.Text, nullable=False),
    sa.Column('payload', pg.JSONB, nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('handled_at', sa.DateTime(timezone=True)),
    sa.Column('problem', sa.Text),
    sa.CheckConstraint("source IN ('webhook', 'poll')", name=op.f('ck_payment_event__source')),
    sa.PrimaryKeyConstraint('event_id', name='pk_payment_event')
    )
    op.create_index('ix_payment_event__created', 'payment_event', ['created_at'])
    op.create_index('ix_payment_event__waiting', 'payment_event', ['received_at'], postgresql_where=sa.text('handled_at IS NULL'))
    op.create_table('difference',
    sa.Column('id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('number', sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.Column('key', sa.Text, nullable=False),
    sa.Column('what', sa.Text, nullable=False),
    sa.Column('currency', sa.Text, nullable=False),
    sa.Column('amount_minor', sa.BigInteger, nullable=False),
    sa.Column('state', sa.Text, nullable=False),
    sa.Column('found_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('resolved_at', sa.DateTime(timezone=True)),
    sa.Column('resolved_by_id', pg.UUID(as_uuid=True)),
    sa.Column('resolution', sa.Text),
    sa.CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL) AND (resolved_at IS NULL) = (resolution IS NULL)", name=op.f('ck_difference__resolved')),
    sa.CheckConstraint("state IN ('open', 'resolved')", name=op.f('ck_difference__state')),
    sa.ForeignKeyConstraint(['resolved_by_id'], ['person.id'], name='fk_difference__resolved_by_id'),
    sa.PrimaryKeyConstraint('id', name='pk_difference'),
    sa.UniqueConstraint('key', name='uq_difference__key'),
    sa.UniqueConstraint('number', name='uq_difference__number')
    )
    op.create_index('ix_difference__open', 'difference', ['id'], postgresql_where=sa.text("state = 'open'"))
    op.create_table('purchase',
    sa.Column('id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('number', sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.Column('wallet_id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('buyer_id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('method', sa.Text, nullable=False),
    sa.Column('state', sa.Text, nullable=False),
    sa.Column('credits_ucr', sa.BigInteger, nullable=False),
    sa.Column('currency', sa.Text, nullable=False),
    sa.Column('unit_minor', sa.BigInteger, nullable=False),
    sa.Column('net_minor', sa.BigInteger, nullable=False),
    sa.Column('vat_minor', sa.BigInteger, nullable=False),
    sa.Column('gross_minor', sa.BigInteger, nullable=False),
    sa.Column('vat_rate_ppm', sa.BigInteger, nullable=False),
    sa.Column('price_list_id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('bill_to', pg.JSONB, nullable=False),
    sa.Column('language', sa.Text, nullable=False),
    sa.Column('placed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('checkout_count', sa.BigInteger, nullable=False),
    sa.Column('checkout_id', sa.Text),
    sa.Column('checkout_url', sa.Text),
    sa.Column('checkout_expires_at', sa.DateTime(timezone=True)),
    sa.Column('payment_id', sa.Text),
    sa.Column('paid_at', sa.DateTime(timezone=True)),
    sa.Column('ended_at', sa.DateTime(timezone=True)),
    sa.CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name=op.f('ck_purchase__paid_has_time')),
    sa.CheckConstraint("currency IN ('MAD', 'EUR', 'USD')", name=op.f('ck_purchase__currency')),
    sa.CheckConstraint("method IN ('card', 'bank')", name=op.f('ck_purchase__method')),
    sa.CheckConstraint("state <> 'paid' OR payment_id IS NOT NULL", name=op.f('ck_purchase__paid_has_payment')),
    sa.CheckConstraint("state IN ('placed', 'awaiting', 'paid', 'failed', 'expired', 'cancelled')", name=op.f('ck_purchase__state')),
    sa.CheckConstraint('credits_ucr > 0 AND unit_minor > 0 AND net_minor > 0 AND vat_minor >= 0', name=op.f('ck_purchase__amounts')),
    sa.CheckConstraint('gross_minor = net_minor + vat_minor', name=op.f('ck_purchase__gross')),
    sa.ForeignKeyConstraint(['buyer_id'], ['person.id'], name='fk_purchase__buyer_id'),
    sa.ForeignKeyConstraint(['wallet_id'], ['wallet.id'], name='fk_purchase__wallet_id'),
    sa.PrimaryKeyConstraint('id', name='pk_purchase'),
    sa.UniqueConstraint('checkout_id', name='uq_purchase__checkout_id'),
    sa.UniqueConstraint('number', name='uq_purchase__number'),
    sa.UniqueConstraint('payment_id', name='uq_purchase__payment_id')
    )
    op.create_index('ix_purchase__state', 'purchase', ['state', 'id'])
    op.create_index('ix_purchase__wallet', 'purchase', ['wallet_id', 'id'])
    op.create_table('dispute',
    sa.Column('id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('psp_id', sa.Text, nullable=False),
    sa.Column('purchase_id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('amount_minor', sa.BigInteger, nullable=False),
    sa.Column('state', sa.Text, nullable=False),
    sa.Column('reason', sa.Text, nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True)),
    sa.CheckConstraint("(state = 'open') = (ended_at IS NULL)", name=op.f('ck_dispute__ended_has_time')),
    sa.CheckConstraint("state IN ('open', 'won', 'lost')", name=op.f('ck_dispute__state')),
    sa.CheckConstraint('amount_minor > 0', name=op.f('ck_dispute__amount_positive')),
    sa.ForeignKeyConstraint(['purchase_id'], ['purchase.id'], name='fk_dispute__purchase_id'),
    sa.PrimaryKeyConstraint('id', name='pk_dispute'),
    sa.UniqueConstraint('psp_id', name='uq_dispute__psp_id')
    )
    op.create_index('ix_dispute__purchase', 'dispute', ['purchase_id', 'id'])
    op.create_table('refund',
    sa.Column('id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('number', sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.Column('purchase_id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('amount_minor', sa.BigInteger, nullable=False),
    sa.Column('state', sa.Text, nullable=False),
    sa.Column('reason', sa.Text, nullable=False),
    sa.Column('psp_id', sa.Text),
    sa.Column('asked_by_id', pg.UUID(as_uuid=True)),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('decided_by_id', pg.UUID(as_uuid=True)),
    sa.Column('decided_at', sa.DateTime(timezone=True)),
    sa.Column('ended_at', sa.DateTime(timezone=True)),
    sa.CheckConstraint("state IN ('waiting', 'approved', 'pending', 'done', 'failed', 'declined')", name=op.f('ck_refund__state')),
    sa.CheckConstraint('amount_minor > 0', name=op.f('ck_refund__amount_positive')),
    sa.CheckConstraint('decided_by_id IS NULL OR decided_by_id IS DISTINCT FROM asked_by_id', name=op.f('ck_refund__second_person')),
    sa.ForeignKeyConstraint(['asked_by_id'], ['person.id'], name='fk_refund__asked_by_id'),
    sa.ForeignKeyConstraint(['decided_by_id'], ['person.id'], name='fk_refund__decided_by_id'),
    sa.ForeignKeyConstraint(['purchase_id'], ['purchase.id'], name='fk_refund__purchase_id'),
    sa.PrimaryKeyConstraint('id', name='pk_refund'),
    sa.UniqueConstraint('number', name='uq_refund__number'),
    sa.UniqueConstraint('psp_id', name='uq_refund__psp_id')
    )
    op.create_index('ix_refund__open', 'refund', ['id'], postgresql_where=sa.text("state IN ('waiting', 'approved', 'pending')"))
    op.create_index('ix_refund__purchase', 'refund', ['purchase_id', 'id'])
    for table in NEVER_CHANGED:
        op.execute(f"CREATE TRIGGER {table}_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    for table in NEVER_DELETED:
        op.execute(f"CREATE TRIGGER {table}_never_deleted BEFORE DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    op.execute(
        "CREATE TRIGGER payment_event_kept BEFORE UPDATE OF event_id, kind, object_id, payment_id, is_live, source, payload, created_at, received_at"
        " ON payment_event FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER purchase_kept BEFORE UPDATE OF id, wallet_id, buyer_id, credits_ucr, currency, unit_minor, net_minor, vat_minor, gross_minor,"
        " vat_rate_ppm, price_list_id, placed_at ON purchase FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def downgrade() -> None:
    """Take back."""
    for table in reversed(TABLES):
        op.drop_table(table)
