"""Faults of the hub and what was made good for them; adjustments by finance; supplements of grants."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0025_life"
down_revision = "0024_charges"
branch_labels = None
depends_on = None

UUID = pg.UUID(as_uuid=True)
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Build."""
    _adjustments()
    _supplements()


def downgrade() -> None:
    """Take down."""
    op.drop_column("grant_request", "supplements_lot_id")
    op.drop_column("lot", "supplements_lot_id")
    op.drop_table("adjustment")


def _adjustments() -> None:
    op.create_table(
        "adjustment",
        sa.Column("id", UUID, nullable=False),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("wallet_id", UUID, nullable=False),
        sa.Column("meter_id", UUID, nullable=True),
        sa.Column("from_s", sa.BigInteger, nullable=True),
        sa.Column("lot_id", UUID, nullable=True),
        sa.Column("expires_at", INSTANT, nullable=True),
        sa.Column("amount_ucr", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("takes_two", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("asked_by_id", UUID, nullable=False),
        sa.Column("decided_at", INSTANT, nullable=True),
        sa.Column("decided_by_id", UUID, nullable=True),
        sa.CheckConstraint("kind IN ('correction', 'write_off', 'extension')", name=op.f("ck_adjustment__kind")),
        sa.CheckConstraint("state IN ('waiting', 'booked', 'declined', 'withdrawn')", name=op.f("ck_adjustment__state")),
        sa.CheckConstraint(
            "(kind = 'correction') = (meter_id IS NOT NULL) AND (meter_id IS NULL) = (from_s IS NULL) AND from_s >= 0", name=op.f("ck_adjustment__correction")
        ),
        sa.CheckConstraint("(kind = 'extension') = (lot_id IS NOT NULL) AND (lot_id IS NULL) = (expires_at IS NULL)", name=op.f("ck_adjustment__extension")),
        sa.CheckConstraint("amount_ucr > 0", name=op.f("ck_adjustment__amount_positive")),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_adjustment__has_reason")),
        sa.CheckConstraint(
            "(state = 'waiting') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by_id IS NULL)", name=op.f("ck_adjustment__decision")
        ),
        sa.CheckConstraint("state <> 'booked' OR NOT takes_two OR decided_by_id <> asked_by_id", name=op.f("ck_adjustment__second_person")),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"], name="fk_adjustment__wallet_id"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_adjustment__meter_id"),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_adjustment__lot_id"),
        sa.ForeignKeyConstraint(["asked_by_id"], ["person.id"], name="fk_adjustment__asked_by_id"),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name="fk_adjustment__decided_by_id"),
        sa.PrimaryKeyConstraint("id", name="pk_adjustment"),
        sa.UniqueConstraint("number", name="uq_adjustment__number"),
    )
    op.create_index("ix_adjustment__wallet", "adjustment", ["wallet_id", "id"])
    op.create_index("ix_adjustment__waiting", "adjustment", ["id"], postgresql_where=sa.text("state = 'waiting'"))


def _supplements() -> None:
    for table in ("lot", "grant_request"):
        op.add_column(table, sa.Column("supplements_lot_id", UUID))
        op.create_foreign_key(f"fk_{table}__supplements_lot_id", table, "lot", ["supplements_lot_id"], ["id"])
    op.create_check_constraint(op.f("ck_lot__supplement_is_grant"), "lot", "supplements_lot_id IS NULL OR origin = 'grant'")
    op.create_index("ix_lot__supplements", "lot", ["supplements_lot_id"], postgresql_where=sa.text("supplements_lot_id IS NOT NULL"))
