"""Reports, from the journal alone. Whoever may see reports sees every subject: the pages ask for the permission."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, array
from sqlalchemy.orm import Session

from portal.core.database import Instant
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.credits.calendar import day_start, month_after
from portal.credits.models import Fund, LedgerAccount, LedgerEntry, LedgerTransaction, Lot, Wallet
from portal.credits.queries.closing import Head, head
from portal.incubation.models import ProgramApplication, ProgramCall, Venture
from portal.projects.models import Project
from portal.reporting.rules import INSIDE, Flow, flow, total


class Kind(StrEnum):
    """What a report is about."""

    FUND = "funds"
    CALL = "calls"


@dataclass(frozen=True)
class Subject:
    """A fund, or the cohort of a call. A fund has a name, a sponsor and a budget; a call's title is in several languages."""

    kind: Kind
    id: uuid.UUID
    slug: str
    name: str
    titles: dict[str, str]
    sponsor: str
    budget_ucr: int
    issued_ucr: int
    began_at: datetime


@dataclass(frozen=True)
class MonthFlow:
    """A month by its first day."""

    month: date
    flow: Flow


@dataclass(frozen=True)
class ProjectFlow:
    """A project over the whole period."""

    slug: str
    name: str
    flow: Flow


@dataclass(frozen=True)
class Report:
    """Months and projects each add up to `whole`; opening(n+1) = closing(n). head: the journal's seal when it was read."""

    subject: Subject
    months: Sequence[MonthFlow]
    projects: Sequence[ProjectFlow]
    whole: Flow
    head: Head | None
    as_of: datetime


def subject_of(db: Session, kind: Kind, slug: str) -> Subject:
    """Return a fund or a call by its slug. Raises NotFound."""
    if kind is Kind.FUND:
        query = select(Fund, (-LedgerAccount.balance_ucr).label("issued_ucr")).join(LedgerAccount, LedgerAccount.id == Fund.issuance_account_id)
        row = db.execute(query.where(Fund.slug == slug)).one_or_none()
        if row is None:
            raise NotFound
        fund: Fund = row.Fund
        return Subject(kind, fund.id, fund.slug, fund.name, {}, fund.sponsor, fund.budget_ucr, row.issued_ucr, fund.opened_at)
    call = db.execute(select(ProgramCall).where(ProgramCall.slug == slug)).scalar_one_or_none()
    if call is None:
        raise NotFound
    return _cohort(call)


def report(db: Session, subject: Subject, *, months: Sequence[date], now: datetime) -> Report:
    """Return a subject's report over successive months, each by its first day; two statements."""
    starts = [day_start(month) for month in [*months, month_after(months[-1])]]
    month = func.width_bucket(LedgerTransaction.booked_at, literal(starts, ARRAY(Instant())))
    own_accounts = array([Lot.available_account_id, Lot.held_account_id, Lot.frozen_account_id])
    query = (
        select(Project.slug, Project.name, month.label("month"), LedgerTransaction.operation, cast(func.sum(LedgerEntry.amount_ucr), BigInteger).label("ucr"))
        .select_from(Lot)
        .join(Wallet, Wallet.id == Lot.wallet_id)
        .join(Project, Project.id == Wallet.project_id)
        .join(LedgerEntry, LedgerEntry.account_id == func.any(own_accounts))
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .where(_is_of(subject), LedgerTransaction.operation.not_in(INSIDE), LedgerTransaction.booked_at < starts[-1])
        .group_by(Project.slug, Project.name, "month", LedgerTransaction.operation)
    )
    found: defaultdict[tuple[str, str], defaultdict[int, list[tuple[str, int]]]] = defaultdict(lambda: defaultdict(list))
    for row in db.execute(query):
        found[row.slug, row.name][row.month].append((row.operation, row.ucr))
    projects = [ProjectFlow(slug, name, _over(changes, len(months))) for (slug, name), changes in found.items()]
    whole = total(row.flow for row in projects)
    shown = sorted((row for row in projects if not row.flow.is_empty), key=lambda row: (-row.flow.used_ucr, row.name, row.slug))
    return Report(subject, list(_by_month(found.values(), months)), shown, whole, head(db), now)


def _is_of(subject: Subject) -> ColumnElement[bool]:
    if subject.kind is Kind.FUND:
        return Lot.fund_id == subject.id
    admitted = select(Venture.project_id).join(ProgramApplication, ProgramApplication.id == Venture.application_id)
    return Wallet.project_id.in_(admitted.where(ProgramApplication.call_id == subject.id))


def _over(changes: dict[int, list[tuple[str, int]]], months: int) -> Flow:
    before_ucr = sum(amount_ucr for _, amount_ucr in changes.get(0, ()))
    return flow(before_ucr, [change for place in range(1, months + 1) for change in changes.get(place, ())])


def _by_month(projects: Any, months: Sequence[date]) -> Any:
    together: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for changes in projects:
        for place, parts in changes.items():
            together[place] += parts
    opening_ucr = sum(amount_ucr for _, amount_ucr in together[0])
    for place, month in enumerate(months, start=1):
        found = flow(opening_ucr, together[place])
        yield MonthFlow(month, found)
        opening_ucr = found.closing_ucr


def page_of_cohorts(db: Session, *, mark: str | None) -> Page[Subject]:
    """Return one page of the calls that admitted somebody, newest first."""
    admitted = select(ProgramApplication.id).join(Venture, Venture.application_id == ProgramApplication.id).where(ProgramApplication.call_id == ProgramCall.id)
    query: Select[Any] = select().add_columns(ProgramCall.id, ProgramCall).where(admitted.exists())
    page = page_of(db, query, ProgramCall.id, mark=mark)
    return page.map(lambda row: _cohort(row.ProgramCall))


def _cohort(call: ProgramCall) -> Subject:
    return Subject(Kind.CALL, call.id, call.slug, "", dict(call.title), "", call.budget_ucr, 0, call.opens_at)


def first_booking(db: Session, subject: Subject) -> datetime | None:
    """Return when the subject's first lot was given, None when it has none."""
    query = select(func.min(Lot.granted_at)).join(Wallet, Wallet.id == Lot.wallet_id).where(_is_of(subject))
    return db.execute(query).scalar_one()
