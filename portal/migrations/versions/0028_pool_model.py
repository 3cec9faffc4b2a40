"""The pool: types of devices, states of nodes, windows, quotas."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0028_pool_model"
down_revision = "0027_queue"
branch_labels = None
depends_on = None

UUID = pg.UUID(as_uuid=True)
INSTANT = sa.DateTime(timezone=True)
# Types of the classes that a pool may have already; a class of another name becomes a whole GPU of its own name.
KNOWN = """
INSERT INTO device_type (id, slug, name, memory_gb, mig_profile, slices_per_gpu, idle_w, full_w)
SELECT gen_random_uuid(), c.slug, coalesce(k.name, jsonb_build_object('en', c.slug)), coalesce(k.memory_gb, 0), k.mig_profile,
    coalesce(k.slices_per_gpu, 1), coalesce(k.idle_w, 0), coalesce(k.full_w, 700)
FROM (SELECT device_class AS slug FROM compute_device UNION SELECT device_class FROM compute_profile) c
LEFT JOIN (VALUES
    ('seat', '{"en": "Seat without a GPU", "fr": "Place sans GPU", "ar": "مقعد بدون معالج رسومي"}'::jsonb, 0, NULL, 1, 5, 50),
    ('h100-10', '{"en": "H100 slice, 10 GB", "fr": "Tranche de H100, 10 Go", "ar": "شريحة H100 بسعة 10 غيغابايت"}'::jsonb, 10, '1g.10gb', 7, 10, 120),
    ('h100-40', '{"en": "H100 slice, 40 GB", "fr": "Tranche de H100, 40 Go", "ar": "شريحة H100 بسعة 40 غيغابايت"}'::jsonb, 40, '3g.40gb', 2, 35, 360),
    ('h100-80', '{"en": "H100, whole", "fr": "H100 entier", "ar": "معالج H100 كامل"}'::jsonb, 80, NULL, 1, 70, 840)
) AS k (slug, name, memory_gb, mig_profile, slices_per_gpu, idle_w, full_w) USING (slug)
"""
# Devices that this machine simulated until now are named after their GPU: `sim-<gpu>-<memory>-<slice>`; a whole one is its own.
BOARDS = """
UPDATE compute_device d SET is_slice = t.slices_per_gpu > 1,
    board = CASE WHEN t.slices_per_gpu > 1 THEN regexp_replace(d.name, '-[0-9]+$', '') ELSE d.name END
