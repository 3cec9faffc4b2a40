"""Funds and what became of their credits."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, cast, func, select
from sqlalchemy.orm import Session, aliased

from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.credits.models import Fund, GrantRequest, LedgerAccount, LedgerEntry, Lot, Wallet
from portal.credits.states import GrantRequestState
from portal.identity import relations as identity
from portal.projects import relations as projects


@dataclass(frozen=True)
class FundRow:
    """A fund: budget = issued + remaining, issued = used + expired + held + available."""

    id: uuid.UUID
    slug: str
    name: str
    sponsor: str
    opened_at: datetime
    budget_ucr: int
    issued_ucr: int
    expired_ucr: int
    held_ucr: int
    available_ucr: int

    @property
    def remaining_ucr(self) -> int:
        """Return what can still be granted."""
        return self.budget_ucr - self.issued_ucr

    @property
    def used_ucr(self) -> int:
        """Return what sessions used, as booked."""
        return self.issued_ucr - self.expired_ucr - self.held_ucr - self.available_ucr


@dataclass(frozen=True)
class GrantRow:
    """A grant of a fund."""

    id: uuid.UUID
    number: int
    project_slug: str
    project_name: str
    purpose: str
    issued_ucr: int
    left_ucr: int
    granted_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class RequestRow:
    """A grant that waits, or waited, for a second person."""

    id: uuid.UUID
    state: GrantRequestState
    amount_ucr: int
    purpose: str
    classes: Sequence[str] | None
    effective_at: datetime
    expires_at: datetime
    asked_at: datetime
    asked_by_id: uuid.UUID
    asked_by: str
    fund_name: str
    fund_slug: str
    project_name: str
    project_slug: str
    supplements: int | None


def _sum_of(column: Any) -> Any:
    account = aliased(LedgerAccount)
    total = cast(func.coalesce(func.sum(account.balance_ucr), 0), BigInteger)
    return select(total).join(Lot, column == account.id).where(Lot.fund_id == Fund.id).correlate(Fund).scalar_subquery()


def _funds() -> Select[Any]:
    expired = select(cast(func.coalesce(func.sum(LedgerEntry.amount_ucr), 0), BigInteger)).where(LedgerEntry.account_id == Fund.breakage_account_id)
    return (
        select(Fund.id, Fund.slug, Fund.name, Fund.sponsor, Fund.opened_at, Fund.budget_ucr, (-LedgerAccount.balance_ucr).label("issued_ucr"))
        .add_columns(expired.correlate(Fund).scalar_subquery().label("expired_ucr"))
        .add_columns(_sum_of(Lot.held_account_id).label("held_ucr"), _sum_of(Lot.available_account_id).label("available_ucr"))
        .join(LedgerAccount, LedgerAccount.id == Fund.issuance_account_id)
    )


def page_of_funds(db: Session, *, mark: str | None) -> Page[FundRow]:
    """Return one page of funds, newest first."""
    return page_of(db, _funds(), Fund.id, mark=mark).map(lambda row: FundRow(*row))


def fund_by_slug(db: Session, slug: str) -> FundRow:
    """Return a fund. Raises NotFound."""
    row = db.execute(_funds().where(Fund.slug == slug)).one_or_none()
    if row is None:
        raise NotFound
    return FundRow(*row)


def choices(db: Session) -> list[tuple[uuid.UUID, str, int]]:
    """Return (id, name, what is left) of the funds that can still grant, by name."""
    left = (LedgerAccount.balance_ucr - LedgerAccount.lower_bound_ucr).label("left_ucr")
    query = select(Fund.id, Fund.name, left).join(LedgerAccount, LedgerAccount.id == Fund.issuance_account_id)
    return [(row.id, row.name, row.left_ucr) for row in db.execute(query.where(left > 0, Fund.closed_at.is_(None)).order_by(Fund.name).limit(200))]


def page_of_grants(db: Session, fund_id: uuid.UUID, *, mark: str | None) -> Page[GrantRow]:
    """Return one page of a fund's grants, newest first."""
    available, held, project = aliased(LedgerAccount), aliased(LedgerAccount), projects.project.c
    query = (
        select(Lot.id, Lot.number, project.slug.label("project_slug"), project.name.label("project_name"), Lot.purpose, Lot.issued_ucr)
        .add_columns((available.balance_ucr + held.balance_ucr).label("left_ucr"), Lot.granted_at, Lot.expires_at)
        .join(Wallet, Wallet.id == Lot.wallet_id)
        .join(projects.project, project.id == Wallet.project_id)
        .join(available, available.id == Lot.available_account_id)
        .join(held, held.id == Lot.held_account_id)
        .where(Lot.fund_id == fund_id, Lot.origin.in_(["grant", "make_good"]))
    )
    return page_of(db, query, Lot.id, mark=mark).map(lambda row: GrantRow(*row))


def _requests() -> Select[Any]:
    person, project = identity.person.c, projects.project.c
    return (
        select(GrantRequest.id, GrantRequest.state, GrantRequest.amount_ucr, GrantRequest.purpose, GrantRequest.classes, GrantRequest.effective_at)
        .add_columns(GrantRequest.expires_at, GrantRequest.asked_at, GrantRequest.asked_by_id, person.display_name.label("asked_by"))
        .add_columns(Fund.name.label("fund_name"), Fund.slug.label("fund_slug"), project.name.label("project_name"), project.slug.label("project_slug"))
        .add_columns(Lot.number.label("supplements"))
        .join(Lot, Lot.id == GrantRequest.supplements_lot_id, isouter=True)
        .join(Fund, Fund.id == GrantRequest.fund_id)
        .join(Wallet, Wallet.id == GrantRequest.wallet_id)
        .join(projects.project, project.id == Wallet.project_id)
        .join(identity.person, person.id == GrantRequest.asked_by_id)
    )


def requests_where(db: Session, condition: ColumnElement[bool]) -> list[RequestRow]:
    """Return the grant requests of a condition."""
    return [_request(row) for row in db.execute(_requests().where(condition))]


def _request(row: Any) -> RequestRow:
    return RequestRow(**(dict(row._mapping) | {"state": GrantRequestState(row.state)}))  # noqa: SLF001 -- SQLAlchemy's public name for a row's columns
