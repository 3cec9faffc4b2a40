"""Core tables: audit, facts, limits, once-tokens, and the queue."""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager
from sqlalchemy.dialects import postgresql as pg

revision = "0001_core"
down_revision = None
branch_labels = None
depends_on = None

REFUSE_CHANGE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$
"""


def upgrade() -> None:
    """Build."""
    for extension in ("btree_gist", "citext", "pg_trgm"):
        op.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    op.execute(REFUSE_CHANGE)
    op.create_table(
        "audit_event",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", pg.UUID(as_uuid=True)),
        sa.Column("actor_label", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject_kind", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("details", pg.JSONB, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_event"),
    )
    op.create_index("ix_audit_event__subject", "audit_event", ["subject_kind", "subject_id", "id"])
    op.create_index("ix_audit_event__actor", "audit_event", ["actor_id", "id"])
    op.create_table(
        "fact",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("payload", pg.JSONB, nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_fact"),
    )
    for table in ("audit_event", "fact"):
        op.execute(f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    op.create_table(
        "limit_window",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hits", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", "starts_at", name="pk_limit_window"),
    )
    op.create_index("ix_limit_window__starts_at", "limit_window", ["starts_at"])
    op.create_table(
        "once_token",
        sa.Column("token_digest", sa.Text, nullable=False),
        sa.Column("actor_id", pg.UUID(as_uuid=True)),
        sa.Column("location", sa.Text),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_digest", name="pk_once_token"),
    )
    op.create_index("ix_once_token__used_at", "once_token", ["used_at"])
    op.get_bind().connection.driver_connection.execute(SchemaManager.get_schema())  # type: ignore[union-attr]


def downgrade() -> None:
    """Take back: the first migration has nothing before it."""
    raise NotImplementedError
