"""Purchases as pages show them, scoped by actor in SQL: leads and members of the project, and finance."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, exists, select
from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.core.quantities import UCR_PER_CREDIT
from portal.credits import relations as credits_
from portal.credits.states import Currency
from portal.identity import relations as identity
from portal.payments.models import Dispute, Document, Purchase, Refund
from portal.payments.permissions import HOLDERS, Permission
from portal.payments.rules.references import reference_of
from portal.payments.states import DisputeState, DocumentKind, Method, PurchaseState, RefundState
from portal.projects import relations as projects
from portal.projects.states import MemberRole

BUYERS = (MemberRole.LEAD.value, MemberRole.MEMBER.value)


@dataclass(frozen=True)
class BuyingFor:
    """A wallet that the actor may buy credits for."""

    wallet_id: uuid.UUID
    project_slug: str
    project_name: str


@dataclass(frozen=True)
class PurchaseRow:
    """A purchase in a list."""

    id: uuid.UUID
    number: int
    project_name: str
    project_slug: str
    buyer: str
    method: Method
    state: PurchaseState
    credits_ucr: int
    gross_minor: int
    currency: Currency
    placed_at: datetime


@dataclass(frozen=True)
class PurchaseView:
    """A purchase with everything that its page says. is_own: the actor leads its project or is a member."""

    row: PurchaseRow
    net_minor: int
    vat_minor: int
    vat_rate_ppm: int
    unit_minor: int
    bill_to: Mapping[str, str]
    checkout_url: str | None
    checkout_expires_at: datetime | None
    checkout_id: str | None
    paid_at: datetime | None
    ended_at: datetime | None
    is_own: bool

    @property
    def quantity(self) -> int:
        """Return the credits bought, whole ones."""
        return self.row.credits_ucr // UCR_PER_CREDIT

    @property
    def reference(self) -> str:
        """Return what a bank transfer must name."""
        return reference_of(self.row.number)

    def has_page(self, now: datetime) -> bool:
        """Return whether a payment page is open."""
        is_open = self.row.state is PurchaseState.AWAITING and self.checkout_expires_at is not None
        return is_open and self.checkout_url is not None and self.checkout_expires_at is not None and now < self.checkout_expires_at


@dataclass(frozen=True)
class MoneyRow:
    """A refund or a dispute of a purchase."""

    at: datetime
    amount_minor: int
    state: RefundState | DisputeState
    reason: str


@dataclass(frozen=True)
class DocumentRow:
    """An invoice or a credit note in a list."""

    id: uuid.UUID
    kind: DocumentKind
    name: str
    gross_minor: int
    currency: Currency
    issued_at: datetime


@dataclass(frozen=True)
class RefundRow:
    """A refund that waits for a second person, or is under way."""

    id: uuid.UUID
    number: int
    purchase_number: int
    project_name: str
    buyer: str
    amount_minor: int
    currency: Currency
    reason: str
    state: RefundState
    asked_at: datetime
    asked_by: str
    asked_by_id: uuid.UUID | None


def buying_for(db: Session, ref: str, *, actor: Actor) -> BuyingFor:
    """Return the wallet of a project that the actor leads or is a member of. Raises NotFound."""
    wallet, project, member = credits_.wallet.c, projects.project.c, projects.member.c
    query = (
        select(wallet.id, project.slug, project.name)
        .join(projects.project, project.id == wallet.project_id)
        .join(projects.member, member.project_id == project.id)
        .where(member.person_id == actor.person_id, member.role.in_(BUYERS), project.slug == ref, project.is_open)
    )
    row = db.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return BuyingFor(*row)


def _visible(actor: Actor, *columns: Any) -> Select[Any]:
    person, wallet, project, member = identity.person.c, credits_.wallet.c, projects.project.c, projects.member.c
    query = (
        select(*columns, project.name.label("project_name"), project.slug.label("project_slug"), person.display_name.label("buyer"))
        .join(credits_.wallet, wallet.id == Purchase.wallet_id)
        .join(projects.project, project.id == wallet.project_id)
        .join(identity.person, person.id == Purchase.buyer_id)
    )
    if actor.has(*HOLDERS[Permission.SEE_PAYMENTS]):
        return query
    own = select(member.project_id).where(member.person_id == actor.person_id, member.role.in_(BUYERS))
    return query.where(project.id.in_(own))


def page_of_purchases(db: Session, actor: Actor, *, mark: str | None, state: PurchaseState | None = None) -> Page[PurchaseRow]:
    """Return one page of the purchases that the actor may see, newest first."""
    query = _visible(actor, Purchase, Purchase.id.label("id"))
    if state is not None:
        query = query.where(Purchase.state == state.value)
    return page_of(db, query, Purchase.id, mark=mark).map(_row)


def purchase_by_number(db: Session, number: int, *, actor: Actor) -> PurchaseView:
    """Return a purchase that the actor may see. Raises NotFound."""
    member = projects.member.c
    belongs = exists().where(member.project_id == projects.project.c.id, member.person_id == actor.person_id, member.role.in_(BUYERS))
    row = db.execute(_visible(actor, Purchase, belongs.label("is_own")).where(Purchase.number == number)).one_or_none()
    if row is None:
        raise NotFound
    one: Purchase = row.Purchase
    return PurchaseView(
        _row(row),
        one.net_minor,
        one.vat_minor,
        one.vat_rate_ppm,
        one.unit_minor,
        one.bill_to,
        one.checkout_url,
        one.checkout_expires_at,
        one.checkout_id,
        one.paid_at,
        one.ended_at,
        row.is_own,
    )


def own_purchase(db: Session, number: int, *, actor: Actor) -> PurchaseView:
    """Return a purchase of a project that the actor leads or is a member of: what people do themselves. Raises NotFound."""
    found = purchase_by_number(db, number, actor=actor)
    if not found.is_own:
        raise NotFound
    return found


def _row(row: Row[Any]) -> PurchaseRow:
    one: Purchase = row.Purchase
    return PurchaseRow(
        one.id,
        one.number,
        row.project_name,
        row.project_slug,
        row.buyer,
        Method(one.method),
        PurchaseState(one.state),
        one.credits_ucr,
        one.gross_minor,
        Currency(one.currency),
        one.placed_at,
    )


def money_back(db: Session, purchase_id: uuid.UUID) -> list[MoneyRow]:
    """Return refunds and disputes of a purchase, the oldest first; two statements."""
    refunds = db.execute(select(Refund).where(Refund.purchase_id == purchase_id)).scalars()
    disputes = db.execute(select(Dispute).where(Dispute.purchase_id == purchase_id)).scalars()
    rows = [MoneyRow(row.asked_at, row.amount_minor, RefundState(row.state), row.reason) for row in refunds]
    rows += [MoneyRow(row.opened_at, row.amount_minor, DisputeState(row.state), row.reason) for row in disputes]
    return sorted(rows, key=lambda row: row.at)


def documents_of(db: Session, purchase_id: uuid.UUID) -> list[DocumentRow]:
    """Return invoices and credit notes of a purchase, in the order of their issue."""
    rows = db.execute(select(Document).where(Document.purchase_id == purchase_id).order_by(Document.id)).scalars()
    return [
        DocumentRow(row.id, DocumentKind(row.kind), name_of(row.series, row.year, row.number), row.gross_minor, Currency(row.currency), row.issued_at)
        for row in rows
    ]


def document_of(db: Session, purchase_id: uuid.UUID, document_id: uuid.UUID) -> tuple[Document, str]:
    """Return a document of a purchase, and the name of the invoice that it corrects, if any. Raises NotFound."""
    found = db.execute(select(Document).where(Document.id == document_id, Document.purchase_id == purchase_id)).scalar_one_or_none()
    if found is None:
        raise NotFound
    first = select(Document).where(Document.cause == f"purchase:{purchase_id}", Document.id != document_id)
    invoice = db.execute(first).scalar_one_or_none()
    return found, name_of(invoice.series, invoice.year, invoice.number) if invoice is not None else ""


def name_of(series: str, year: int, number: int) -> str:
    """Return a document's number as it is printed: INV-2026-000012."""
    return f"{series}-{year}-{number:06d}"


