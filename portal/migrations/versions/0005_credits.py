"""Credits tables."""

revision = "0005_credits"
down_revision = "0004_projects"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take back."""
