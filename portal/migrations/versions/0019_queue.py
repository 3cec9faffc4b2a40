"""The queue, promises and fair share."""

revision = "0019_queue"
down_revision = "0018_pool"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
