"""Life of a lot: purchased lots, transfers, make-good, cash lines."""

revision = "0009_ledger_life"
down_revision = "0008_incubation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take back."""
