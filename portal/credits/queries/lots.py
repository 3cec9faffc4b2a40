"""One lot with what may be done with it. The wallet it is in was scoped by actor before."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from portal.core.access import Actor
from portal.core.errors import NotFound
from portal.credits.models import CreditLoan, Lot, LotRevocation, MakeGood, Meter, Wallet
from portal.credits.queries.wallets import READERS, LotRow, WalletCard, lots_of_wallet
from portal.credits.states import LoanState
from portal.projects import relations as projects
from portal.projects.states import MemberRole


@dataclass(frozen=True)
class Loan:
    """A lot that is lent: from whom, and until when."""

    id: uuid.UUID
    lender: str
    returns_at: datetime


@dataclass(frozen=True)
class LotView:
    """A lot among the others of its wallet, the loan that it came by, and why it was taken back.

    supplements: the number of the grant that it adds to. supplemented: those of the grants that add to it. gift_of: the
    session that it makes good, and its name.
    """

    row: LotRow
    among: Sequence[LotRow]
    loan: Loan | None
    revoked_because: str
    supplements: int | None = None
    supplemented: Sequence[int] = ()
    gift_of: tuple[uuid.UUID, str] | None = None


def lot_by_number(db: Session, wallet: WalletCard, number: int, *, now: datetime) -> LotView:
    """Return a lot of a wallet that has something left. Raises NotFound."""
    among = lots_of_wallet(db, wallet.id, now=now)
    row = next((lot for lot in among if lot.number == number), None)
    if row is None:
        raise NotFound
    project = projects.project.c
    lent = (
        select(CreditLoan.id, project.name, CreditLoan.returns_at)
        .join(Wallet, Wallet.id == CreditLoan.lender_wallet_id)
        .join(projects.project, project.id == Wallet.project_id)
        .where(CreditLoan.lot_id == row.id, CreditLoan.state == LoanState.LENT.value)
    )
    loan = db.execute(lent).one_or_none()
    reason = db.execute(select(LotRevocation.reason).join(Lot, Lot.id == LotRevocation.lot_id).where(LotRevocation.lot_id == row.id)).scalar_one_or_none()
    first, more = aliased(Lot), aliased(Lot)
    linked = (
        select(first.number, func.array_remove(func.array_agg(more.number), None).label("supplemented"), Meter.session_id, Meter.label)
        .select_from(Lot)
        .join(MakeGood, MakeGood.lot_id == Lot.id, isouter=True)
        .join(Meter, (Meter.session_id == MakeGood.session_id) & (Meter.generation == 1), isouter=True)
        .join(first, first.id == Lot.supplements_lot_id, isouter=True)
        .join(more, more.supplements_lot_id == Lot.id, isouter=True)
        .where(Lot.id == row.id)
        .group_by(first.number, Meter.session_id, Meter.label)
    )
    supplements, supplemented, session_id, label = db.execute(linked).one()
    gift_of = (session_id, label) if session_id is not None else None
    return LotView(row, among, Loan(*loan) if loan is not None else None, reason or "", supplements, sorted(supplemented), gift_of)


def is_led_by(db: Session, wallet: WalletCard, actor: Actor) -> bool:
    """Return whether the actor leads the wallet's project."""
    member = projects.member.c
    leads = exists().where(member.project_id == wallet.project_id, member.person_id == actor.person_id, member.role == MemberRole.LEAD.value)
    return bool(db.execute(select(leads)).scalar_one())


def targets(db: Session, wallet: WalletCard, actor: Actor) -> list[tuple[uuid.UUID, str]]:
    """Return the other wallets that the actor's credits may go to: of open projects that they lead or are a member of."""
    member, project = projects.member.c, projects.project.c
    query = (
        select(Wallet.id, project.name)
        .join(projects.project, project.id == Wallet.project_id)
        .join(projects.member, member.project_id == project.id)
        .where(member.person_id == actor.person_id, member.role.in_(READERS), project.is_open, Wallet.id != wallet.id)
        .order_by(project.name)
        .limit(200)
    )
    return [(row.id, row.name) for row in db.execute(query)]
