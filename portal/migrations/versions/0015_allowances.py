"""Weekly allowances and requests for more."""

revision = "0015_allowances"
down_revision = "0014_ledger_seal"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
