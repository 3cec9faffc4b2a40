"""Incubation: calls, applications, reviews, decisions, ventures."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0008_incubation"
down_revision = "0007_learning"
branch_labels = None
depends_on = None

NEVER_CHANGE = ("form_version", "rubric_version", "application_revision", "review_conflict")

SENT_REVIEW = """
CREATE FUNCTION refuse_change_of_sent_review() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM review WHERE id = COALESCE(NEW.review_id, OLD.review_id) AND submitted_at IS NOT NULL) THEN
        RAISE EXCEPTION 'a review that was sent is never changed' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$
"""

RELEASED_DECISION = """
CREATE FUNCTION refuse_change_of_released_award() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM decision WHERE id = COALESCE(NEW.decision_id, OLD.decision_id) AND released_at IS NOT NULL) THEN
        RAISE EXCEPTION 'a released decision is never changed' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$
"""


def _id(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, pg.UUID(as_uuid=True), nullable=nullable)


def _at(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _int(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, pg.JSONB, nullable=False)


def _number() -> sa.Column[object]:
    return sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False)


def _pk(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*(columns or ("id",)), name=f"pk_{table}")


def _fk(table: str, column: str, target: str, **more: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{table}__{column}", **more)


def _uq(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}__{'_'.join(columns)}")


def _ck(table: str, name: str, sql: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(sql, name=f"ck_{table}__{name}")


def upgrade() -> None:
    """Build."""
    _calls()
    _applications()
    _reviews()
    _decisions()
    for table in NEVER_CHANGE:
        op.execute(f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()")
    op.execute(SENT_REVIEW)
    op.execute("CREATE TRIGGER review_answer_sent BEFORE INSERT OR UPDATE OR DELETE ON review_answer FOR EACH ROW EXECUTE FUNCTION refuse_change_of_sent_review()")
    op.execute("CREATE TRIGGER review_sent BEFORE UPDATE OR DELETE ON review FOR EACH ROW WHEN (OLD.submitted_at IS NOT NULL) EXECUTE FUNCTION refuse_change()")
    op.execute(RELEASED_DECISION)
    op.execute("CREATE TRIGGER award_line_released BEFORE INSERT OR UPDATE OR DELETE ON award_line FOR EACH ROW EXECUTE FUNCTION refuse_change_of_released_award()")
    op.execute("CREATE TRIGGER decision_released BEFORE UPDATE OR DELETE ON decision FOR EACH ROW WHEN (OLD.released_at IS NOT NULL) EXECUTE FUNCTION refuse_change()")


def _calls() -> None:
    op.create_table("programme", _id("id"), _text("slug"), _json("name"), _at("created_at"), _pk("programme"), _uq("programme", "slug"))
    for table in ("form_version", "rubric_version"):
        op.create_table(
            table,
            _id("id"),
            _id("programme_id"),
            _int("number"),
            _json("definition"),
            _at("created_at"),
            _pk(table),
            _fk(table, "programme_id", "programme"),
            _uq(table, "programme_id", "number"),
        )
    op.create_table(
        "program_call",
        _id("id"),
        _text("slug"),
        _id("programme_id"),
        _json("title"),
        _json("intro"),
        _at("opens_at"),
        _at("closes_at"),
        _at("reviews_due_at"),
        _text("zone"),
        _id("form_version_id"),
        _id("rubric_version_id"),
        _int("seats"),
        _int("reviews_needed"),
        _int("budget_ucr"),
        _id("fund_id"),
        _int("credits_valid_days"),
        _text("state"),
        _at("created_at"),
        _pk("program_call"),
        _uq("program_call", "slug"),
        _fk("program_call", "programme_id", "programme"),
        _fk("program_call", "form_version_id", "form_version"),
        _fk("program_call", "rubric_version_id", "rubric_version"),
        _fk("program_call", "fund_id", "fund"),
        _ck("program_call", "state", "state IN ('draft', 'open', 'closed', 'decided')"),
        _ck("program_call", "dates", "opens_at < closes_at AND closes_at <= reviews_due_at"),
        _ck("program_call", "numbers", "seats > 0 AND budget_ucr >= 0 AND reviews_needed >= 0 AND credits_valid_days > 0"),
    )
    op.create_index("ix_program_call__state_closes_at", "program_call", ["state", "closes_at"])


def _applications() -> None:
    table = "program_application"
    op.create_table(
        table,
        _id("id"),
        _number(),
        _id("call_id"),
        _id("lead_id"),
        _id("form_version_id"),
        _text("title"),
        _text("state"),
        _int("revision"),
        _int("asked_ucr", nullable=True),
        _text("receipt_hash", nullable=True),
        _at("started_at"),
        _at("saved_at"),
        _at("submitted_at", nullable=True),
        _at("decided_at", nullable=True),
        _at("withdrawn_at", nullable=True),
        _pk(table),
        _uq(table, "number"),
        _fk(table, "call_id", "program_call"),
        _fk(table, "lead_id", "person"),
        _fk(table, "form_version_id", "form_version"),
        _ck(table, "state", "state IN ('draft', 'submitted', 'in_review', 'accepted', 'declined', 'waitlisted', 'withdrawn')"),
        _ck(table, "submitted_has_time", "state IN ('draft', 'withdrawn') OR submitted_at IS NOT NULL"),
        _ck(table, "submitted_has_receipt", "(submitted_at IS NULL) = (receipt_hash IS NULL)"),
        _ck(table, "withdrawn_has_time", "(state = 'withdrawn') = (withdrawn_at IS NOT NULL)"),
        _ck(table, "asked", "asked_ucr >= 0"),
    )
    op.create_index("uq_program_application__one_per_person", table, ["call_id", "lead_id"], unique=True, postgresql_where=sa.text("state <> 'withdrawn'"))
    submitted = sa.text("submitted_at IS NOT NULL")
    op.create_index("ix_program_application__call_state", table, ["call_id", "state", "id"], postgresql_where=submitted)
    op.create_index("ix_program_application__call_submitted", table, ["call_id", "id"], postgresql_where=submitted)
    op.create_index("ix_program_application__lead", table, ["lead_id", "id"])
    op.create_table(
        "application_answer",
        _id("application_id"),
        _text("key"),
        _json("value"),
        _int("revision"),
        _text("page"),
        _at("saved_at"),
        _pk("application_answer", "application_id", "key"),
        _fk("application_answer", "application_id", "program_application"),
    )
    op.create_table(
        "application_revision",
        _id("id"),
        _id("application_id"),
        _int("revision"),
        _json("content"),
        _text("content_hash"),
        _at("submitted_at"),
        _id("submitted_by"),
        _pk("application_revision"),
        _fk("application_revision", "application_id", "program_application"),
        _fk("application_revision", "submitted_by", "person"),
        _uq("application_revision", "application_id", "revision"),
    )


def _reviews() -> None:
    op.create_table(
        "review_conflict",
        _id("id"),
        _id("application_id"),
        _id("person_id"),
        _text("kind"),
        _text("reason"),
        _at("declared_at"),
        _pk("review_conflict"),
        _fk("review_conflict", "application_id", "program_application"),
        _fk("review_conflict", "person_id", "person"),
        _uq("review_conflict", "application_id", "person_id"),
        _ck("review_conflict", "kind", "kind IN ('employer', 'family', 'financial', 'collaboration', 'other')"),
    )
    op.create_index("ix_review_conflict__person", "review_conflict", ["person_id", "application_id"])
    op.create_table(
        "review_assignment",
        _id("id"),
        _number(),
        _id("application_id"),
        _id("application_revision_id"),
        _id("reviewer_id"),
        _text("state"),
        _at("assigned_at"),
        _at("ended_at", nullable=True),
        _pk("review_assignment"),
        _uq("review_assignment", "number"),
        _fk("review_assignment", "application_id", "program_application"),
        _fk("review_assignment", "application_revision_id", "application_revision"),
        _fk("review_assignment", "reviewer_id", "person"),
        _uq("review_assignment", "application_id", "reviewer_id"),
        _ck("review_assignment", "state", "state IN ('assigned', 'submitted', 'declined')"),
    )
    op.create_index("ix_review_assignment__reviewer", "review_assignment", ["reviewer_id", "id"])
    op.create_table(
        "review",
        _id("id"),
        _id("assignment_id"),
        _int("revision"),
        _at("saved_at", nullable=True),
        _at("submitted_at", nullable=True),
        _pk("review"),
        _fk("review", "assignment_id", "review_assignment"),
        _uq("review", "assignment_id"),
    )
    op.create_table(
        "review_answer",
        _id("review_id"),
        _text("key"),
        _int("score", nullable=True),
        _text("comment", nullable=True),
        _int("revision"),
        _text("page"),
        _pk("review_answer", "review_id", "key"),
        _fk("review_answer", "review_id", "review"),
        _ck("review_answer", "score", "score BETWEEN 1 AND 10"),
        _ck("review_answer", "one_value", "num_nonnulls(score, comment) <= 1"),
    )


def _decisions() -> None:
    op.create_table(
        "decision",
        _id("id"),
        _id("application_id"),
        _text("outcome"),
        _text("reason"),
        _text("venture_name"),
        _at("credits_expire_at", nullable=True),
        _at("prepared_at"),
        _id("prepared_by"),
        _at("released_at", nullable=True),
        _id("released_by", nullable=True),
        _pk("decision"),
        _fk("decision", "application_id", "program_application"),
        _fk("decision", "prepared_by", "person"),
        _fk("decision", "released_by", "person"),
        _ck("decision", "outcome", "outcome IN ('accept', 'decline', 'waitlist')"),
        _ck("decision", "released_by", "(released_at IS NULL) = (released_by IS NULL)"),
        _ck("decision", "reason", "length(reason) > 0"),
    )
    op.create_index("uq_decision__one_prepared", "decision", ["application_id"], unique=True, postgresql_where=sa.text("released_at IS NULL"))
    op.create_index("ix_decision__application", "decision", ["application_id", "id"])
    op.create_table(
        "award_line",
        _id("id"),
        _id("decision_id"),
        _int("position"),
        _int("asked_ucr"),
        _int("awarded_ucr"),
        _text("why"),
        _pk("award_line"),
        _fk("award_line", "decision_id", "decision", ondelete="CASCADE"),
        _uq("award_line", "decision_id", "position"),
        _ck("award_line", "within_asked", "0 <= awarded_ucr AND awarded_ucr <= asked_ucr"),
        _ck("award_line", "cut_has_reason", "awarded_ucr = asked_ucr OR length(why) > 0"),
    )
    op.create_table(
        "venture",
        _id("id"),
        _number(),
        _text("name"),
        _id("project_id"),
        _id("application_id"),
        _id("decision_id"),
        _text("state"),
        _at("admitted_at"),
        _pk("venture"),
        _uq("venture", "number"),
        _fk("venture", "project_id", "project"),
        _fk("venture", "application_id", "program_application"),
        _fk("venture", "decision_id", "decision"),
        _uq("venture", "project_id"),
        _uq("venture", "application_id"),
        _uq("venture", "decision_id"),
        _ck("venture", "state", "state IN ('active', 'alumni', 'left')"),
    )


def downgrade() -> None:
    """Take back."""
    for table in ("venture", "award_line", "decision", "review_answer", "review", "review_assignment", "review_conflict"):
        op.drop_table(table)
    for table in ("application_revision", "application_answer", "program_application", "program_call", "rubric_version", "form_version", "programme"):
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_change_of_sent_review()")
    op.execute("DROP FUNCTION refuse_change_of_released_award()")
