"""Requests that wait for a device, and what they were promised."""

import sqlalchemy as sa
from alembic import op

revision = "0027_queue"
down_revision = "0026_roles"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)
BEFORE = ("requested", "starting", "running", "stopping", "stopped", "failed", "lost")
INSTANTS, SECONDS = ("rank_at", "half_by", "most_by", "admitted_at", "late_told_at"), ("drawn_half_s", "drawn_most_s")
WHOLE = "(half_by IS NULL) = (most_by IS NULL) AND (half_by IS NULL) = (drawn_half_s IS NULL) AND (half_by IS NULL) = (drawn_most_s IS NULL)"


def _states(*states: str) -> str:
    return "state IN ({})".format(", ".join(f"'{state}'" for state in states))


def upgrade() -> None:
    """Build."""
    op.drop_constraint(op.f("ck_compute_session__state"), "compute_session", type_="check")
    op.create_check_constraint(op.f("ck_compute_session__state"), "compute_session", _states("queued", *BEFORE))
    for name in INSTANTS:
        op.add_column("compute_session", sa.Column(name, INSTANT, nullable=True))
    for name in SECONDS:
        op.add_column("compute_session", sa.Column(name, sa.BigInteger, nullable=True))
    # Whoever asked until now got a device at once.
    op.execute("UPDATE compute_session SET admitted_at = requested_at")
    op.create_check_constraint(op.f("ck_compute_session__queued_has_rank"), "compute_session", "state <> 'queued' OR rank_at IS NOT NULL")
    op.create_check_constraint(op.f("ck_compute_session__promise_is_whole"), "compute_session", WHOLE)
    op.create_index("ix_compute_session__queued", "compute_session", ["profile_id", "rank_at"], postgresql_where=sa.text("state = 'queued'"))
    op.create_index("ix_compute_session__ended", "compute_session", ["profile_id", "ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL"))
    op.create_index("ix_compute_session__promised", "compute_session", ["profile_id", "admitted_at"], postgresql_where=sa.text("most_by IS NOT NULL"))


def downgrade() -> None:
    """Take down."""
    for name in ("ix_compute_session__promised", "ix_compute_session__ended", "ix_compute_session__queued"):
        op.drop_index(name, "compute_session")
    for name in ("promise_is_whole", "queued_has_rank", "state"):
        op.drop_constraint(op.f(f"ck_compute_session__{name}"), "compute_session", type_="check")
    for name in (*SECONDS, *INSTANTS):
        op.drop_column("compute_session", name)
    op.create_check_constraint(op.f("ck_compute_session__state"), "compute_session", _states(*BEFORE))
