"""Statements, month close, reports."""

revision = "0013_statements"
down_revision = "0012_pacing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take back."""
