"""Learning tables: course runs, enrolments, what was read, which labs were opened."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0007_learning"
down_revision = "0006_compute"
branch_labels = None
depends_on = None

UUID = pg.UUID(as_uuid=True)
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Build."""
    op.create_table(
        "course_run",
        sa.Column("id", UUID, nullable=False),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("slug", sa.Text, sa.Computed("'r-' || number", persisted=True), nullable=False),
        sa.Column("course_id", UUID, nullable=False),
        sa.Column("course_revision", sa.Text, nullable=False),
        sa.Column("title", pg.JSONB, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("project_id", UUID, nullable=False),
        sa.Column("starts_at", INSTANT, nullable=False),
        sa.Column("ends_at", INSTANT, nullable=False),
        sa.Column("capacity", sa.BigInteger, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_course_run"),
        sa.UniqueConstraint("number", name="uq_course_run__number"),
        sa.UniqueConstraint("slug", name="uq_course_run__slug"),
        sa.UniqueConstraint("project_id", name="uq_course_run__project_id"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_course_run__project_id"),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_course_run__interval")),
        sa.CheckConstraint("capacity BETWEEN 1 AND 10000", name=op.f("ck_course_run__capacity")),
        sa.CheckConstraint("language IN ('en', 'fr', 'ar')", name=op.f("ck_course_run__language")),
        sa.CheckConstraint("is_open = (closed_at IS NULL)", name=op.f("ck_course_run__closed_has_time")),
    )
    op.create_index("ix_course_run__course", "course_run", ["course_id", "starts_at"])
    op.create_table(
        "enrolment",
        sa.Column("id", UUID, nullable=False),
        sa.Column("run_id", UUID, nullable=False),
        sa.Column("person_id", UUID, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("joined_at", INSTANT, nullable=False),
        sa.Column("left_at", INSTANT),
        sa.Column("completed_at", INSTANT),
        sa.PrimaryKeyConstraint("id", name="pk_enrolment"),
        sa.UniqueConstraint("run_id", "person_id", name="uq_enrolment__run_id_person_id"),
        sa.ForeignKeyConstraint(["run_id"], ["course_run.id"], name="fk_enrolment__run_id"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_enrolment__person_id"),
        sa.CheckConstraint("state IN ('enrolled', 'left', 'completed')", name=op.f("ck_enrolment__state")),
        sa.CheckConstraint("(state = 'left') = (left_at IS NOT NULL)", name=op.f("ck_enrolment__left_has_time")),
        sa.CheckConstraint("(state = 'completed') = (completed_at IS NOT NULL)", name=op.f("ck_enrolment__completed_has_time")),
    )
    op.create_index("ix_enrolment__person", "enrolment", ["person_id", "id"])
    op.create_index("ix_enrolment__run", "enrolment", ["run_id", "id"])
    op.create_table(
        "lesson_visit",
        sa.Column("enrolment_id", UUID, nullable=False),
        sa.Column("lesson", sa.Text, nullable=False),
        sa.Column("first_read_at", INSTANT, nullable=False),
        sa.Column("last_read_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT),
        sa.Column("revision", sa.Text),
        sa.PrimaryKeyConstraint("enrolment_id", "lesson", name="pk_lesson_visit"),
        sa.ForeignKeyConstraint(["enrolment_id"], ["enrolment.id"], name="fk_lesson_visit__enrolment_id"),
        sa.CheckConstraint("last_read_at >= first_read_at", name=op.f("ck_lesson_visit__order")),
        sa.CheckConstraint("(finished_at IS NULL) = (revision IS NULL)", name=op.f("ck_lesson_visit__finished_has_revision")),
    )
    op.create_table(
        "lab_launch",
        sa.Column("session_id", UUID, nullable=False),
        sa.Column("enrolment_id", UUID, nullable=False),
        sa.Column("lab", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("launched_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_lab_launch"),
        sa.ForeignKeyConstraint(["session_id"], ["compute_session.id"], name="fk_lab_launch__session_id"),
        sa.ForeignKeyConstraint(["enrolment_id"], ["enrolment.id"], name="fk_lab_launch__enrolment_id"),
    )
    op.create_index("ix_lab_launch__enrolment", "lab_launch", ["enrolment_id", "lab", "session_id"])


def downgrade() -> None:
    """Take back."""
    for table in ("lab_launch", "lesson_visit", "enrolment", "course_run"):
        op.drop_table(table)
