"""What waits for a second person, and what a correction is about. Wallets were scoped by actor before."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import literal, null, select, union_all
from sqlalchemy.orm import Session

from portal.core.errors import NotFound
from portal.core.pages import Page, page_of
from portal.credits.models import Adjustment, GrantRequest, Lot, MakeGood, Meter, Wallet
from portal.credits.queries.funds import RequestRow, requests_where
from portal.credits.queries.wallets import WalletCard
from portal.credits.states import AdjustmentKind, AdjustmentState, FaultRule, GrantRequestState, MeterState
from portal.identity import relations as identity
from portal.projects import relations as projects


@dataclass(frozen=True)
class AdjustmentRow:
    """An adjustment that waits for a second person. label: the session's; kept_s: the seconds that stay charged; ends_at: a lot's new end."""

    id: uuid.UUID
    kind: AdjustmentKind
    amount_ucr: int
    reason: str
    asked_at: datetime
    asked_by_id: uuid.UUID
    asked_by: str
    project_name: str
    project_slug: str
    label: str | None
    kept_s: int | None
    purpose: str | None
    old_end_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True)
class Charge:
    """A session's charge as finance corrects it: what is booked, what went back already and from which second on."""

    session_id: uuid.UUID
    generation: int
    label: str
    started_at: datetime | None
    ended_at: datetime | None
    booked_s: int
    booked_ucr: int
    corrected_ucr: int
    forgiven_from_s: int | None
    is_settled: bool

    @property
    def left_ucr(self) -> int:
        """Return what is still charged."""
        return self.booked_ucr - self.corrected_ucr


@dataclass(frozen=True)
class Returned:
    """What came back for a session: a charge that finance corrected (reason, when), or a gift by rule (until when)."""

    reason: str
    rule: FaultRule | None
    amount_ucr: int
    at: datetime


def returned(db: Session, session_id: uuid.UUID) -> list[Returned]:
    """Return what finance gave back of a session and what it got for faults of the hub; one statement."""
    is_booked = (Meter.session_id == session_id) & (Adjustment.state == AdjustmentState.BOOKED.value)
    corrected = select(Adjustment.id, Adjustment.reason, null().label("rule"), Adjustment.amount_ucr, Adjustment.decided_at.label("at"))
    gifts = select(MakeGood.id, literal("").label("reason"), MakeGood.rule, MakeGood.amount_ucr, Lot.expires_at.label("at"))
    both = union_all(
        corrected.join(Meter, Meter.id == Adjustment.meter_id).where(is_booked),
        gifts.join(Lot, Lot.id == MakeGood.lot_id).where(MakeGood.session_id == session_id),
    ).subquery()
    rows = db.execute(select(both.c.reason, both.c.rule, both.c.amount_ucr, both.c.at).order_by(both.c.id))
    return [Returned(row.reason, FaultRule(row.rule) if row.rule else None, row.amount_ucr, row.at) for row in rows]


def page_of_waiting(db: Session, *, mark: str | None) -> Page[RequestRow | AdjustmentRow]:
    """Return one page of what waits for a second person, grants and adjustments together, oldest first; three statements."""
    grants = select(GrantRequest.id, literal(value=True).label("is_grant")).where(GrantRequest.state == GrantRequestState.WAITING.value)
    others = select(Adjustment.id, literal(value=False).label("is_grant")).where(Adjustment.state == AdjustmentState.WAITING.value)
    waiting = union_all(grants, others).subquery()
    page = page_of(db, select(waiting.c.id, waiting.c.is_grant), waiting.c.id, mark=mark, is_newest_first=False)
    found: dict[uuid.UUID, RequestRow | AdjustmentRow] = {
        row.id: row for row in requests_where(db, GrantRequest.id.in_([row.id for row in page.rows if row.is_grant]))
    }
    found |= {row.id: row for row in _adjustments(db, [row.id for row in page.rows if not row.is_grant])}
    return page.map(lambda row: found[row.id])


def _adjustments(db: Session, ids: Sequence[uuid.UUID]) -> Sequence[AdjustmentRow]:
    person, project = identity.person.c, projects.project.c
    query = (
        select(Adjustment.id, Adjustment.kind, Adjustment.amount_ucr, Adjustment.reason, Adjustment.asked_at, Adjustment.asked_by_id)
        .add_columns(person.display_name.label("asked_by"), project.name.label("project_name"), project.slug.label("project_slug"))
        .add_columns(Meter.label, Adjustment.from_s.label("kept_s"), Lot.purpose, Lot.expires_at.label("old_end_at"), Adjustment.expires_at.label("ends_at"))
        .join(Wallet, Wallet.id == Adjustment.wallet_id)
        .join(projects.project, project.id == Wallet.project_id)
        .join(identity.person, person.id == Adjustment.asked_by_id)
        .join(Meter, Meter.id == Adjustment.meter_id, isouter=True)
        .join(Lot, Lot.id == Adjustment.lot_id, isouter=True)
        .where(Adjustment.id.in_(ids))
    )
    return [_adjustment(row) for row in db.execute(query)]


def _adjustment(row: Any) -> AdjustmentRow:
    return AdjustmentRow(**(dict(row._mapping) | {"kind": AdjustmentKind(row.kind)}))  # noqa: SLF001 -- SQLAlchemy's public name for a row's columns


def charge(db: Session, wallet: WalletCard, meter_id: uuid.UUID) -> Charge:
    """Return a charge of a wallet. Raises NotFound."""
    meter = db.execute(select(Meter).where(Meter.id == meter_id, Meter.wallet_id == wallet.id)).scalar_one_or_none()
    if meter is None:
        raise NotFound
    return Charge(
        session_id=meter.session_id,
        generation=meter.generation,
        label=meter.label,
        started_at=meter.started_at,
        ended_at=meter.ended_at,
        booked_s=meter.booked_s,
        booked_ucr=meter.booked_ucr,
        corrected_ucr=meter.corrected_ucr,
        forgiven_from_s=meter.forgiven_from_s,
        is_settled=meter.state != MeterState.OPEN.value,
    )
