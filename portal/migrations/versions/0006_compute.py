"""Compute tables."""

revision = "0006_compute"
down_revision = "0005_credits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take back."""
