"""What the engines Slurm and Kubernetes need."""

revision = "0020_engines"
down_revision = "0019_queue"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
