"""Faults of the hub and what was made good for them."""

revision = "0025_life"
down_revision = "0024_charges"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
