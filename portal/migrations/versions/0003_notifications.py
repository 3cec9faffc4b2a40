"""Notifications tables."""

revision = "0003_notifications"
down_revision = "0002_identity"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take back."""
