"""Thresholds and the daily digest."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0016_pacing"
down_revision = "0015_allowances"
branch_labels = None
depends_on = None

UUID = pg.UUID(as_uuid=True)
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Build."""
    op.create_table(
        "credit_watch",
        sa.Column("person_id", UUID, nullable=False),
        sa.Column("wallet_id", UUID, nullable=False),
        sa.Column("below_ucr", sa.BigInteger, nullable=True),
        sa.Column("days_left", sa.BigInteger, nullable=True),
        sa.Column("lot_days", sa.BigInteger, nullable=True),
        sa.Column("lot_over_ucr", sa.BigInteger, nullable=True),
        sa.Column("used_percent", sa.BigInteger, nullable=True),
        sa.Column("idle_days", sa.BigInteger, nullable=True),
        sa.Column("set_at", INSTANT, nullable=False),
        sa.CheckConstraint("below_ucr > 0 AND lot_over_ucr >= 0", name=op.f("ck_credit_watch__amounts")),
        sa.CheckConstraint("days_left BETWEEN 1 AND 365 AND lot_days BETWEEN 1 AND 365", name=op.f("ck_credit_watch__days")),
        sa.CheckConstraint("idle_days BETWEEN 1 AND 60", name=op.f("ck_credit_watch__idle_days")),
        sa.CheckConstraint("used_percent BETWEEN 1 AND 100", name=op.f("ck_credit_watch__used_percent")),
        sa.CheckConstraint("(lot_days IS NULL) = (lot_over_ucr IS NULL)", name=op.f("ck_credit_watch__lot_has_both")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_credit_watch__person_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name="fk_credit_watch__wallet_id"),
        sa.PrimaryKeyConstraint("person_id", "wallet_id", name="pk_credit_watch"),
    )
    op.create_table(
        "credit_warning",
        sa.Column("id", UUID, nullable=False),
        sa.Column("person_id", UUID, nullable=False),
        sa.Column("wallet_id", UUID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("lot_id", UUID, nullable=True),
        sa.Column("told_at", INSTANT, nullable=False),
        sa.CheckConstraint("kind IN ('balance', 'days_left', 'lot_ending', 'used', 'idle')", name=op.f("ck_credit_warning__kind")),
        sa.CheckConstraint("(kind = 'lot_ending') = (lot_id IS NOT NULL)", name=op.f("ck_credit_warning__lot_of_kind")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_credit_warning__person_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name="fk_credit_warning__wallet_id"),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_credit_warning__lot_id"),
        sa.PrimaryKeyConstraint("id", name="pk_credit_warning"),
    )
    op.create_index(
        "uq_credit_warning__once", "credit_warning", ["person_id", "wallet_id", "kind", "lot_id"], unique=True, postgresql_nulls_not_distinct=True
    )
    op.create_table(
        "credit_digest",
        sa.Column("person_id", UUID, nullable=False),
        sa.Column("last_on", sa.Date, nullable=True),
        sa.Column("is_off", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_credit_digest__person_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("person_id", name="pk_credit_digest"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("credit_digest")
    op.drop_table("credit_warning")
    op.drop_table("credit_watch")
