"""Wallets as pages show them: whose they are, their lots, their charges. Scoped by actor in SQL."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, case, exists, func, or_, select, true
from sqlalchemy.orm import Session, aliased

from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.credits import bulk
from portal.credits.models import Fund, Hold, HoldShare, LedgerAccount, Lot, LotRevocation, Meter, MeterSegment, Wallet
from portal.credits.permissions import HOLDERS, Permission
from portal.credits.queries.balances import meter_costs, running_seconds
from portal.credits.states import HoldState, MeterState
from portal.projects import relations as projects
from portal.projects.states import MemberRole

# Learners spend a course's credits, but what the others of the course do is not theirs to read.
READERS = (MemberRole.LEAD.value, MemberRole.MEMBER.value)


@dataclass(frozen=True)
class WalletCard:
    """A wallet and the project that it belongs to. is_own: the actor leads the project or is a member."""

    id: uuid.UUID
    project_id: uuid.UUID
    project_slug: str
    project_name: str
    opened_at: datetime
    is_own: bool


@dataclass(frozen=True)
class LotRow:
    """A lot at an instant. left = what it still has, running sessions counted to the second. A bought one has no fund."""

    id: uuid.UUID
    number: int
    fund_name: str
    purpose: str
    classes: Sequence[str] | None
    issued_ucr: int
    left_ucr: int
    held_ucr: int
    effective_at: datetime
    expires_at: datetime
    is_valid: bool
    is_bought: bool
    is_revoked: bool
    frozen_ucr: int
    granted_at: datetime


@dataclass(frozen=True)
class ChargeRow:
    """A session's charge until an instant, less what went back of it."""

    id: uuid.UUID
    session_id: uuid.UUID
    label: str
    charge_class: str
    state: MeterState
    begins_at: datetime
    duration_s: int
    rate_ucr_per_hour: int
    cost_ucr: int
    debt_ucr: int
    is_running: bool


def visible_wallets(actor: Actor) -> Select[Any]:
    """Select the wallets that an actor may see, as the columns of WalletCard."""
    project, member = projects.project.c, projects.member.c
    query = select(Wallet.id, Wallet.project_id, project.slug.label("project_slug"), project.name.label("project_name"), Wallet.opened_at)
    belongs = exists().where(member.project_id == Wallet.project_id, member.person_id == actor.person_id, member.role.in_(READERS))
    query = query.add_columns(belongs.label("is_own"))
    query = query.join(projects.project, project.id == Wallet.project_id)
    if actor.has(*HOLDERS[Permission.SEE_EVERY_WALLET]):
        return query
    own = select(member.project_id).where(member.person_id == actor.person_id, member.role.in_(READERS))
    return query.where(Wallet.project_id.in_(own))


def wallet_by_ref(db: Session, ref: str, *, actor: Actor) -> WalletCard:
    """Return a wallet that the actor may see, by its project's slug or its own id. Raises NotFound."""
    try:
        named = Wallet.id == uuid.UUID(ref)
    except ValueError:
        named = projects.project.c.slug == ref
    return _card(db, visible_wallets(actor).where(named))


def wallet_card(db: Session, visible: Select[Any], wallet_id: uuid.UUID) -> WalletCard:
    """Return one of the wallets that `visible_wallets` selects. Raises NotFound."""
    return _card(db, visible.where(Wallet.id == wallet_id))


def _card(db: Session, query: Select[Any]) -> WalletCard:
    row = db.execute(query).one_or_none()
    if row is None:
        raise NotFound
    return WalletCard(*row)


def page_of_wallets(db: Session, actor: Actor, *, mark: str | None) -> Page[WalletCard]:
    """Return one page of the wallets that an actor may see, newest first."""
    return page_of(db, visible_wallets(actor), Wallet.id, mark=mark).map(lambda row: WalletCard(*row))


