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


# What was given for a fault was called an incident; the fault itself has that name now.
RENAMED = ("pk", "fk__wallet_id", "fk__lot_id", "uq__number", "uq__lot_id", "uq__rule_session_id", "ck__rule", "ck__amounts")
CAUSES = "'person', 'staff', 'duration', 'credit', 'suspended', 'no_evidence', 'itself'"


def upgrade() -> None:
    """Build."""
    _adjustments()
    _supplements()
    _rename("incident", "make_good")
    _incidents()
    op.add_column("make_good", sa.Column("incident_id", UUID))
    op.create_foreign_key("fk_make_good__incident_id", "make_good", "incident", ["incident_id"], ["id"])
    op.create_index("ix_make_good__incident", "make_good", ["incident_id"], postgresql_where=sa.text("incident_id IS NOT NULL"))
    once = sa.text("rule IN ('failed_start', 'node_death', 'outage')")
    op.create_index("uq_make_good__session", "make_good", ["session_id"], unique=True, postgresql_where=once)
    op.add_column("compute_session", sa.Column("idle_from_at", INSTANT))
    op.create_check_constraint(op.f("ck_compute_session__idle_is_cause"), "compute_session", "idle_from_at IS NULL OR stop_cause = 'idle'")
    _causes("'person', 'staff', 'duration', 'credit', 'suspended', 'no_evidence', 'idle', 'itself'")


def downgrade() -> None:
    """Take down; only where no session was stopped for idleness."""
    op.drop_column("compute_session", "idle_from_at")
    _causes(CAUSES)
    op.drop_index("uq_make_good__session", "make_good")
    op.drop_column("make_good", "incident_id")
    op.drop_table("incident_session")
    op.drop_table("incident")
    _rename("make_good", "incident")
    op.drop_column("grant_request", "supplements_lot_id")
    op.drop_column("lot", "supplements_lot_id")
    op.drop_table("adjustment")


def _rename(old: str, new: str) -> None:
    op.rename_table(old, new)
    for name in RENAMED:
        kind, _, rest = name.partition("__")
        tail = f"__{rest}" if rest else ""
        op.execute(f"ALTER TABLE {new} RENAME CONSTRAINT {kind}_{old}{tail} TO {kind}_{new}{tail}")
    op.execute(f"ALTER INDEX ix_{old}__wallet RENAME TO ix_{new}__wallet")
    op.execute(f"ALTER SEQUENCE {old}_number_seq RENAME TO {new}_number_seq")
    op.execute(f"ALTER TRIGGER {old}_never_changed ON {new} RENAME TO {new}_never_changed")


def _causes(causes: str) -> None:
    op.drop_constraint(op.f("ck_compute_session__stop_cause"), "compute_session")
    op.create_check_constraint(op.f("ck_compute_session__stop_cause"), "compute_session", f"stop_cause IN ({causes})")


def _incidents() -> None:
    op.create_table(
        "incident",
        sa.Column("id", UUID, nullable=False),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("node_id", UUID, nullable=True),
        sa.Column("starts_at", INSTANT, nullable=False),
        sa.Column("ends_at", INSTANT, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("opened_by_id", UUID, nullable=True),
        sa.Column("asked_ucr", sa.BigInteger, nullable=True),
        sa.Column("asked_by_id", UUID, nullable=True),
        sa.Column("takes_two", sa.Boolean, nullable=False),
        sa.Column("decided_at", INSTANT, nullable=True),
        sa.Column("decided_by_id", UUID, nullable=True),
        sa.CheckConstraint("kind IN ('failed_start', 'node_death', 'outage')", name=op.f("ck_incident__kind")),
        sa.CheckConstraint("state IN ('open', 'waiting', 'giving', 'made_good', 'dismissed')", name=op.f("ck_incident__state")),
        sa.CheckConstraint("starts_at <= ends_at", name=op.f("ck_incident__times")),
        sa.CheckConstraint(
            "(asked_by_id IS NULL) = (asked_ucr IS NULL) AND (state <> 'waiting' OR asked_by_id IS NOT NULL)", name=op.f("ck_incident__asked")
        ),
        sa.CheckConstraint(
            "NOT takes_two OR state NOT IN ('giving', 'made_good') OR decided_by_id <> asked_by_id", name=op.f("ck_incident__second_person")
        ),
        sa.ForeignKeyConstraint(["node_id"], ["compute_node.id"], name="fk_incident__node_id"),
        sa.ForeignKeyConstraint(["opened_by_id"], ["person.id"], name="fk_incident__opened_by_id"),
        sa.ForeignKeyConstraint(["asked_by_id"], ["person.id"], name="fk_incident__asked_by_id"),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name="fk_incident__decided_by_id"),
        sa.PrimaryKeyConstraint("id", name="pk_incident"),
        sa.UniqueConstraint("number", name="uq_incident__number"),
    )
    op.create_index("ix_incident__kind", "incident", ["kind", "ends_at"])
    op.create_table(
        "incident_session",
        sa.Column("incident_id", UUID, nullable=False),
        sa.Column("session_id", UUID, nullable=False),
        sa.Column("duration_s", sa.BigInteger, nullable=False),
        sa.Column("amount_ucr", sa.BigInteger, nullable=False),
        sa.Column("late_ucr", sa.BigInteger, nullable=False),
        sa.Column("given_at", INSTANT, nullable=True),
        sa.CheckConstraint(
            "duration_s >= 0 AND amount_ucr >= 0 AND late_ucr >= 0 AND amount_ucr + late_ucr > 0", name=op.f("ck_incident_session__amounts")
        ),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name="fk_incident_session__incident_id"),
        sa.ForeignKeyConstraint(["session_id"], ["compute_session.id"], name="fk_incident_session__session_id"),
        sa.PrimaryKeyConstraint("incident_id", "session_id", name="pk_incident_session"),
        sa.UniqueConstraint("session_id", name="uq_incident_session__session_id"),
    )
    op.create_index("ix_incident_session__waiting", "incident_session", ["incident_id"], postgresql_where=sa.text("given_at IS NULL"))


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
