"""What finance changes by hand: a charge given back, a debt written off, a later end of a lot.

Each has a reason, and the wallet's leads are told. Up to the limit for one person a correction and an extension are
booked at once; above it, and for every debt, a second person approves. Nobody adjusts a project of their own.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid, NotFound, Refused
from portal.core.quantities import decimal_credits
from portal.credits.models import Adjustment, Lot, Meter
from portal.credits.operations import corrections, debts, grants, letters, lots, transfers, wallets
from portal.credits.states import ADJUSTMENT, AdjustmentKind, AdjustmentState

ALONE_UCR = grants.ALONE_UCR
LONGEST_REASON = 400


class SamePerson(Refused):
    """Whoever asked cannot approve."""

    text = N_("You asked for this yourself, so somebody else has to approve it.")


class NotYours(Refused):
    """Only whoever asked may withdraw."""

    text = N_("Only the person who asked for this can withdraw it.")


class NoReason(Invalid):
    """Every adjustment says why."""

    text = N_("Say why: the project's leads read it.")
    field = "reason"


class NothingToGive(Conflict):
    """The seconds named cost nothing, or were given back before."""

    text = N_("Nothing is charged after this second.")
    field = "kept"


class FiguresChanged(Conflict):
    """More would go back than whoever asked has seen."""

    text = N_("This is %(now)s credits by now, and it was asked for with %(asked)s. Decline it and ask again.")


def correct(
    db: Session, *, adjustment_id: uuid.UUID, session_id: uuid.UUID, generation: int, from_s: int, reason: str, by: Actor, now: datetime
) -> AdjustmentState:
    """Give back what a settled session was charged from a second on; the same id again returns what became of it.

    Raises NoReason, NothingToGive, OwnProject, NotFound, and what `corrections.forgive_from` raises.
    """
    meter_id, wallet_id = _meter(db, session_id, generation)
    known = _begin(db, adjustment_id, wallet_id, reason, by)
    if known is not None:
        return known
    amount_ucr = corrections.back_ucr(db, session_id=session_id, generation=generation, from_s=from_s)
    if amount_ucr <= 0:
        raise NothingToGive
    what = {"kind": AdjustmentKind.CORRECTION.value, "meter_id": meter_id, "from_s": from_s}
    return _ask(db, adjustment_id, wallet_id, amount_ucr, reason, takes_two=amount_ucr > ALONE_UCR, by=by, now=now, **what)


def write_off(db: Session, *, adjustment_id: uuid.UUID, wallet_id: uuid.UUID, amount_ucr: int, reason: str, by: Actor, now: datetime) -> AdjustmentState:
    """Ask that a wallet's debt of use be written off; it always takes two. Raises NoReason, NoDebt, BadAmount, OwnProject, NotFound."""
    known = _begin(db, adjustment_id, wallet_id, reason, by)
    if known is not None:
        return known
    if amount_ucr <= 0:
        raise grants.BadAmount
    owed_ucr = debts.of_wallet(db, wallet_id).usage_ucr
    if amount_ucr > owed_ucr:
        raise debts.NoDebt(debt=decimal_credits(owed_ucr))
    return _ask(db, adjustment_id, wallet_id, amount_ucr, reason, takes_two=True, by=by, now=now, kind=AdjustmentKind.WRITE_OFF.value)


def extend(db: Session, *, adjustment_id: uuid.UUID, lot_id: uuid.UUID, expires_at: datetime, reason: str, by: Actor, now: datetime) -> AdjustmentState:
    """Give what is free of a lot a later end. Raises NoReason, OwnProject, NotFound, and what `transfers.extend` raises."""
    wallet_id = lots.wallet_of(db, lot_id)
    known = _begin(db, adjustment_id, wallet_id, reason, by)
    if known is not None:
        return known
    amount_ucr = transfers.extendable_ucr(db, lot_id=lot_id, expires_at=expires_at, now=now)
    what = {"kind": AdjustmentKind.EXTENSION.value, "lot_id": lot_id, "expires_at": expires_at}
    return _ask(db, adjustment_id, wallet_id, amount_ucr, reason, takes_two=amount_ucr > ALONE_UCR, by=by, now=now, **what)


