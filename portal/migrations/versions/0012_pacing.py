"""Allowances, thresholds and pacing."""

revision = "0012_pacing"
down_revision = "0011_papers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take back."""
