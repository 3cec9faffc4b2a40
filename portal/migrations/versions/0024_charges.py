"""What a wallet tells of its last reconciliation."""

import sqlalchemy as sa
from alembic import op

revision = "0024_charges"
down_revision = "0023_ledger_rest"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Build."""
    op.create_table(
        "reconciliation",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("looked_at", INSTANT, nullable=False),
        sa.Column("agreed_at", INSTANT, nullable=True),
        sa.Column("compared", sa.BigInteger, nullable=False),
        sa.Column("problems", sa.BigInteger, nullable=False),
        sa.CheckConstraint("kind IN ('metering', 'provider', 'ledger')", name=op.f("ck_reconciliation__kind")),
        sa.CheckConstraint("compared >= 0 AND problems >= 0", name=op.f("ck_reconciliation__counts")),
        sa.PrimaryKeyConstraint("kind", name="pk_reconciliation"),
    )


def downgrade() -> None:
    """Take down."""
    op.drop_table("reconciliation")
