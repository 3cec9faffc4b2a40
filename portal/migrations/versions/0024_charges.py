"""What a wallet tells of its last reconciliation."""

revision = "0024_charges"
down_revision = "0023_ledger_rest"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
