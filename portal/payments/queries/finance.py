"""What finance works on: incoming transfers and differences. The routes are finance's alone."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session

from portal.core import limits
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.credits import relations as credits_
from portal.credits.states import Currency
from portal.identity import relations as identity
from portal.payments.models import BankTransfer, Difference, Purchase, Refund
from portal.payments.rules.references import number_in
from portal.payments.states import DifferenceState, Method, PurchaseState, RefundState, TransferState
from portal.projects import relations as projects

LATELY = timedelta(days=2)
OPEN_TRANSFERS = (TransferState.UNMATCHED, TransferState.MATCHED)


@dataclass(frozen=True)
class Suggestion:
    """A purchase that a transfer may pay, and what speaks for it."""

    number: int
    project_name: str
    gross_minor: int
    currency: Currency
    is_exact: bool


@dataclass(frozen=True)
class TransferRow:
    """An incoming transfer; the purchase it is matched to, or the one that its text names."""

    id: uuid.UUID
    number: int
    bank_line: str
    arrived_on: date
    amount_minor: int
    currency: Currency
    payer: str
    text: str
    state: TransferState
    note: str
    matched_by_id: uuid.UUID | None
    matched_by: str
    purchase: Suggestion | None


@dataclass(frozen=True)
class DifferenceRow:
    """A difference between Stripe's balance and our books."""

    id: uuid.UUID
    number: int
    what: str
    amount_minor: int
    currency: Currency
    state: DifferenceState
    found_at: datetime
    resolved_at: datetime | None
    resolved_by: str
    resolution: str


@dataclass(frozen=True)
class Waiting:
    """How much work waits for finance, of each kind."""

    transfers: int
    refunds: int
    differences: int
    refused: int


def page_of_transfers(db: Session, *, mark: str | None, states: Sequence[TransferState]) -> Page[TransferRow]:
    """Return one page of incoming transfers in some states, newest first, with what they may pay; two statements."""
    page = page_of(db, _transfers().where(BankTransfer.state.in_([state.value for state in states])), BankTransfer.id, mark=mark)
    named = {row.id: row.purchase_number or number_in(row.BankTransfer.text) for row in page.rows}
    found = _suggested(db, [number for number in named.values() if number is not None])
    return page.map(lambda row: _transfer(row.BankTransfer, row.matched_by or "", found.get(named[row.id] or 0)))


def transfer(db: Session, transfer_id: uuid.UUID) -> TransferRow:
    """Return one incoming transfer with what it may pay. Raises NotFound."""
    row = db.execute(_transfers().where(BankTransfer.id == transfer_id)).one_or_none()
    if row is None:
        raise NotFound
    number = row.purchase_number or number_in(row.BankTransfer.text)
    return _transfer(row.BankTransfer, row.matched_by or "", _suggested(db, [number] if number else []).get(number or 0))


def _transfers() -> Select[Any]:
    person = identity.person.c
    return (
        select(BankTransfer, BankTransfer.id.label("id"), person.display_name.label("matched_by"), Purchase.number.label("purchase_number"))
        .outerjoin(identity.person, person.id == BankTransfer.matched_by_id)
        .outerjoin(Purchase, Purchase.id == BankTransfer.purchase_id)
    )


def _suggested(db: Session, numbers: Sequence[int]) -> dict[int, Row[Any]]:
    if not numbers:
        return {}
    wallet, project = credits_.wallet.c, projects.project.c
    query = (
        select(Purchase, project.name.label("project_name"))
        .join(credits_.wallet, wallet.id == Purchase.wallet_id)
        .join(projects.project, project.id == wallet.project_id)
        .where(Purchase.number.in_(numbers), Purchase.method == Method.BANK.value)
    )
    return {row.Purchase.number: row for row in db.execute(query)}


def _transfer(one: BankTransfer, matched_by: str, row: Row[Any] | None) -> TransferRow:
    suggestion = None
    if row is not None:
        purchase: Purchase = row.Purchase
        is_exact = (purchase.gross_minor, purchase.currency) == (one.amount_minor, one.currency) and purchase.state != PurchaseState.PAID
        suggestion = Suggestion(purchase.number, row.project_name, purchase.gross_minor, Currency(purchase.currency), is_exact)
    return TransferRow(
        one.id,
        one.number,
        one.bank_line,
        one.arrived_on,
        one.amount_minor,
        Currency(one.currency),
        one.payer,
        one.text,
        TransferState(one.state),
        one.note or "",
        one.matched_by_id,
        matched_by,
        suggestion,
    )


def page_of_differences(db: Session, *, mark: str | None, state: DifferenceState) -> Page[DifferenceRow]:
    """Return one page of differences, newest first."""
    person = identity.person.c
    query = (
        select(Difference, Difference.id.label("id"), person.display_name.label("resolved_by"))
        .outerjoin(identity.person, person.id == Difference.resolved_by_id)
        .where(Difference.state == state.value)
    )
    return page_of(db, query, Difference.id, mark=mark).map(lambda row: _difference(row.Difference, row.resolved_by or ""))


def _difference(one: Difference, resolved_by: str) -> DifferenceRow:
    currency, state = Currency(one.currency), DifferenceState(one.state)
    return DifferenceRow(one.id, one.number, one.what, one.amount_minor, currency, state, one.found_at, one.resolved_at, resolved_by, one.resolution or "")


def difference_by_number(db: Session, number: int) -> DifferenceRow:
    """Return one difference. Raises NotFound."""
    person = identity.person.c
    query = select(Difference, person.display_name.label("resolved_by")).outerjoin(identity.person, person.id == Difference.resolved_by_id)
    row = db.execute(query.where(Difference.number == number)).one_or_none()
    if row is None:
        raise NotFound
    return _difference(row.Difference, row.resolved_by or "")


def waiting(db: Session, *, now: datetime) -> Waiting:
    """Return how much waits, and how many messages were refused in two days; two statements."""
    open_transfers = select(func.count()).select_from(BankTransfer).where(BankTransfer.state.in_([state.value for state in OPEN_TRANSFERS]))
    open_refunds = select(func.count()).select_from(Refund).where(Refund.state == RefundState.WAITING.value)
    open_differences = select(func.count()).select_from(Difference).where(Difference.state == DifferenceState.OPEN.value)
    row = db.execute(select(open_transfers.scalar_subquery(), open_refunds.scalar_subquery(), open_differences.scalar_subquery())).one()
    return Waiting(*row, limits.hits_since(db, "payments.refused:", since=now - LATELY))
