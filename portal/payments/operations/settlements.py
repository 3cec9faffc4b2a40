"""Bringing a purchase to what the payment service says of it, whatever was missed, repeated or out of order."""

import uuid
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal.core import audit, jobs
from portal.core.access import Actor
from portal.core.ids import new_id
from portal.credits.operations import cash
from portal.credits.operations import purchases as credit_purchases
from portal.credits.states import CashAccount, Currency
from portal.payments.models import Dispute, Purchase, Refund
from portal.payments.operations import documents, mails, purchases
from portal.payments.rules import settling
from portal.payments.rules.observations import DisputeOutcome, Observation, Paying, RefundOutcome, SeenDispute, SeenRefund
from portal.payments.rules.prices import net_and_vat
from portal.payments.states import DISPUTE, REFUND, DisputeState, PurchaseState, RefundState

STRIPE = Actor.process("stripe")
_REFUND_MOVES = {RefundOutcome.PENDING: "send", RefundOutcome.DONE: "succeed", RefundOutcome.FAILED: "fail"}
_REFUND_STATES = {RefundOutcome.PENDING: RefundState.PENDING, RefundOutcome.DONE: RefundState.DONE, RefundOutcome.FAILED: RefundState.FAILED}


def settle(db: Session, *, purchase_id: uuid.UUID, seen: Observation, now: datetime, by: Actor = STRIPE) -> None:
    """Apply an observation, in one transaction with everything that follows from it. Raises NotFound."""
    purchase = purchases.locked(db, purchase_id)
    if seen.paying is Paying.PAID and seen.payment_id and seen.currency:
        purchases.fulfil(db, purchase, payment_id=seen.payment_id, paid_minor=seen.paid_minor, currency=seen.currency, by=by, now=now)
    elif seen.paying is Paying.FAILED:
        purchases.end_unpaid(db, purchase, "fail", by=by, now=now)
    elif seen.paying is Paying.EXPIRED:
        purchases.end_unpaid(db, purchase, "expire", by=by, now=now)
    if purchase.state != PurchaseState.PAID:
        return
    for refund in seen.refunds:
        _take_refund(db, purchase, refund, by=by, now=now)
    for dispute in seen.disputes:
        _take_dispute(db, purchase, dispute, by=by, now=now)
    adjust(db, purchase, by=by, now=now)


def settle_page(db: Session, *, purchase_id: uuid.UUID, checkout_id: str, seen: Observation, now: datetime, by: Actor = STRIPE) -> None:
    """Take the payment of one page, which need not be the newest; a page that was not paid says nothing of the others.

    A newer page is closed then. Money that came twice is left to finance. Raises NotFound.
    """
    if seen.paying is not Paying.PAID or seen.payment_id is None or seen.currency is None:
        return
    purchase = purchases.locked(db, purchase_id)
    is_paid = purchases.fulfil(db, purchase, payment_id=seen.payment_id, paid_minor=seen.paid_minor, currency=seen.currency, by=by, now=now)
    if is_paid and checkout_id != purchase.checkout_id:
        jobs.enqueue(db, "payments.close_checkout", purchase_id=str(purchase_id), lock=f"purchase:{purchase_id}")


def adjust(db: Session, purchase: Purchase, *, by: Actor, now: datetime) -> None:
    """Bring the purchase's credits to what its refunds and disputes leave of it; tell whom it concerns when they became a debt.

    What stands for money that is on its way back, or disputed still, is frozen: it can neither be spent nor is it gone.
    """
    refunds = db.execute(select(Refund.amount_minor, Refund.state).where(Refund.purchase_id == purchase.id)).all()
    refunded = sum(row.amount_minor for row in refunds if row.state == RefundState.DONE)
    on_the_way = sum(row.amount_minor for row in refunds if row.state in {RefundState.WAITING, RefundState.APPROVED, RefundState.PENDING})
    disputes = db.execute(select(Dispute.amount_minor, Dispute.state).where(Dispute.purchase_id == purchase.id)).all()
    lost = sum(row.amount_minor for row in disputes if row.state == DisputeState.LOST)
    still_open = sum(row.amount_minor for row in disputes if row.state == DisputeState.OPEN)
    clawed_ucr, frozen_ucr = settling.targets(
        purchase.credits_ucr, purchase.gross_minor, refunded_minor=refunded, lost_minor=lost, open_minor=still_open + on_the_way
    )
    done = credit_purchases.adjust(db, purchase_id=purchase.id, clawed_ucr=clawed_ucr, frozen_ucr=frozen_ucr, by=by, now=now)
    if done.debt_ucr > 0:
        mails.owing(db, purchase.id, debt_ucr=done.debt_ucr, now=now)


