"""The outbox of messages."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0003_notifications"
down_revision = "0002_identity"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build."""
    op.create_table(
        "message",
        sa.Column("id", pg.UUID(as_uuid=True), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("recipient_id", pg.UUID(as_uuid=True)),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("context", pg.JSONB, nullable=False),
        sa.Column("is_secret", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("subject", sa.Text),
        sa.Column("body", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_message"),
        sa.ForeignKeyConstraint(["recipient_id"], ["person.id"], name="fk_message__recipient_id", ondelete="SET NULL"),
        sa.CheckConstraint("state IN ('queued', 'sent', 'failed')", name="ck_message__state"),
        sa.CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="ck_message__sent"),
        sa.CheckConstraint("attempts >= 0", name="ck_message__attempts"),
        sa.CheckConstraint("position(chr(10) in address) = 0 AND position(chr(13) in address) = 0", name="ck_message__address"),
    )
    op.create_index("ix_message__recipient_id", "message", ["recipient_id", "id"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("message")
