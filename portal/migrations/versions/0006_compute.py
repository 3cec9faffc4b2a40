"""Compute tables: pool, profiles, prices, sessions, tickets, observations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0006_compute"
down_revision = "0005_credits"
branch_labels = None
depends_on = None

LIVE = "state IN ('requested', 'starting', 'running', 'stopping')"
ENDED = "state IN ('stopped', 'failed', 'lost')"
TABLES = [
    "hub_agent",
    "hub_watch",
    "server_process",
    "quarantined_observation",
    "observation",
    "session_ticket",
    "session_file",
    "device_hold",
    "compute_session",
    "price_version",
    "compute_profile",
    "compute_device",
    "compute_node",
]
# A price may be ended once; nothing else of it ever changes.
KEEP_PRICE = """
CREATE FUNCTION keep_price_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.ends_at IS NULL AND NEW.ends_at IS NOT NULL
       AND ROW(NEW.id, NEW.profile_id, NEW.rate_ucr_per_hour, NEW.starts_at) IS NOT DISTINCT FROM ROW(OLD.id, OLD.profile_id, OLD.rate_ucr_per_hour, OLD.starts_at) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a price version is never changed or deleted' USING ERRCODE = 'restrict_violation';
END $$
"""


def _id(name: str = "id") -> sa.Column:
    return sa.Column(name, pg.UUID(as_uuid=True), nullable=False)


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=nullable)


def _int(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _at(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _flag(name: str) -> sa.Column:
    return sa.Column(name, sa.Boolean, nullable=False)


def _json(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, pg.JSONB, nullable=nullable)


def _fk(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{table}__{column}")


def upgrade() -> None:
    """Build."""
    _build_pool()
    _build_sessions()
    _build_evidence()


def _build_pool() -> None:
    op.create_table(
        "compute_node",
        _id(),
        _text("name"),
        _text("engine"),
        _flag("is_open"),
        _at("registered_at"),
        sa.PrimaryKeyConstraint("id", name="pk_compute_node"),
        sa.UniqueConstraint("name", name="uq_compute_node__name"),
        sa.CheckConstraint("engine IN ('local', 'slurm', 'kubernetes')", name="ck_compute_node__engine"),
    )
    op.create_table(
        "compute_device",
        _id(),
        _id("node_id"),
        _text("name"),
        _text("kind"),
        _text("device_class"),
        _text("model"),
        _json("paths"),
        _flag("is_open"),
        _at("registered_at"),
        sa.PrimaryKeyConstraint("id", name="pk_compute_device"),
        sa.UniqueConstraint("name", name="uq_compute_device__name"),
        _fk("compute_device", "node_id", "compute_node"),
        sa.CheckConstraint("kind IN ('seat', 'simulated', 'nvidia')", name="ck_compute_device__kind"),
        sa.CheckConstraint("(kind = 'nvidia') = (jsonb_array_length(paths) > 0)", name="ck_compute_device__paths"),
    )
    op.create_index("ix_compute_device__class", "compute_device", ["device_class", "name"], postgresql_where=sa.text("is_open"))
    op.create_table(
        "compute_profile",
        _id(),
        _text("slug"),
        _json("name"),
        _json("note"),
        _text("device_class"),
        _text("charge_class"),
        _int("cpu_millicores"),
        _int("memory_limit_bytes"),
        _int("gpu_memory_gb"),
        _int("power_w"),
        _int("position"),
        _flag("is_open"),
        sa.PrimaryKeyConstraint("id", name="pk_compute_profile"),
        sa.UniqueConstraint("slug", name="uq_compute_profile__slug"),
        sa.CheckConstraint("charge_class IN ('cpu', 'slice', 'full')", name="ck_compute_profile__charge_class"),
        sa.CheckConstraint("cpu_millicores > 0 AND memory_limit_bytes > 0 AND gpu_memory_gb >= 0 AND power_w > 0", name="ck_compute_profile__amounts"),
        sa.CheckConstraint("slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name="ck_compute_profile__slug"),
    )
    op.create_table(
        "price_version",
        _id(),
        _id("profile_id"),
        _int("rate_ucr_per_hour"),
        _at("starts_at"),
        _at("ends_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_price_version"),
        _fk("price_version", "profile_id", "compute_profile"),
        sa.CheckConstraint("rate_ucr_per_hour > 0", name="ck_price_version__rate"),
        sa.CheckConstraint("ends_at > starts_at", name="ck_price_version__interval"),
        pg.ExcludeConstraint((sa.text("profile_id"), "="), (sa.text("tstzrange(starts_at, ends_at)"), "&&"), name="ex_price_version__no_overlap", using="gist"),
    )
    op.execute(KEEP_PRICE)
    op.execute("CREATE TRIGGER price_version_kept BEFORE UPDATE OR DELETE ON price_version FOR EACH ROW EXECUTE FUNCTION keep_price_version()")


def _build_sessions() -> None:
    op.create_table(
        "compute_session",
        _id(),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("slug", sa.Text, sa.Computed("'s-' || number", persisted=True), nullable=False),
        _id("project_id"),
        _id("person_id"),
        _id("profile_id"),
        _id("price_version_id"),
        _int("generation"),
        _text("state"),
        _text("label"),
        _text("open_path"),
        _json("course_context", nullable=True),
        _int("duration_s"),
        _int("start_attempts"),
        _at("requested_at"),
        *(_at(name, nullable=True) for name in ("starting_at", "redeemed_at", "started_at", "ready_at", "last_seen_at", "credit_warned_at", "stop_asked_at", "ended_at")),
        _text("stop_cause", nullable=True),
        _text("failure", nullable=True),
        _int("exit_code", nullable=True),
        _int("proven_s"),
        sa.PrimaryKeyConstraint("id", name="pk_compute_session"),
        sa.UniqueConstraint("number", name="uq_compute_session__number"),
        sa.UniqueConstraint("slug", name="uq_compute_session__slug"),
        _fk("compute_session", "project_id", "project"),
        _fk("compute_session", "person_id", "person"),
        _fk("compute_session", "profile_id", "compute_profile"),
        _fk("compute_session", "price_version_id", "price_version"),
        sa.CheckConstraint(f"{LIVE} OR {ENDED}", name="ck_compute_session__state"),
        sa.CheckConstraint("stop_cause IN ('person', 'staff', 'duration', 'credit', 'suspended', 'no_evidence', 'itself')", name="ck_compute_session__stop_cause"),
        sa.CheckConstraint("failure IN ('hub_away', 'hub_refused', 'did_not_start', 'person_inactive')", name="ck_compute_session__failure"),
        sa.CheckConstraint(f"({ENDED}) = (ended_at IS NOT NULL)", name="ck_compute_session__ended_has_time"),
        sa.CheckConstraint("(state = 'failed') = (failure IS NOT NULL)", name="ck_compute_session__failed_has_reason"),
        sa.CheckConstraint("generation >= 1 AND proven_s >= 0 AND duration_s > 0", name="ck_compute_session__amounts"),
        sa.CheckConstraint("length(label) <= 120", name="ck_compute_session__label_length"),
    )
    op.create_index("ix_compute_session__person", "compute_session", ["person_id", "id"])
    op.create_index("ix_compute_session__project", "compute_session", ["project_id", "id"])
    op.create_index("ix_compute_session__live", "compute_session", ["id"], postgresql_where=sa.text(LIVE))
    op.create_table(
        "device_hold",
        _id(),
        _id("device_id"),
        _id("session_id"),
        _at("held_at"),
        _at("released_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_device_hold"),
        _fk("device_hold", "device_id", "compute_device"),
        _fk("device_hold", "session_id", "compute_session"),
    )
    op.create_index("uq_device_hold__current", "device_hold", ["device_id"], unique=True, postgresql_where=sa.text("released_at IS NULL"))
    op.create_index("ix_device_hold__session", "device_hold", ["session_id"])
    op.create_table(
        "session_file",
        _id("session_id"),
        _text("path"),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("session_id", "path", name="pk_session_file"),
        _fk("session_file", "session_id", "compute_session"),
    )
    op.create_table(
        "session_ticket",
        _text("token_digest"),
        _id("session_id"),
        _int("generation"),
        _text("username"),
        _text("server"),
        _at("issued_at"),
        _at("expires_at"),
        _at("used_at", nullable=True),
        sa.PrimaryKeyConstraint("token_digest", name="pk_session_ticket"),
        _fk("session_ticket", "session_id", "compute_session"),
    )
    op.create_index("ix_session_ticket__session", "session_ticket", ["session_id"])


def _build_evidence() -> None:
    op.create_table(
        "observation",
        _id(),
        _text("agent"),
        _int("agent_offset"),
        _id("session_id"),
        _int("generation"),
        _text("kind"),
        _text("boot_id"),
        _int("pid"),
        _int("process_started_ticks"),
        _int("monotonic_ns"),
        _int("process_age_ns", nullable=True),
        _at("observed_at"),
        _at("received_at"),
        _int("exit_code", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_observation"),
        _fk("observation", "session_id", "compute_session"),
        sa.CheckConstraint("kind IN ('started', 'seen', 'exited')", name="ck_observation__kind"),
        sa.UniqueConstraint("agent", "agent_offset", name="uq_observation__agent_offset"),
        sa.UniqueConstraint("session_id", "generation", "boot_id", "pid", "process_started_ticks", "monotonic_ns", "kind", name="uq_observation__content"),
    )
    op.create_table(
        "quarantined_observation",
        _id(),
        _text("agent"),
        _int("agent_offset"),
        _text("reason"),
        _json("raw"),
        _at("received_at"),
        sa.PrimaryKeyConstraint("id", name="pk_quarantined_observation"),
        sa.UniqueConstraint("agent", "agent_offset", name="uq_quarantined_observation__agent_offset"),
        sa.CheckConstraint("reason IN ('malformed', 'future', 'too_old', 'unknown_session')", name="ck_quarantined_observation__reason"),
    )
    for table in ("observation", "quarantined_observation"):
        op.execute(f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    op.create_table(
        "server_process",
        _id("session_id"),
        _int("generation"),
        _text("boot_id"),
        _int("pid"),
        _int("started_ticks"),
        _text("agent"),
        _int("begins_ns"),
        _int("ends_ns"),
        _int("anchor_ns"),
        _at("anchor_at"),
        _flag("has_ended"),
        _int("exit_code", nullable=True),
        sa.PrimaryKeyConstraint("session_id", "generation", "boot_id", "pid", "started_ticks", name="pk_server_process"),
        _fk("server_process", "session_id", "compute_session"),
        sa.CheckConstraint("ends_ns >= begins_ns AND begins_ns >= 0", name="ck_server_process__span"),
    )
    op.create_index("ix_server_process__agent", "server_process", ["agent", "session_id"])
    op.create_table(
        "hub_agent",
        _text("agent"),
        _int("contiguous_offset"),
        _int("asked_offset", nullable=True),
        _at("received_at"),
        sa.PrimaryKeyConstraint("agent", name="pk_hub_agent"),
    )
    op.create_table(
        "hub_watch",
        sa.Column("id", sa.BigInteger, autoincrement=False, nullable=False),
        _at("watching_since"),
        _at("looked_at"),
        _at("answered_at", nullable=True),
        _at("answering_since", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_hub_watch"),
        sa.CheckConstraint("id = 1", name="ck_hub_watch__one_row"),
    )


def downgrade() -> None:
    """Take back."""
    for table in TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION keep_price_version()")
