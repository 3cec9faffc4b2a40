"""Tables of accounts and their journal, funds, wallets and lots. The journal's triggers are in migration 0005."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Text, UniqueConstraint, literal_column
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Base, Json, Number, PrimaryId
from portal.core.states import state_check
from portal.credits.states import GrantRequestState


class LedgerAccount(Base):
    """A place where credits are. Only accounts with a bound carry a balance and a version, and are locked."""

    __tablename__ = "ledger_account"

    id: Mapped[PrimaryId]
    name: Mapped[str]
    kind: Mapped[str]
    asset: Mapped[str]
    balance_ucr: Mapped[int | None]
    version: Mapped[int | None]
    lower_bound_ucr: Mapped[int | None]
    upper_bound_ucr: Mapped[int | None]

    __table_args__ = (
        UniqueConstraint("name"),
        CheckConstraint(
            "kind IN ('issuance', 'lot_available', 'lot_held', 'lot_frozen', 'debt_usage', 'debt_clawback', 'usage', 'breakage', 'writeoff', 'purchased',"
            " 'transit')",
            name="kind",
        ),
        CheckConstraint("(balance_ucr IS NULL) = (version IS NULL)", name="balance_has_version"),
        CheckConstraint("(balance_ucr IS NULL) = (kind IN ('usage', 'breakage', 'writeoff', 'purchased', 'transit'))", name="bounded_kinds_have_balance"),
        CheckConstraint("lower_bound_ucr IS NULL OR balance_ucr >= lower_bound_ucr", name="not_below_bound"),
        CheckConstraint("upper_bound_ucr IS NULL OR balance_ucr <= upper_bound_ucr", name="not_above_bound"),
        CheckConstraint(
            "CASE WHEN kind LIKE 'lot_%' THEN lower_bound_ucr = 0"
            " WHEN kind IN ('issuance', 'debt_usage', 'debt_clawback') THEN lower_bound_ucr <= 0 AND upper_bound_ucr = 0"
            " ELSE lower_bound_ucr IS NULL AND upper_bound_ucr IS NULL END",
            name="bounds_of_kind",
        ),
    )


class LedgerTransaction(Base):
    """One booking with its idempotency key. A trigger refuses UPDATE, DELETE and TRUNCATE."""

    __tablename__ = "ledger_transaction"

    id: Mapped[PrimaryId]
    key: Mapped[str]
    operation: Mapped[str]
    body_digest: Mapped[str]
    result: Mapped[Json]
    booked_at: Mapped[datetime]
    actor_id: Mapped[uuid.UUID | None]
    actor_label: Mapped[str]
    wallet_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("wallet.id"))
    lot_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("lot.id"))
    meter_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("meter.id"))
    hold_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("hold.id"))
    purchase_id: Mapped[uuid.UUID | None]
    segment: Mapped[int | None]
    from_s: Mapped[int | None]
    until_s: Mapped[int | None]

    __table_args__ = (
        UniqueConstraint("key"),
        CheckConstraint(
            "operation IN ('grant', 'hold', 'capture', 'release', 'expiry', 'purchase', 'correction', 'revoke', 'transfer', 'clawback', 'freeze', 'write_off',"
            " 'repayment')",
            name="operation",
        ),
        CheckConstraint("(from_s IS NULL) = (until_s IS NULL) AND from_s < until_s", name="seconds"),
        Index("ix_ledger_transaction__wallet", "wallet_id", "booked_at", "id"),
        Index("ix_ledger_transaction__meter", "meter_id", "id", postgresql_where=literal_column("meter_id IS NOT NULL")),
        Index("ix_ledger_transaction__lot", "lot_id", postgresql_where=literal_column("lot_id IS NOT NULL")),
        Index("ix_ledger_transaction__hold", "hold_id", postgresql_where=literal_column("hold_id IS NOT NULL")),
        Index("ix_ledger_transaction__purchase", "purchase_id", "id", postgresql_where=literal_column("purchase_id IS NOT NULL")),
    )


class LedgerEntry(Base):
    """One side of a booking. On an account with a balance it carries the version and the running balance."""

    __tablename__ = "ledger_entry"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    transaction_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ledger_transaction.id"))
    account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ledger_account.id"))
    amount_ucr: Mapped[int]
    account_version: Mapped[int | None]
    balance_after_ucr: Mapped[int | None]

    __table_args__ = (
        UniqueConstraint("account_id", "account_version"),
        CheckConstraint("amount_ucr <> 0", name="amount_not_zero"),
        CheckConstraint("(account_version IS NULL) = (balance_after_ucr IS NULL)", name="version_has_balance"),
        Index("ix_ledger_entry__transaction", "transaction_id"),
        Index("ix_ledger_entry__account", "account_id", "id"),
    )


class Fund(Base):
    """A sponsor's budget."""

    __tablename__ = "fund"

    id: Mapped[PrimaryId]
    slug: Mapped[str]
    name: Mapped[str]
    sponsor: Mapped[str]
    budget_ucr: Mapped[int]
    opened_at: Mapped[datetime]
    issuance_account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ledger_account.id"))
    breakage_account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ledger_account.id"))
    largest_grant_ucr: Mapped[int | None]
    classes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("slug"),
        CheckConstraint("largest_grant_ucr IS NULL OR largest_grant_ucr > 0", name="largest_grant_positive"),
        CheckConstraint("classes IS NULL OR cardinality(classes) > 0", name="classes_not_empty"),
        UniqueConstraint("issuance_account_id"),
        CheckConstraint("budget_ucr > 0", name="budget_positive"),
        CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{1,62}$'", name="slug_shape"),
    )


