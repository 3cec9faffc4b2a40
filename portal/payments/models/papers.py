"""Tables of price lists, bank transfers, and invoices and credit notes."""

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, PrimaryKeyConstraint, UniqueConstraint, literal_column
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.database import Base, Json, Number, PrimaryId
from portal.core.states import state_check
from portal.credits.states import Currency
from portal.payments.states import DocumentKind, TransferState


class PriceList(Base):
    """A published price list; it holds from `starts_at` until the next one starts. Never changed."""

    __tablename__ = "price_list"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    starts_at: Mapped[datetime]
    published_at: Mapped[datetime]
    published_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))

    __table_args__ = (UniqueConstraint("starts_at"),)


class PriceStep(Base):
    """What a credit costs from a quantity on, in one currency. Never changed."""

    __tablename__ = "price_step"

    price_list_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("price_list.id"))
    currency: Mapped[str]
    from_credits: Mapped[int]
    unit_minor: Mapped[int]

    __table_args__ = (
        PrimaryKeyConstraint("price_list_id", "currency", "from_credits"),
        CheckConstraint(state_check(Currency, "currency"), name="currency"),
        CheckConstraint("from_credits > 0 AND unit_minor > 0", name="amounts"),
    )


class BankTransfer(Base):
    """Money that came in at the bank, as the bank says; matched and approved by two people."""

    __tablename__ = "bank_transfer"

    id: Mapped[PrimaryId]
    number: Mapped[Number]
    bank_line: Mapped[str]
    arrived_on: Mapped[date] = mapped_column(Date)
    currency: Mapped[str]
    amount_minor: Mapped[int]
    payer: Mapped[str]
    text: Mapped[str]
    state: Mapped[str]
    purchase_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("purchase.id"))
    entered_at: Mapped[datetime]
    entered_by_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    matched_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    approved_by_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    note: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("bank_line"),
        CheckConstraint(state_check(TransferState, "state"), name="state"),
        CheckConstraint(state_check(Currency, "currency"), name="currency"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("(state IN ('matched', 'approved')) = (purchase_id IS NOT NULL)", name="matched_has_purchase"),
        CheckConstraint("(purchase_id IS NULL) = (matched_by_id IS NULL)", name="matched_has_person"),
        CheckConstraint(
            "(state = 'approved') = (approved_by_id IS NOT NULL) AND (approved_by_id IS NULL OR approved_by_id IS DISTINCT FROM matched_by_id)",
            name="second_person",
        ),
        Index("ix_bank_transfer__open", "id", postgresql_where=literal_column("state IN ('unmatched', 'matched')")),
    )


class DocumentSeries(Base):
    """The last number given in a series and year; its row is the lock that keeps numbers without gaps."""

    __tablename__ = "document_series"

    series: Mapped[str]
    year: Mapped[int]
    last_number: Mapped[int]

    __table_args__ = (PrimaryKeyConstraint("series", "year"), CheckConstraint("last_number >= 0", name="number"))


class Document(Base):
    """An invoice or a credit note with everything that it says. Never changed. cause: what it was issued for, once."""

    __tablename__ = "document"

    id: Mapped[PrimaryId]
    kind: Mapped[str]
    series: Mapped[str]
    year: Mapped[int]
    number: Mapped[int]
    purchase_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("purchase.id"))
    cause: Mapped[str]
    invoice_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("document.id"))
    currency: Mapped[str]
    net_minor: Mapped[int]
    vat_minor: Mapped[int]
    gross_minor: Mapped[int]
    vat_rate_ppm: Mapped[int]
    content: Mapped[Json]
    language: Mapped[str]
    issued_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("series", "year", "number"),
        UniqueConstraint("cause"),
        CheckConstraint(state_check(DocumentKind, "kind"), name="kind"),
        CheckConstraint("gross_minor = net_minor + vat_minor", name="gross"),
        CheckConstraint("(kind = 'credit_note') = (invoice_id IS NOT NULL)", name="credit_note_has_invoice"),
        CheckConstraint("(kind = 'invoice') = (gross_minor > 0)", name="sign"),
        Index("ix_document__purchase", "purchase_id", "id"),
    )
