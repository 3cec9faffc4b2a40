"""The pool: GPU types, quotas, calendars."""

revision = "0018_pool"
down_revision = "0017_reports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
