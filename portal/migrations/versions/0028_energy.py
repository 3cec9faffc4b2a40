"""Energy."""

revision = "0028_energy"
down_revision = "0027_evidence"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
