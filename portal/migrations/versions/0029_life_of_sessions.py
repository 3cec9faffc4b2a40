"""The life of a session."""

revision = "0029_life_of_sessions"
down_revision = "0028_energy"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
