"""Bookings."""

revision = "0022_bookings"
down_revision = "0021_jobs"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
