"""Prices, bank orders, invoices and credit notes."""

revision = "0011_papers"
down_revision = "0010_payments"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""


def downgrade() -> None:
    """Take back."""
