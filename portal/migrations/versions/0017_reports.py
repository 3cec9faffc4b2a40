"""What fund and cohort reports, corrections and extensions need."""

revision = "0017_reports"
down_revision = "0016_pacing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take down."""