def approve(db: Session, *, adjustment_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Book what waits, as the second person. Raises SamePerson, FiguresChanged, OwnProject, WrongState, NotFound, and what booking it raises."""
    found = _locked(db, adjustment_id)
    state = ADJUSTMENT.target("approve", AdjustmentState(found.state))
    if found.asked_by_id == by.id:
        raise SamePerson
    grants.refuse_own_project(db, wallets.lock_one(db, found.wallet_id).project_id, {by.id, found.asked_by_id})
    _decide(db, found, "approved", state, by=by, now=now)
    _book(db, found, by=by, now=now)


def decline(db: Session, *, adjustment_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Decline what waits; whoever asked withdraws instead. Raises SamePerson, WrongState, NotFound."""
    found = _locked(db, adjustment_id)
    state = ADJUSTMENT.target("decline", AdjustmentState(found.state))
    if found.asked_by_id == by.id:
        raise SamePerson
    _decide(db, found, "declined", state, by=by, now=now)


def withdraw(db: Session, *, adjustment_id: uuid.UUID, by: Actor, now: datetime) -> None:
    """Take back what one asked for oneself. Raises NotYours, WrongState, NotFound."""
    found = _locked(db, adjustment_id)
    state = ADJUSTMENT.target("withdraw", AdjustmentState(found.state))
    if found.asked_by_id != by.id:
        raise NotYours
    _decide(db, found, "withdrew", state, by=by, now=now)


def _begin(db: Session, adjustment_id: uuid.UUID, wallet_id: uuid.UUID, reason: str, by: Actor) -> AdjustmentState | None:
    """Lock the wallet, and return what became of the same request before. Raises NoReason, OwnProject, NotFound."""
    wallet = wallets.lock_one(db, wallet_id)
    known = db.execute(select(Adjustment.state).where(Adjustment.id == adjustment_id)).scalar_one_or_none()
    if known is not None:
        return AdjustmentState(known)
    if not 0 < len(reason.strip()) <= LONGEST_REASON:
        raise NoReason
    grants.refuse_own_project(db, wallet.project_id, {by.id})
    return None


def _ask(
    db: Session, adjustment_id: uuid.UUID, wallet_id: uuid.UUID, amount_ucr: int, reason: str, *, takes_two: bool, by: Actor, now: datetime, **what: Any
) -> AdjustmentState:
    state = AdjustmentState.WAITING if takes_two else AdjustmentState.BOOKED
    row = {"id": adjustment_id, "wallet_id": wallet_id, "amount_ucr": amount_ucr, "reason": reason.strip(), "takes_two": takes_two, "state": state.value}
    decision = {} if takes_two else {"decided_at": now, "decided_by_id": by.id}
    db.execute(insert(Adjustment).values(**row, **what, asked_at=now, asked_by_id=by.id, **decision))
    details = {"kind": what["kind"], "amount": decimal_credits(amount_ucr), "reason": reason.strip()}
    audit.record(db, "asked" if takes_two else "adjusted", "wallet", wallet_id, by=by, now=now, adjustment_id=str(adjustment_id), **details)
    if not takes_two:
        _book(db, _locked(db, adjustment_id), by=by, now=now)
    return state


def _book(db: Session, found: Adjustment, *, by: Actor, now: datetime) -> None:
    """Book it, note how much it came to, and tell the leads."""
    asked_by, amount_ucr = Actor(person_id=found.asked_by_id, label="asked"), found.amount_ucr
    if found.kind == AdjustmentKind.WRITE_OFF:
        people = {"by": by, "approved_by": asked_by}
        debts.write_off(db, write_off_id=found.id, wallet_id=found.wallet_id, amount_ucr=found.amount_ucr, reason=found.reason, **people, now=now)
    elif found.lot_id is not None and found.expires_at is not None:
        free_ucr = transfers.extendable_ucr(db, lot_id=found.lot_id, expires_at=found.expires_at, now=now)
        amount_ucr = min(free_ucr, amount_ucr)
        transfers.extend(db, lot_id=found.lot_id, expires_at=found.expires_at, most_ucr=amount_ucr, by=by, now=now)
    else:
        amount_ucr = _correct(db, found, by=by, now=now)
    db.execute(update(Adjustment).where(Adjustment.id == found.id).values(amount_ucr=amount_ucr))
    letters.tell_leads(db, "credits.adjusted", found.wallet_id, _context(db, found) | {"amount_ucr": amount_ucr}, now=now)


def _correct(db: Session, found: Adjustment, *, by: Actor, now: datetime) -> int:
    meter = db.execute(select(Meter.session_id, Meter.generation).where(Meter.id == found.meter_id)).one()
    what = {"session_id": meter.session_id, "generation": meter.generation, "from_s": found.from_s}
    amount_ucr = corrections.back_ucr(db, **what)
    if amount_ucr <= 0:
        raise NothingToGive
    if amount_ucr > found.amount_ucr:
        raise FiguresChanged(now=decimal_credits(amount_ucr), asked=decimal_credits(found.amount_ucr))
    return corrections.forgive_from(db, **what, reason=found.reason, by=by, now=now)


def _context(db: Session, found: Adjustment) -> dict[str, Any]:
    """Return what the leads are told: the session or lot it is about, and why."""
    label = db.execute(select(Meter.label).where(Meter.id == found.meter_id)).scalar_one_or_none()
    purpose = db.execute(select(Lot.purpose).where(Lot.id == found.lot_id)).scalar_one_or_none()
    ends_at = found.expires_at.isoformat() if found.expires_at else None
    return {"kind": found.kind, "reason": found.reason, "label": label, "purpose": purpose, "ends_at": ends_at}


def _meter(db: Session, session_id: uuid.UUID, generation: int) -> tuple[uuid.UUID, uuid.UUID]:
    row = db.execute(select(Meter.id, Meter.wallet_id).where(Meter.session_id == session_id, Meter.generation == generation)).one_or_none()
    if row is None:
        raise NotFound
    return row.id, row.wallet_id


def _locked(db: Session, adjustment_id: uuid.UUID) -> Adjustment:
    query = select(Adjustment).where(Adjustment.id == adjustment_id).with_for_update().execution_options(populate_existing=True)
    found = db.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound
    return found


def _decide(db: Session, found: Adjustment, action: str, state: AdjustmentState, *, by: Actor, now: datetime) -> None:
    db.execute(update(Adjustment).where(Adjustment.id == found.id).values(state=state.value, decided_at=now, decided_by_id=by.id))
    audit.record(db, action, "wallet", found.wallet_id, by=by, now=now, adjustment_id=str(found.id), kind=found.kind, amount=decimal_credits(found.amount_ucr))
