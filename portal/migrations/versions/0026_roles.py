"""What the portal's role may do through the tables' owner alone."""

from alembic import op

revision = "0026_roles"
down_revision = "0025_life"
branch_labels = None
depends_on = None

# A lock that keeps bookings out takes a privilege to change them, which the portal's role does not have.
LOCK_JOURNAL = """
CREATE FUNCTION lock_journal() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    LOCK TABLE ledger_month IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE ledger_transaction IN SHARE MODE;
END $$
"""


def upgrade() -> None:
    """Build."""
    op.execute(LOCK_JOURNAL)


def downgrade() -> None:
    """Take down."""
    op.execute("DROP FUNCTION lock_journal()")
