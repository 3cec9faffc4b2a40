"""Prices that change while sessions run."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0023_ledger_rest"
down_revision = "0022_bookings"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""
    op.add_column("compute_session", sa.Column("told_price_id", pg.UUID(as_uuid=True), nullable=True))
    op.create_foreign_key("fk_compute_session__told_price_id", "compute_session", "price_version", ["told_price_id"], ["id"])


def downgrade() -> None:
    """Take down."""
    op.drop_column("compute_session", "told_price_id")
