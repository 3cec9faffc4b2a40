"""Training jobs."""

revision = "0021_jobs"
down_revision = "0020_engines"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
