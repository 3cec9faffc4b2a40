"""Refunds: a person asks back what stands for unused credits; anything else takes a second one."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from portal.core import audit, jobs
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid, NotFound, Refused
from portal.credits import relations as credits_
from portal.payments.models import Dispute, Purchase, Refund
from portal.payments.operations import purchases, settlements
from portal.payments.rules import settling
from portal.payments.rules.amounts import plain_money
from portal.payments.rules.observations import Observation, Paying, RefundOutcome, SeenRefund
from portal.payments.states import REFUND, DisputeState, Method, PurchaseState, RefundState

SELF_SERVICE = timedelta(days=30)
GONE = (RefundState.WAITING.value, RefundState.APPROVED.value, RefundState.PENDING.value, RefundState.DONE.value)


class NotPaid(Conflict):
    """Only what was paid goes back."""

    text = N_("This purchase is not paid, so nothing can be refunded.")


class TooMuch(Invalid):
    """More than is left to refund."""

    text = N_("At most %(most)s can be refunded.")
    field = "amount"


class TooLate(Refused):
    """People refund themselves for a month; after that finance decides."""

    text = N_("Unused credits can be refunded within 30 days. Write to us: we decide with two people.")


class SamePerson(Refused):
    """Whoever asked cannot approve."""

    text = N_("You asked for this refund yourself, so somebody else has to approve it.")


def refundable_minor(db: Session, purchase_id: uuid.UUID) -> int:
    """Return how much of a paid purchase stands for credits that nobody has used or holds. Raises NotFound."""
    return _refundable(db, _read(db, purchase_id))


def left_minor(db: Session, purchase_id: uuid.UUID) -> int:
    """Return how much of a paid purchase has not gone back yet. Raises NotFound."""
    purchase = _read(db, purchase_id)
    return purchase.gross_minor - sum(_gone(db, purchase_id)) if purchase.state == PurchaseState.PAID else 0


def _read(db: Session, purchase_id: uuid.UUID) -> Purchase:
    purchase = db.get(Purchase, purchase_id)
    if purchase is None:
        raise NotFound
    return purchase


def _refundable(db: Session, purchase: Purchase) -> int:
    lot = credits_.bought_lot.c
    available_ucr = db.execute(select(lot.available_ucr).where(lot.purchase_id == purchase.id)).scalar_one_or_none()
    if purchase.state != PurchaseState.PAID or available_ucr is None:
        return 0
    return settling.refundable_minor(purchase.credits_ucr, available_ucr, purchase.gross_minor, _gone(db, purchase.id))


def ask_self(db: Session, *, refund_id: uuid.UUID, purchase_id: uuid.UUID, reason: str, by: Actor, now: datetime) -> int:
    """Send back what stands for the unused credits, and return how much.

    By card it goes at once; by bank somebody of finance orders the transfer and approves. Raises NotPaid, TooLate, TooMuch, NotFound.
    """
    purchase = purchases.locked(db, purchase_id)
    if purchase.state != PurchaseState.PAID or purchase.paid_at is None:
        raise NotPaid
    if now - purchase.paid_at > SELF_SERVICE:
        raise TooLate
    amount_minor = _refundable(db, purchase)
    if amount_minor <= 0:
        raise TooMuch(most=plain_money(0, purchase.currency))
    is_card = purchase.method == Method.CARD
    _insert(db, purchase, refund_id, amount_minor, state=RefundState.APPROVED if is_card else RefundState.WAITING, reason=reason, by=by, now=now)
    if is_card:
        _send(db, purchase, refund_id, now=now)
    return amount_minor


def ask(db: Session, *, refund_id: uuid.UUID, purchase_id: uuid.UUID, amount_minor: int, reason: str, by: Actor, now: datetime) -> None:
    """Ask, as finance, for any part of the price; a second person decides. Raises NotPaid, TooMuch, NotFound."""
    purchase = purchases.locked(db, purchase_id)
    if purchase.state != PurchaseState.PAID:
        raise NotPaid
    most = purchase.gross_minor - sum(_gone(db, purchase.id))
    if not 0 < amount_minor <= most:
        raise TooMuch(most=plain_money(most, purchase.currency))
    _insert(db, purchase, refund_id, amount_minor, state=RefundState.WAITING, reason=reason, by=by, now=now)


def decide(db: Session, *, refund_id: uuid.UUID, is_approved: bool, by: Actor, now: datetime) -> None:
    """Approve or decline a refund that waits. Raises SamePerson, OwnProject, WrongState, NotFound."""
    purchase_id = db.execute(select(Refund.purchase_id).where(Refund.id == refund_id)).scalar_one_or_none()
    if purchase_id is None:
        raise NotFound
    # The purchase first, as everybody does: the same order everywhere, so that nobody waits in a circle.
    purchase = purchases.locked(db, purchase_id)
    refund = db.execute(select(Refund).where(Refund.id == refund_id).with_for_update()).scalar_one()
    name = "approve" if is_approved else "decline"
    state = REFUND.target(name, RefundState(refund.state))
    if refund.asked_by_id == by.id:
        raise SamePerson
    purchases.refuse_own(db, purchase, by)
    db.execute(update(Refund).where(Refund.id == refund_id).values(state=state.value, decided_by_id=by.id, decided_at=now))
    audit.record(db, name, "refund", refund_id, by=by, now=now, purchase_id=str(refund.purchase_id))
    if is_approved:
        _send(db, purchase, refund_id, now=now)
    else:
        settlements.adjust(db, purchase, by=by, now=now)


def _insert(db: Session, purchase: Purchase, refund_id: uuid.UUID, amount_minor: int, *, state: RefundState, reason: str, by: Actor, now: datetime) -> None:
    row = {"id": refund_id, "purchase_id": purchase.id, "amount_minor": amount_minor, "state": state.value, "reason": reason}
    db.execute(insert(Refund).values(**row, asked_by_id=by.id, asked_at=now))
    audit.record(db, "asked", "refund", refund_id, by=by, now=now, purchase_id=str(purchase.id), amount=f"{amount_minor} {purchase.currency}")
    settlements.adjust(db, purchase, by=by, now=now)


def _send(db: Session, purchase: Purchase, refund_id: uuid.UUID, *, now: datetime) -> None:
    """Let a card refund be made by Stripe; one by bank is made by finance's own order, which this records as done."""
    if purchase.method == Method.CARD:
        jobs.enqueue(db, "payments.send_refund", refund_id=str(refund_id), lock=f"purchase:{purchase.id}")
        return
    amount_minor = db.execute(select(Refund.amount_minor).where(Refund.id == refund_id)).scalar_one()
    seen = SeenRefund(f"bank-{refund_id}", amount_minor, RefundOutcome.DONE, refund_id)
    settlements.settle(db, purchase_id=purchase.id, seen=Observation(Paying.OPEN, refunds=(seen,)), now=now)


def _gone(db: Session, purchase_id: uuid.UUID) -> list[int]:
    refunds = db.execute(select(Refund.amount_minor).where(Refund.purchase_id == purchase_id, Refund.state.in_(GONE))).scalars()
    disputes = db.execute(select(Dispute.amount_minor).where(Dispute.purchase_id == purchase_id, Dispute.state != DisputeState.WON.value)).scalars()
    return [*refunds, *disputes]
