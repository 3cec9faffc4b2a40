"""Identity tables."""

revision = "0002_identity"
down_revision = "0001_core"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take back."""
