"""Evidence of sessions and its recovery."""

revision = "0027_evidence"
down_revision = "0026_roles"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
