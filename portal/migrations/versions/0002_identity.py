"""Identity tables: people, roles, sign-in sessions, organisations, invitations, OpenID Connect."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0002_identity"
down_revision = "0001_core"
branch_labels = None
depends_on = None

ROLES = "'reviewer', 'mentor', 'instructor', 'annotator', 'employer', 'staff', 'finance', 'funder', 'administrator'"


def _id(name: str = "id", *, null: bool = False) -> sa.Column:
    return sa.Column(name, pg.UUID(as_uuid=True), nullable=null)


def _at(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null)


def _text(name: str, *, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=null)


def _fk(table: str, column: str, target: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=f"fk_{table}__{column}", ondelete=ondelete)


def upgrade() -> None:
    """Build."""
    op.create_table(
        "person",
        _id(),
        sa.Column("number", sa.BigInteger, sa.Identity(always=True, start=1001), nullable=False),
        sa.Column("email", pg.CITEXT, nullable=False),
        _text("display_name"),
        _text("language"),
        _text("zone"),
        sa.Column("is_active", sa.Boolean, nullable=False),
        _at("joined_at"),
        _at("confirmed_at", null=True),
        _at("signed_in_at", null=True),
        _at("suspended_at", null=True),
        _text("password", null=True),
        _at("password_changed_at", null=True),
        _text("fs_uniquifier"),
        _text("tf_primary_method", null=True),
        _text("tf_totp_secret", null=True),
        sa.Column("totp_last_counter", sa.BigInteger),
        sa.Column("mf_recovery_codes", pg.JSONB(none_as_null=True)),
        sa.PrimaryKeyConstraint("id", name="pk_person"),
        sa.UniqueConstraint("number", name="uq_person__number"),
        sa.UniqueConstraint("email", name="uq_person__email"),
        sa.UniqueConstraint("fs_uniquifier", name="uq_person__fs_uniquifier"),
        sa.CheckConstraint("language IN ('en', 'fr', 'ar')", name="ck_person__language"),
        sa.CheckConstraint("display_name <> '' AND char_length(display_name) <= 100", name="ck_person__display_name"),
        sa.CheckConstraint("char_length(email) <= 254", name="ck_person__email"),
        sa.CheckConstraint("is_active = (suspended_at IS NULL)", name="ck_person__suspended"),
    )
    op.create_index("ix_person__email_prefix", "person", [sa.text("lower(email::text) text_pattern_ops")])
    op.create_index("ix_person__display_name_prefix", "person", [sa.text("lower(display_name) text_pattern_ops")])
    op.create_table(
        "role_assignment",
        _id("person_id"),
        _text("role"),
        _id("given_by", null=True),
        _at("given_at"),
        sa.PrimaryKeyConstraint("person_id", "role", name="pk_role_assignment"),
        _fk("role_assignment", "person_id", "person", "CASCADE"),
        _fk("role_assignment", "given_by", "person", "SET NULL"),
        sa.CheckConstraint(f"role IN ({ROLES})", name="ck_role_assignment__role"),
    )
    op.create_index("ix_role_assignment__role", "role_assignment", ["role", "person_id"])
    op.create_table(
        "sign_in_session",
        _id(),
        _text("token_digest"),
        _id("person_id", null=True),
        sa.Column("data", pg.JSONB, nullable=False),
        _text("device"),
        _at("started_at"),
        _at("last_seen_at"),
        _at("expires_at"),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_session"),
        sa.UniqueConstraint("token_digest", name="uq_sign_in_session__token_digest"),
        _fk("sign_in_session", "person_id", "person", "CASCADE"),
    )
    op.create_index("ix_sign_in_session__person_id", "sign_in_session", ["person_id"])
    op.create_index("ix_sign_in_session__expires_at", "sign_in_session", ["expires_at"])
    _organisations()
    _oidc()


def _organisations() -> None:
    op.create_table(
        "organisation",
        _id(),
        _text("name"),
        _text("kind"),
        _at("opened_at"),
        sa.PrimaryKeyConstraint("id", name="pk_organisation"),
        sa.CheckConstraint("kind IN ('startup', 'university', 'company', 'lab', 'hub')", name="ck_organisation__kind"),
        sa.CheckConstraint("name <> '' AND char_length(name) <= 100", name="ck_organisation__name"),
    )
    op.create_table(
        "membership",
        _id("organisation_id"),
        _id("person_id"),
        _text("role"),
        _at("joined_at"),
        sa.PrimaryKeyConstraint("organisation_id", "person_id", name="pk_membership"),
        _fk("membership", "organisation_id", "organisation", "CASCADE"),
        _fk("membership", "person_id", "person", "CASCADE"),
        sa.CheckConstraint("role IN ('owner', 'member')", name="ck_membership__role"),
    )
    op.create_index("ix_membership__person_id", "membership", ["person_id"])
    op.create_table(
        "invitation",
        _id(),
        _id("organisation_id"),
        sa.Column("email", pg.CITEXT, nullable=False),
        _text("role"),
        _text("token_digest"),
        _id("invited_by", null=True),
        _at("invited_at"),
        _at("expires_at"),
        _at("accepted_at", null=True),
        _id("accepted_by", null=True),
        _at("withdrawn_at", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_invitation"),
        sa.UniqueConstraint("token_digest", name="uq_invitation__token_digest"),
        _fk("invitation", "organisation_id", "organisation", "CASCADE"),
        _fk("invitation", "invited_by", "person", "SET NULL"),
        _fk("invitation", "accepted_by", "person", "SET NULL"),
        sa.CheckConstraint("role IN ('owner', 'member')", name="ck_invitation__role"),
        sa.CheckConstraint("accepted_at IS NULL OR withdrawn_at IS NULL", name="ck_invitation__one_end"),
    )
    op.create_index(
        "uq_invitation__open", "invitation", ["organisation_id", "email"], unique=True, postgresql_where=sa.text("accepted_at IS NULL AND withdrawn_at IS NULL")
    )


def _oidc() -> None:
    op.create_table(
        "oidc_grant",
        _id(),
        _text("client_id"),
        _id("person_id"),
        _id("sign_in_session_id", null=True),
        _text("scope"),
        _text("nonce", null=True),
        _at("signed_in_at"),
        _at("started_at"),
        _at("expires_at"),
        _at("revoked_at", null=True),
        _text("revoked_because", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_oidc_grant"),
        _fk("oidc_grant", "person_id", "person", "CASCADE"),
        sa.CheckConstraint("(revoked_at IS NULL) = (revoked_because IS NULL)", name="ck_oidc_grant__revoked"),
    )
    for column in ("person_id", "sign_in_session_id", "expires_at"):
        op.create_index(f"ix_oidc_grant__{column}", "oidc_grant", [column])
    op.create_table(
        "oidc_code",
        _text("code_digest"),
        _id("grant_id"),
        _text("redirect_uri"),
        _text("code_challenge"),
        _at("issued_at"),
        _at("expires_at"),
        _at("claimed_at", null=True),
        sa.PrimaryKeyConstraint("code_digest", name="pk_oidc_code"),
        _fk("oidc_code", "grant_id", "oidc_grant", "CASCADE"),
    )
    op.create_index("ix_oidc_code__grant_id", "oidc_code", ["grant_id"])
    op.create_table(
        "oidc_token",
        _text("token_digest"),
        _id("grant_id"),
        _text("kind"),
        _at("issued_at"),
        _at("expires_at"),
        _at("used_at", null=True),
        sa.PrimaryKeyConstraint("token_digest", name="pk_oidc_token"),
        _fk("oidc_token", "grant_id", "oidc_grant", "CASCADE"),
        sa.CheckConstraint("kind IN ('access', 'refresh')", name="ck_oidc_token__kind"),
        sa.CheckConstraint("used_at IS NULL OR kind = 'refresh'", name="ck_oidc_token__used"),
    )
    op.create_index("ix_oidc_token__grant_id", "oidc_token", ["grant_id"])


def downgrade() -> None:
    """Take back."""
    for table in ("oidc_token", "oidc_code", "oidc_grant", "invitation", "membership", "organisation", "sign_in_session", "role_assignment", "person"):
        op.drop_table(table)