@dataclass(frozen=True)
class RunningRow:
    """A running session. ends_at: when it ends by itself at the latest. window_ends_at: until when it is paid."""

    session_id: uuid.UUID
    label: str
    charge_class: str
    rate_ucr_per_hour: int
    ends_at: datetime | None
    window_ends_at: datetime
    is_refused: bool


@dataclass(frozen=True)
class Holdings:
    """What a wallet has: its lots in the order of spending, and the sessions that spend of them now."""

    lots: Sequence[LotRow]
    running: Sequence[RunningRow]


def lots_of_wallet(db: Session, wallet_id: uuid.UUID, *, now: datetime) -> Sequence[LotRow]:
    """Return the lots that have something left and have not ended, in the order of spending; two statements.

    Over those valid at `now`, left adds up to the wallet's balance.
    """
    return holdings(db, [wallet_id], now=now)[wallet_id].lots


def holdings(db: Session, wallet_ids: Collection[uuid.UUID], *, now: datetime) -> dict[uuid.UUID, Holdings]:
    """Return lots and running sessions of wallets; two statements, whatever their number."""
    available, held, frozen = aliased(LedgerAccount), aliased(LedgerAccount), aliased(LedgerAccount)
    query = (
        select(
            Lot,
            func.coalesce(Fund.name, "").label("fund_name"),
            LotRevocation.revoked_at,
            available.balance_ucr.label("available_ucr"),
            held.balance_ucr.label("held_ucr"),
            frozen.balance_ucr.label("frozen_ucr"),
        )
        .join(Fund, Fund.id == Lot.fund_id, isouter=True)
        .join(LotRevocation, LotRevocation.lot_id == Lot.id, isouter=True)
        .join(available, available.id == Lot.available_account_id)
        .join(held, held.id == Lot.held_account_id)
        .join(frozen, frozen.id == Lot.frozen_account_id)
        .where(bulk.among(Lot.wallet_id, wallet_ids))
        .where(or_(and_(available.balance_ucr > 0, Lot.expires_at > now), held.balance_ucr > 0, frozen.balance_ucr > 0))
    )
    used, running = _running(db, wallet_ids, now)
    lots: defaultdict[uuid.UUID, list[LotRow]] = defaultdict(list)
    for row in sorted(db.execute(query), key=lambda row: _place(row.Lot)):
        lots[row.Lot.wallet_id].append(_lot_row(row, used[row.Lot.id], now))
    return {id_: Holdings(lots[id_], running[id_]) for id_ in wallet_ids}


def _place(lot: Lot) -> tuple[Any, ...]:
    return lot.priority, lot.expires_at, 1 << 30 if lot.classes is None else len(lot.classes), lot.is_bought, lot.granted_at, lot.id.bytes


def _lot_row(row: Any, running_ucr: int, now: datetime) -> LotRow:
    lot: Lot = row.Lot
    is_revoked = row.revoked_at is not None
    is_valid = lot.effective_at <= now < lot.expires_at and not is_revoked
    available_ucr = row.available_ucr if now < lot.expires_at else 0
    return LotRow(
        id=lot.id,
        number=lot.number,
        fund_name=row.fund_name,
        purpose=lot.purpose,
        classes=lot.classes,
        issued_ucr=lot.issued_ucr,
        left_ucr=available_ucr + row.held_ucr - running_ucr,
        held_ucr=row.held_ucr - running_ucr,
        effective_at=lot.effective_at,
        expires_at=lot.expires_at,
        is_valid=is_valid,
        is_bought=lot.is_bought,
        is_revoked=is_revoked,
        frozen_ucr=row.frozen_ucr,
        granted_at=lot.granted_at,
    )


