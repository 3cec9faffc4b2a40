"""Prices, bank transfers, invoices and credit notes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0011_papers"
down_revision = "0010_payments"
branch_labels = None
depends_on = None

TABLES = ['price_list', 'price_step', 'bank_transfer', 'document_series', 'document']
NEVER_CHANGED = ['price_list', 'price_step', 'document']
NEVER_DELETED = ['bank_transfer', 'document_series']


def upgrade() -> None:
    """Build."""
    op.create_table('document_series',
    sa.Column('series', sa.Text, nullable=False),
    sa.Column('year', sa.BigInteger, nullable=False),
    sa.Column('last_number', sa.BigInteger, nullable=False),
    sa.CheckConstraint('last_number >= 0', name=op.f('ck_document_series__number')),
    sa.PrimaryKeyConstraint('series', 'year', name='pk_document_series')
    )
    op.create_table('price_list',
    sa.Column('id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('number', sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('published_by_id', pg.UUID(as_uuid=True)),
    sa.ForeignKeyConstraint(['published_by_id'], ['person.id'], name='fk_price_list__published_by_id'),
    sa.PrimaryKeyConstraint('id', name='pk_price_list'),
    sa.UniqueConstraint('number', name='uq_price_list__number'),
    sa.UniqueConstraint('starts_at', name='uq_price_list__starts_at')
    )
    op.create_table('price_step',
    sa.Column('price_list_id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('currency', sa.Text, nullable=False),
    sa.Column('from_credits', sa.BigInteger, nullable=False),
    sa.Column('unit_minor', sa.BigInteger, nullable=False),
    sa.CheckConstraint("currency IN ('MAD', 'EUR', 'USD')", name=op.f('ck_price_step__currency')),
    sa.CheckConstraint('from_credits > 0 AND unit_minor > 0', name=op.f('ck_price_step__amounts')),
    sa.ForeignKeyConstraint(['price_list_id'], ['price_list.id'], name='fk_price_step__price_list_id'),
    sa.PrimaryKeyConstraint('price_list_id', 'currency', 'from_credits', name='pk_price_step')
    )
    op.create_table('bank_transfer',
    sa.Column('id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('number', sa.BigInteger, sa.Identity(always=True), nullable=False),
    sa.Column('bank_line', sa.Text, nullable=False),
    sa.Column('arrived_on', sa.Date, nullable=False),
    sa.Column('currency', sa.Text, nullable=False),
    sa.Column('amount_minor', sa.BigInteger, nullable=False),
    sa.Column('payer', sa.Text, nullable=False),
    sa.Column('text', sa.Text, nullable=False),
    sa.Column('state', sa.Text, nullable=False),
    sa.Column('purchase_id', pg.UUID(as_uuid=True)),
    sa.Column('entered_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('entered_by_id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('matched_by_id', pg.UUID(as_uuid=True)),
    sa.Column('approved_by_id', pg.UUID(as_uuid=True)),
    sa.Column('decided_at', sa.DateTime(timezone=True)),
    sa.Column('note', sa.Text),
    sa.CheckConstraint("(state = 'approved') = (approved_by_id IS NOT NULL) AND (approved_by_id IS NULL OR approved_by_id IS DISTINCT FROM matched_by_id)", name=op.f('ck_bank_transfer__second_person')),
    sa.CheckConstraint("(state IN ('matched', 'approved')) = (purchase_id IS NOT NULL)", name=op.f('ck_bank_transfer__matched_has_purchase')),
    sa.CheckConstraint("currency IN ('MAD', 'EUR', 'USD')", name=op.f('ck_bank_transfer__currency')),
    sa.CheckConstraint("state IN ('unmatched', 'matched', 'approved', 'set_aside')", name=op.f('ck_bank_transfer__state')),
    sa.CheckConstraint('(purchase_id IS NULL) = (matched_by_id IS NULL)', name=op.f('ck_bank_transfer__matched_has_person')),
    sa.CheckConstraint('amount_minor > 0', name=op.f('ck_bank_transfer__amount_positive')),
    sa.ForeignKeyConstraint(['approved_by_id'], ['person.id'], name='fk_bank_transfer__approved_by_id'),
    sa.ForeignKeyConstraint(['entered_by_id'], ['person.id'], name='fk_bank_transfer__entered_by_id'),
    sa.ForeignKeyConstraint(['matched_by_id'], ['person.id'], name='fk_bank_transfer__matched_by_id'),
    sa.ForeignKeyConstraint(['purchase_id'], ['purchase.id'], name='fk_bank_transfer__purchase_id'),
    sa.PrimaryKeyConstraint('id', name='pk_bank_transfer'),
    sa.UniqueConstraint('bank_line', name='uq_bank_transfer__bank_line'),
    sa.UniqueConstraint('number', name='uq_bank_transfer__number')
    )
    op.create_index('ix_bank_transfer__open', 'bank_transfer', ['id'], postgresql_where=sa.text("state IN ('unmatched', 'matched')"))
    op.create_table('document',
    sa.Column('id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('kind', sa.Text, nullable=False),
    sa.Column('series', sa.Text, nullable=False),
    sa.Column('year', sa.BigInteger, nullable=False),
    sa.Column('number', sa.BigInteger, nullable=False),
    sa.Column('purchase_id', pg.UUID(as_uuid=True), nullable=False),
    sa.Column('cause', sa.Text, nullable=False),
    sa.Column('invoice_id', pg.UUID(as_uuid=True)),
    sa.Column('currency', sa.Text, nullable=False),
    sa.Column('net_minor', sa.BigInteger, nullable=False),
    sa.Column('vat_minor', sa.BigInteger, nullable=False),
    sa.Column('gross_minor', sa.BigInteger, nullable=False),
    sa.Column('vat_rate_ppm', sa.BigInteger, nullable=False),
    sa.Column('content', pg.JSONB, nullable=False),
    sa.Column('language', sa.Text, nullable=False),
    sa.Column('issued_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("(kind = 'credit_note') = (invoice_id IS NOT NULL)", name=op.f('ck_document__credit_note_has_invoice')),
    sa.CheckConstraint("(kind = 'invoice') = (gross_minor > 0)", name=op.f('ck_document__sign')),
    sa.CheckConstraint("kind IN ('invoice', 'credit_note')", name=op.f('ck_document__kind')),
    sa.CheckConstraint('gross_minor = net_minor + vat_minor', name=op.f('ck_document__gross')),
    sa.ForeignKeyConstraint(['invoice_id'], ['document.id'], name='fk_document__invoice_id'),
    sa.ForeignKeyConstraint(['purchase_id'], ['purchase.id'], name='fk_document__purchase_id'),
    sa.PrimaryKeyConstraint('id', name='pk_document'),
    sa.UniqueConstraint('cause', name='uq_document__cause'),
    sa.UniqueConstraint('series', 'year', 'number', name='uq_document__series_year_number')
    )
    op.create_index('ix_document__purchase', 'document', ['purchase_id', 'id'])
    for table in NEVER_CHANGED:
        op.execute(f"CREATE TRIGGER {table}_never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    for table in NEVER_DELETED:
        op.execute(f"CREATE TRIGGER {table}_never_deleted BEFORE DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")


def downgrade() -> None:
    """Take back."""
    for table in reversed(TABLES):
        op.drop_table(table)
