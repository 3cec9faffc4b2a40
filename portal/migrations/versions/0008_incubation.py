"""Incubation tables."""

revision = "0008_incubation"
down_revision = "0007_learning"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take back."""