FROM device_type t WHERE t.slug = d.device_class AND d.kind <> 'seat'
"""

WHOLE_OR_SLICES = """
ALTER TABLE compute_device ADD CONSTRAINT ex_compute_device__whole_or_slices
EXCLUDE USING gist (node_id WITH =, board WITH =, (is_slice::integer) WITH <>) WHERE (is_open AND board IS NOT NULL)
"""


def upgrade() -> None:
    """Build."""
    op.create_table(
        "device_type",
        sa.Column("id", UUID, nullable=False),
        sa.Column("slug", sa.Text, nullable=False),
        sa.Column("name", pg.JSONB, nullable=False),
        sa.Column("memory_gb", sa.BigInteger, nullable=False),
        sa.Column("mig_profile", sa.Text, nullable=True),
        sa.Column("slices_per_gpu", sa.BigInteger, nullable=False),
        sa.Column("idle_w", sa.BigInteger, nullable=False),
        sa.Column("full_w", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_device_type"),
        sa.UniqueConstraint("slug", name="uq_device_type__slug"),
        sa.CheckConstraint("memory_gb >= 0 AND slices_per_gpu BETWEEN 1 AND 7", name=op.f("ck_device_type__amounts")),
        sa.CheckConstraint("idle_w >= 0 AND full_w >= idle_w AND full_w > 0", name=op.f("ck_device_type__power")),
        sa.CheckConstraint("(mig_profile IS NULL) = (slices_per_gpu = 1)", name=op.f("ck_device_type__slice_has_profile")),
    )
    op.execute(KNOWN)
    _extend_nodes()
    _extend_devices()
    op.create_foreign_key("fk_compute_profile__device_class", "compute_profile", "device_type", ["device_class"], ["slug"])
    _build_windows()
    _build_quotas()


def _extend_nodes() -> None:
    op.add_column("compute_node", sa.Column("state", sa.Text, nullable=False, server_default="open"))
    op.execute("UPDATE compute_node SET state = 'draining' WHERE NOT is_open")
    op.create_check_constraint(op.f("ck_compute_node__state"), "compute_node", "state IN ('open', 'draining', 'maintenance', 'unhealthy', 'retired')")
    op.create_check_constraint(op.f("ck_compute_node__open_is_state"), "compute_node", "is_open = (state = 'open')")


def _extend_devices() -> None:
    op.add_column("compute_device", sa.Column("board", sa.Text, nullable=True))
    op.add_column("compute_device", sa.Column("is_slice", sa.Boolean, nullable=False, server_default=sa.text("false")))
    op.add_column("compute_device", sa.Column("failed_starts", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("compute_device", sa.Column("failed_person_id", UUID, nullable=True))
    op.create_foreign_key("fk_compute_device__failed_person_id", "compute_device", "person", ["failed_person_id"], ["id"])
    op.add_column("compute_device", sa.Column("set_aside_at", INSTANT, nullable=True))
    op.execute(BOARDS)
    op.create_foreign_key("fk_compute_device__device_class", "compute_device", "device_type", ["device_class"], ["slug"])
    op.create_check_constraint(
        op.f("ck_compute_device__set_aside_is_closed"), "compute_device", "failed_starts >= 0 AND (set_aside_at IS NULL OR NOT is_open)"
    )
    op.create_check_constraint(op.f("ck_compute_device__slice_has_board"), "compute_device", "board IS NOT NULL OR NOT is_slice")
    op.execute(WHOLE_OR_SLICES)
    op.create_index("uq_compute_device__whole", "compute_device", ["node_id", "board"], unique=True, postgresql_where=sa.text("NOT is_slice"))
    op.create_index("ix_compute_device__node", "compute_device", ["node_id"])


def _build_windows() -> None:
    op.create_table(
        "pool_window",
        sa.Column("id", UUID, nullable=False),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("node_id", UUID, nullable=True),
        sa.Column("device_class", sa.Text, nullable=True),
        sa.Column("project_id", UUID, nullable=True),
        sa.Column("starts_at", INSTANT, nullable=False),
        sa.Column("ends_at", INSTANT, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("planned_at", INSTANT, nullable=False),
        sa.Column("cancelled_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_pool_window"),
        sa.UniqueConstraint("number", name="uq_pool_window__number"),
        sa.ForeignKeyConstraint(["node_id"], ["compute_node.id"], name="fk_pool_window__node_id"),
        sa.ForeignKeyConstraint(["device_class"], ["device_type.slug"], name="fk_pool_window__device_class"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_pool_window__project_id"),
        sa.CheckConstraint("kind IN ('maintenance', 'closed', 'reserved')", name=op.f("ck_pool_window__kind")),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_pool_window__interval")),
        sa.CheckConstraint(
            "(kind = 'maintenance') = (node_id IS NOT NULL) AND (kind = 'maintenance') = (device_class IS NULL)", name=op.f("ck_pool_window__subject")
        ),
        sa.CheckConstraint("(kind = 'reserved') = (project_id IS NOT NULL)", name=op.f("ck_pool_window__reserved_has_project")),
        sa.CheckConstraint("length(note) BETWEEN 1 AND 400", name=op.f("ck_pool_window__note_length")),
        *(
            pg.ExcludeConstraint(
                (sa.text(column), "="),
                (sa.text("tstzrange(starts_at, ends_at)"), "&&"),
                where=sa.text(f"cancelled_at IS NULL AND {column} IS NOT NULL"),
                name=f"ex_pool_window__{name}",
                using="gist",
            )
            for column, name in (("node_id", "node"), ("device_class", "type"))
        ),
    )
    op.create_index("ix_pool_window__ends", "pool_window", ["ends_at"], postgresql_where=sa.text("cancelled_at IS NULL"))


def _build_quotas() -> None:
    op.create_table(
        "compute_quota",
        sa.Column("id", UUID, nullable=False),
        sa.Column("device_class", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("project_id", UUID, nullable=True),
        sa.Column("person_id", UUID, nullable=True),
        sa.Column("guaranteed", sa.BigInteger, nullable=False),
        sa.Column("borrowable", sa.BigInteger, nullable=False),
        sa.Column("lendable", sa.BigInteger, nullable=False),
        sa.Column("set_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_compute_quota"),
        sa.ForeignKeyConstraint(["device_class"], ["device_type.slug"], name="fk_compute_quota__device_class"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_compute_quota__project_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_compute_quota__person_id"),
        sa.CheckConstraint("scope IN ('project', 'person')", name=op.f("ck_compute_quota__scope")),
        sa.CheckConstraint("guaranteed >= 0 AND borrowable >= 0 AND lendable BETWEEN 0 AND guaranteed", name=op.f("ck_compute_quota__amounts")),
        sa.CheckConstraint("(scope = 'project' OR project_id IS NULL) AND (scope = 'person' OR person_id IS NULL)", name=op.f("ck_compute_quota__subject")),
        sa.CheckConstraint("project_id IS NOT NULL OR guaranteed = 0", name=op.f("ck_compute_quota__only_a_project_is_guaranteed")),
    )
    op.create_index(
        "uq_compute_quota__subject",
        "compute_quota",
        ["device_class", "scope", "project_id", "person_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )


def downgrade() -> None:
    """Take down."""
    op.drop_table("compute_quota")
    op.drop_table("pool_window")
    op.drop_constraint("fk_compute_profile__device_class", "compute_profile", type_="foreignkey")
    for name in ("ix_compute_device__node", "uq_compute_device__whole"):
        op.drop_index(name, "compute_device")
    op.drop_constraint("ex_compute_device__whole_or_slices", "compute_device")
    for name in ("slice_has_board", "set_aside_is_closed"):
        op.drop_constraint(op.f(f"ck_compute_device__{name}"), "compute_device", type_="check")
    op.drop_constraint("fk_compute_device__device_class", "compute_device", type_="foreignkey")
    for name in ("set_aside_at", "failed_person_id", "failed_starts", "is_slice", "board"):
        op.drop_column("compute_device", name)
    for name in ("open_is_state", "state"):
        op.drop_constraint(op.f(f"ck_compute_node__{name}"), "compute_node", type_="check")
    op.drop_column("compute_node", "state")
    op.drop_table("device_type")