def page_of_refunds(db: Session, *, mark: str | None, states: Sequence[RefundState]) -> Page[RefundRow]:
    """Return one page of refunds in some states, newest first. For finance."""
    buyer, asker = identity.person.alias("buyer"), identity.person.alias("asker")
    wallet, project = credits_.wallet.c, projects.project.c
    query = (
        select(Refund, Refund.id.label("id"), Purchase.number.label("purchase_number"), Purchase.currency, project.name.label("project_name"))
        .add_columns(buyer.c.display_name.label("buyer"), asker.c.display_name.label("asked_by"))
        .join(Purchase, Purchase.id == Refund.purchase_id)
        .join(credits_.wallet, wallet.id == Purchase.wallet_id)
        .join(projects.project, project.id == wallet.project_id)
        .join(buyer, buyer.c.id == Purchase.buyer_id)
        .outerjoin(asker, asker.c.id == Refund.asked_by_id)
        .where(Refund.state.in_([state.value for state in states]))
    )
    return page_of(db, query, Refund.id, mark=mark).map(_refund_row)


def _refund_row(row: Row[Any]) -> RefundRow:
    one: Refund = row.Refund
    return RefundRow(
        one.id,
        one.number,
        row.purchase_number,
        row.project_name,
        row.buyer,
        one.amount_minor,
        Currency(row.currency),
        one.reason,
        RefundState(one.state),
        one.asked_at,
        row.asked_by or "Stripe",
        one.asked_by_id,
    )
