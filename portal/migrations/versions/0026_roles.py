"""Who may write what."""

revision = "0026_roles"
down_revision = "0025_life"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
