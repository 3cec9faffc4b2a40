"""Weekly allowances and requests for more."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0015_allowances"
down_revision = "0014_ledger_seal"
branch_labels = None
depends_on = None

UUID = pg.UUID(as_uuid=True)
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Build."""
    op.create_table(
        "compute_allowance",
        sa.Column("id", UUID, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("person_id", UUID, nullable=True),
        sa.Column("weekly_ucr", sa.BigInteger, nullable=False),
        sa.Column("set_at", INSTANT, nullable=False),
        sa.CheckConstraint("weekly_ucr >= 0", name=op.f("ck_compute_allowance__amount")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_compute_allowance__project_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_compute_allowance__person_id"),
        sa.PrimaryKeyConstraint("id", name="pk_compute_allowance"),
    )
    op.create_index("uq_compute_allowance__member", "compute_allowance", ["project_id", "person_id"], unique=True, postgresql_nulls_not_distinct=True)
    op.create_table(
        "compute_allowance_ask",
        sa.Column("id", UUID, nullable=False),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("person_id", UUID, nullable=False),
        sa.Column("asked_ucr", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("answered_at", INSTANT, nullable=True),
        sa.Column("answered_by_id", UUID, nullable=True),
        sa.Column("given_ucr", sa.BigInteger, nullable=True),
        sa.Column("week_on", sa.Date, nullable=True),
        sa.Column("is_lasting", sa.Boolean, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.CheckConstraint("state IN ('open', 'accepted', 'declined', 'withdrawn')", name=op.f("ck_compute_allowance_ask__state")),
        sa.CheckConstraint("asked_ucr > 0 AND given_ucr > 0", name=op.f("ck_compute_allowance_ask__amounts")),
        sa.CheckConstraint(
            "(state = 'accepted') = (given_ucr IS NOT NULL AND week_on IS NOT NULL)", name=op.f("ck_compute_allowance_ask__accepted_has_amount")
        ),
        sa.CheckConstraint("(state = 'open') = (answered_at IS NULL)", name=op.f("ck_compute_allowance_ask__answered_has_time")),
        sa.CheckConstraint("length(reason) BETWEEN 1 AND 400 AND length(answer) <= 400", name=op.f("ck_compute_allowance_ask__lengths")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_compute_allowance_ask__project_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_compute_allowance_ask__person_id"),
        sa.ForeignKeyConstraint(["answered_by_id"], ["person.id"], name="fk_compute_allowance_ask__answered_by_id"),
        sa.PrimaryKeyConstraint("id", name="pk_compute_allowance_ask"),
        sa.UniqueConstraint("number", name="uq_compute_allowance_ask__number"),
    )
    op.create_index(
        "uq_compute_allowance_ask__open", "compute_allowance_ask", ["project_id", "person_id"], unique=True, postgresql_where=sa.text("state = 'open'")
    )
    op.create_index("ix_compute_allowance_ask__member", "compute_allowance_ask", ["project_id", "person_id", "week_on"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("compute_allowance_ask")
    op.drop_table("compute_allowance")