def _take_refund(db: Session, purchase: Purchase, seen: SeenRefund, *, by: Actor, now: datetime) -> None:
    ours = (Refund.psp_id == seen.psp_id) if seen.refund_id is None else ((Refund.psp_id == seen.psp_id) | (Refund.id == seen.refund_id))
    row = db.execute(select(Refund).where(Refund.purchase_id == purchase.id, ours).with_for_update()).scalar_one_or_none()
    if row is None:
        # Made at Stripe's own pages: nobody here asked, and it counts all the same.
        row = Refund(
            id=new_id(), purchase_id=purchase.id, amount_minor=seen.amount_minor, state=RefundState.APPROVED.value, reason="", psp_id=seen.psp_id, asked_at=now
        )
        db.add(row)
        db.flush()
    before, after = RefundState(row.state), _REFUND_STATES[seen.outcome]
    is_new_word = after is not before and before in REFUND.transitions[_REFUND_MOVES[seen.outcome]].sources
    values: dict[str, object] = {"psp_id": seen.psp_id}
    if is_new_word:
        values |= {"state": after.value, "ended_at": now if after is not RefundState.PENDING else None}
    db.execute(update(Refund).where(Refund.id == row.id).values(**values))
    if not is_new_word:
        return
    audit.record(db, _REFUND_MOVES[seen.outcome], "refund", row.id, by=by, now=now, purchase_id=str(purchase.id))
    if after is RefundState.DONE:
        _money(db, purchase, f"refund:{row.id}", operation="refund", amount_minor=seen.amount_minor, reference=seen.psp_id, by=by, now=now)
        documents.credit_note(db, purchase_id=purchase.id, gross_minor=seen.amount_minor, cause=f"refund:{row.id}", now=now)
        mails.refunded(db, purchase.id, amount_minor=seen.amount_minor, now=now)
    elif before is RefundState.DONE:
        _money(db, purchase, f"refund_failed:{row.id}", operation="refund_failed", amount_minor=-seen.amount_minor, reference=seen.psp_id, by=by, now=now)
        documents.credit_note(db, purchase_id=purchase.id, gross_minor=-seen.amount_minor, cause=f"refund_failed:{row.id}", now=now)


def refuse_refund(db: Session, *, refund_id: uuid.UUID, why: str, now: datetime) -> None:
    """Note that Stripe would not make a refund; finance decides what to do about it."""
    purchase = purchases.locked(db, db.execute(select(Refund.purchase_id).where(Refund.id == refund_id)).scalar_one())
    row = db.execute(select(Refund).where(Refund.id == refund_id).with_for_update()).scalar_one()
    state = REFUND.target("fail", RefundState(row.state))
    db.execute(update(Refund).where(Refund.id == refund_id).values(state=state.value, ended_at=now))
    audit.record(db, "fail", "refund", refund_id, by=STRIPE, now=now, why=why)
    purchases.difference(
        db, key=f"refund:{refund_id}", what=f"Stripe refused a refund: {why}", currency=Currency(purchase.currency), amount_minor=row.amount_minor, now=now
    )
    adjust(db, purchase, by=STRIPE, now=now)


def _take_dispute(db: Session, purchase: Purchase, seen: SeenDispute, *, by: Actor, now: datetime) -> None:
    row = db.execute(select(Dispute).where(Dispute.psp_id == seen.psp_id).with_for_update()).scalar_one_or_none()
    if row is None:
        row = Dispute(
            id=new_id(),
            psp_id=seen.psp_id,
            purchase_id=purchase.id,
            amount_minor=seen.amount_minor,
            state=DisputeState.OPEN.value,
            reason=seen.reason,
            opened_at=seen.opened_at,
        )
        db.add(row)
        db.flush()
        lines = {CashAccount.DISPUTES: seen.amount_minor, CashAccount.PSP_CLEARING: -seen.amount_minor}
        _book(db, purchase, f"dispute:{row.id}", operation="dispute", lines=lines, reference=seen.psp_id, by=by, now=now)
        audit.record(db, "disputed", "purchase", purchase.id, by=by, now=now, dispute=seen.psp_id)
        mails.disputed(db, purchase.id, amount_minor=seen.amount_minor, now=now)
    name = {DisputeOutcome.WON: "win", DisputeOutcome.LOST: "lose"}.get(seen.outcome)
    if name is None or DisputeState(row.state) not in DISPUTE.transitions[name].sources:
        return
    state = DISPUTE.target(name, DisputeState(row.state))
    db.execute(update(Dispute).where(Dispute.id == row.id).values(state=state.value, ended_at=now))
    audit.record(db, name, "dispute", row.id, by=by, now=now, purchase_id=str(purchase.id))
    if state is DisputeState.WON:
        lines = {CashAccount.DISPUTES: -seen.amount_minor, CashAccount.PSP_CLEARING: seen.amount_minor}
        _book(db, purchase, f"dispute_won:{row.id}", operation="dispute_won", lines=lines, reference=seen.psp_id, by=by, now=now)
    else:
        net, vat = net_and_vat(seen.amount_minor, purchase.vat_rate_ppm)
        lines = {CashAccount.DISPUTES: -seen.amount_minor, CashAccount.DEFERRED: net, CashAccount.TAX: vat}
        _book(db, purchase, f"dispute_lost:{row.id}", operation="dispute", lines=lines, reference=seen.psp_id, by=by, now=now)
        documents.credit_note(db, purchase_id=purchase.id, gross_minor=seen.amount_minor, cause=f"dispute:{row.id}", now=now)


def _money(db: Session, purchase: Purchase, key: str, *, operation: str, amount_minor: int, reference: str, by: Actor, now: datetime) -> None:
    net, vat = net_and_vat(amount_minor, purchase.vat_rate_ppm)
    went_from = CashAccount.PSP_CLEARING if purchase.method == "card" else CashAccount.BANK
    lines = {went_from: -amount_minor, CashAccount.DEFERRED: net, CashAccount.TAX: vat}
    _book(db, purchase, key, operation=operation, lines=lines, reference=reference, by=by, now=now)


def _book(db: Session, purchase: Purchase, key: str, *, operation: str, lines: dict[CashAccount, int], reference: str, by: Actor, now: datetime) -> None:
    currency = Currency(purchase.currency)
    cash.book(db, key=key, operation=operation, currency=currency, lines=lines, reference=reference, purchase_id=purchase.id, by=by, now=now)
