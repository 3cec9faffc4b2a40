"""Projects and their members."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0004_projects"
down_revision = "0003_notifications"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""
    op.create_table(
        "project",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("slug", sa.Text, sa.Computed("'p-' || number", persisted=True), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_project"),
        sa.UniqueConstraint("number", name="uq_project__number"),
        sa.UniqueConstraint("slug", name="uq_project__slug"),
        sa.CheckConstraint("kind IN ('person', 'venture', 'course_run', 'campaign', 'research', 'company')", name="ck_project__kind"),
        sa.CheckConstraint("is_open = (closed_at IS NULL)", name="ck_project__closed_has_time"),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 200", name="ck_project__name_length"),
    )
    op.create_table(
        "project_member",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("project_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("person_id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_project_member"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_project_member__project_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_project_member__person_id"),
        sa.CheckConstraint("role IN ('lead', 'member', 'learner')", name="ck_project_member__role"),
    )
    current = sa.text("left_at IS NULL")
    op.create_index("uq_project_member__current", "project_member", ["project_id", "person_id"], unique=True, postgresql_where=current)
    op.create_index("ix_project_member__person", "project_member", ["person_id", "project_id"], postgresql_where=current)


def downgrade() -> None:
    """Take back."""
    op.drop_table("project_member")
    op.drop_table("project")
