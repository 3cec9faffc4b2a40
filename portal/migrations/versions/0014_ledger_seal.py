"""The block hash chain over the journal."""

revision = "0014_ledger_seal"
down_revision = "0013_statements"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take back."""
