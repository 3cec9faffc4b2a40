"""Thresholds and the daily digest."""

revision = "0016_pacing"
down_revision = "0015_allowances"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