def _running(db: Session, wallet_ids: Collection[uuid.UUID], now: datetime) -> tuple[defaultdict[uuid.UUID, int], defaultdict[uuid.UUID, list[RunningRow]]]:
    """Return what running sessions have used of each lot and is not booked yet, in the recorded order, and the sessions; one statement."""
    cost = meter_costs(now)
    left = HoldShare.amount_ucr - HoldShare.captured_ucr - HoldShare.released_ucr
    last_rate = select(MeterSegment.rate_ucr_per_hour).where(MeterSegment.meter_id == Meter.id).order_by(MeterSegment.segment.desc()).limit(1)
    query = (
        select(Meter.id, (cost.c.cost_ucr - Meter.booked_ucr).label("unbooked_ucr"), HoldShare.lot_id, left.label("left_ucr"))
        .add_columns(Meter.wallet_id, Meter.session_id, Meter.label, Meter.charge_class, Meter.started_at, Meter.limit_s, Meter.windows_end_at)
        .add_columns(Meter.refused_at, last_rate.correlate(Meter).scalar_subquery().label("rate_ucr_per_hour"))
        .select_from(Meter)
        .join(cost, true())
        .join(Hold, and_(Hold.meter_id == Meter.id, Hold.state == HoldState.OPEN), isouter=True)
        .join(HoldShare, HoldShare.hold_id == Hold.id, isouter=True)
        .where(bulk.among(Meter.wallet_id, wallet_ids), Meter.state == MeterState.OPEN)
        .order_by(Meter.id, Hold.window, HoldShare.position)
    )
    used: defaultdict[uuid.UUID, int] = defaultdict(int)
    taken: dict[uuid.UUID, int] = {}
    running: defaultdict[uuid.UUID, list[RunningRow]] = defaultdict(list)
    for row in db.execute(query):
        if row.id not in taken and row.started_at is not None:
            running[row.wallet_id].append(_running_row(row))
        taken.setdefault(row.id, 0)
        if row.lot_id is not None:
            part_ucr = min(row.left_ucr, row.unbooked_ucr - taken[row.id])
            taken[row.id] += part_ucr
            used[row.lot_id] += part_ucr
    return used, running


def _running_row(row: Any) -> RunningRow:
    ends_at = row.started_at + timedelta(seconds=row.limit_s) if row.limit_s is not None else None
    is_refused = row.refused_at is not None
    return RunningRow(row.session_id, row.label, row.charge_class, row.rate_ucr_per_hour, ends_at, row.windows_end_at, is_refused)


def page_of_charges(db: Session, wallet_id: uuid.UUID, *, mark: str | None, now: datetime, size: int = 25) -> Page[ChargeRow]:
    """Return one page of a wallet's sessions and what they cost, newest first; sessions that used nothing are left out."""
    cost = meter_costs(now)
    is_open = Meter.state == MeterState.OPEN
    last_rate = select(MeterSegment.rate_ucr_per_hour).where(MeterSegment.meter_id == Meter.id).order_by(MeterSegment.segment.desc()).limit(1)
    query = (
        select(Meter.id, Meter.session_id, Meter.label, Meter.charge_class, Meter.state, Meter.started_at, Meter.authorised_at, Meter.debt_ucr)
        .add_columns(running_seconds(now).label("duration_s"), last_rate.correlate(Meter).scalar_subquery().label("rate_ucr_per_hour"))
        .add_columns(case((is_open, cost.c.cost_ucr), else_=Meter.booked_ucr - Meter.corrected_ucr).label("cost_ucr"))
        .select_from(Meter)
        .join(cost, true())
        .where(Meter.wallet_id == wallet_id, or_(is_open, Meter.booked_ucr > 0))
    )
    return page_of(db, query, Meter.id, mark=mark, size=size).map(_charge)


def _charge(row: Any) -> ChargeRow:
    state = MeterState(row.state)
    begins_at = row.started_at or row.authorised_at
    is_running = state == MeterState.OPEN
    return ChargeRow(
        row.id, row.session_id, row.label, row.charge_class, state, begins_at, row.duration_s, row.rate_ucr_per_hour, row.cost_ucr, row.debt_ucr, is_running
    )