class Wallet(Base):
    """What a project spends from. Its row is locked before anything of it changes."""

    __tablename__ = "wallet"

    id: Mapped[PrimaryId]
    project_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("project.id"))
    opened_at: Mapped[datetime]
    debt_usage_account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ledger_account.id"))
    debt_clawback_account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ledger_account.id"))

    __table_args__ = (UniqueConstraint("project_id"),)


class Lot(Base):
    """Credits that came in one piece, and their terms; from a fund or from a purchase. A trigger refuses every change.

    origin: how it came. A lot that another lot's credits moved into (transfer, extension) names its source. supplements:
    the first grant of the same fund and purpose that this one adds to.
    """

    __tablename__ = "lot"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    wallet_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("wallet.id"))
    fund_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("fund.id"))
    purchase_id: Mapped[uuid.UUID | None]
    source_lot_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("lot.id"))
    supplements_lot_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("lot.id"))
    origin: Mapped[str]
    purpose: Mapped[str]
    classes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    priority: Mapped[int]
    is_bought: Mapped[bool]
    issued_ucr: Mapped[int]
    effective_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    granted_at: Mapped[datetime]
    available_account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ledger_account.id"))
    held_account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ledger_account.id"))
    frozen_account_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("ledger_account.id"))

    __table_args__ = (
        UniqueConstraint("available_account_id"),
        UniqueConstraint("held_account_id"),
        UniqueConstraint("frozen_account_id"),
        UniqueConstraint("purchase_id"),
        CheckConstraint("origin IN ('grant', 'purchase', 'transfer', 'extension', 'make_good')", name="origin"),
        CheckConstraint("(fund_id IS NULL) = (purchase_id IS NOT NULL)", name="fund_or_purchase"),
        CheckConstraint("is_bought = (purchase_id IS NOT NULL) AND is_bought = (origin = 'purchase')", name="bought_is_purchase"),
        CheckConstraint("(source_lot_id IS NOT NULL) = (origin IN ('transfer', 'extension'))", name="moved_has_source"),
        CheckConstraint("supplements_lot_id IS NULL OR origin = 'grant'", name="supplement_is_grant"),
        CheckConstraint("issued_ucr > 0", name="issued_positive"),
        CheckConstraint("effective_at < expires_at", name="validity"),
        CheckConstraint("classes IS NULL OR cardinality(classes) > 0", name="classes_not_empty"),
        CheckConstraint("priority BETWEEN 0 AND 1000", name="priority_range"),
        Index("ix_lot__wallet", "wallet_id", "expires_at"),
        Index("ix_lot__fund", "fund_id", "id"),
        Index("ix_lot__source", "source_lot_id", postgresql_where=literal_column("source_lot_id IS NOT NULL")),
        Index("ix_lot__supplements", "supplements_lot_id", postgresql_where=literal_column("supplements_lot_id IS NOT NULL")),
    )


class GrantRequest(Base):
    """A grant that waits for a second person, with everything that it will say."""

    __tablename__ = "grant_request"

    id: Mapped[PrimaryId]
    wallet_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("wallet.id"))
    fund_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("fund.id"))
    supplements_lot_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("lot.id"))
    amount_ucr: Mapped[int]
    purpose: Mapped[str]
    classes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    effective_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    state: Mapped[str]
    asked_at: Mapped[datetime]
    asked_by_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    lot_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("lot.id"))

    __table_args__ = (
        CheckConstraint(state_check(GrantRequestState, "state"), name="state"),
        CheckConstraint("amount_ucr > 0", name="amount_positive"),
        CheckConstraint("(state = 'waiting') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by_id IS NULL)", name="decision"),
        CheckConstraint("state <> 'approved' OR decided_by_id <> asked_by_id", name="second_person"),
        CheckConstraint("(state = 'approved') = (lot_id IS NOT NULL)", name="approved_has_lot"),
        Index("ix_grant_request__fund", "fund_id", "id"),
        Index("ix_grant_request__wallet", "wallet_id", "id"),
        Index("ix_grant_request__waiting", "id", postgresql_where=literal_column("state = 'waiting'")),
    )
