"""Learning tables."""

revision = "0007_learning"
down_revision = "0006_compute"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take back."""
