"""Payments: purchases, payment events, refunds, disputes."""

revision = "0010_payments"
down_revision = "0009_ledger_life"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take back."""
