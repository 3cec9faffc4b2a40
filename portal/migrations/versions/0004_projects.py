"""Projects tables."""

revision = "0004_projects"
down_revision = "0003_notifications"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take back."""
