"""Queued and periodic work of payments: the only place that talks to the payment service, never inside a transaction."""

import logging
import uuid
from datetime import timedelta

from portal.core import clock, jobs
from portal.core.jobs import JobContext, Queue, job, periodic
from portal.credits.operations import reconciliations
from portal.credits.states import Reconciliation
from portal.payments.operations import balance, events, purchases, settlements
from portal.payments.queries import work
from portal.payments.stripe_gateway import PaymentService, PaymentServiceRefused

logger = logging.getLogger(__name__)
RECHECK = timedelta(minutes=2)


def _service(ctx: JobContext) -> PaymentService | None:
    found: PaymentService | None = ctx.resources.get("payments")
    return found


@job("payments.open_checkout", queue=Queue.PAY, attempts=8)
def open_checkout(ctx: JobContext, *, purchase_id: str) -> None:
    """Open a payment page for a purchase that waits for one, and keep its address."""
    service = _service(ctx)
    with ctx.transaction() as db:
        order = work.order_of(db, uuid.UUID(purchase_id))
    if service is None or order is None:
        return
    address = f"{ctx.settings.public_url}/purchases/{order.number}"
    try:
        checkout = service.open_checkout(order, success_url=f"{address}/back", cancel_url=address)
    except PaymentServiceRefused:
        logger.exception("no payment page for purchase %s", purchase_id)
        with ctx.transaction() as db:
            purchases.end_unpaid(db, purchases.locked(db, order.purchase_id), "fail", by=settlements.STRIPE, now=clock.now())
        return
    with ctx.transaction() as db:
        purchases.note_checkout(db, purchase_id=order.purchase_id, checkout=checkout)


@job("payments.close_checkout", queue=Queue.PAY, attempts=8)
def close_checkout(ctx: JobContext, *, purchase_id: str) -> None:
    """Close the payment page of a purchase that was cancelled; one that was paid a moment before stays paid."""
    service = _service(ctx)
    with ctx.transaction() as db:
        handle = work.handle_of(db, uuid.UUID(purchase_id))
    if service is None or handle is None or handle.checkout_id is None:
        return
    service.close_checkout(handle.checkout_id)
    _settle(ctx, uuid.UUID(purchase_id))


@job("payments.settle", queue=Queue.PAY, attempts=10)
def settle(ctx: JobContext, *, purchase_id: str) -> None:
    """Ask how a purchase stands, and bring our side there."""
    _settle(ctx, uuid.UUID(purchase_id))


def _settle(ctx: JobContext, purchase_id: uuid.UUID) -> None:
    service = _service(ctx)
    with ctx.transaction() as db:
        handle = work.handle_of(db, purchase_id)
    if service is None or handle is None:
        return
    # Once it is paid, what follows hangs on that payment, whatever pages were opened for it.
    seen = service.observe(checkout_id=handle.checkout_id if handle.payment_id is None else None, payment_id=handle.payment_id)
    with ctx.transaction() as db:
        settlements.settle(db, purchase_id=purchase_id, seen=seen, now=clock.now())


def _settle_page(ctx: JobContext, purchase_id: uuid.UUID, checkout_id: str) -> None:
    """Ask about one payment page: an older one may have been paid in its last second, when a newer one was open already."""
    service = _service(ctx)
    if service is None:
        return
    seen = service.observe(checkout_id=checkout_id, payment_id=None)
    with ctx.transaction() as db:
        settlements.settle_page(db, purchase_id=purchase_id, checkout_id=checkout_id, seen=seen, now=clock.now())


@job("payments.handle_event", queue=Queue.PAY, attempts=10)
def handle_event(ctx: JobContext, *, event_id: str) -> None:
    """Take a stored message as a reason to ask how its purchase stands."""
    with ctx.transaction() as db:
        purchase_id, checkout_id = work.purchase_of_event(db, event_id)
    if purchase_id is not None and checkout_id is not None:
        _settle_page(ctx, purchase_id, checkout_id)
    if purchase_id is not None:
        _settle(ctx, purchase_id)
    with ctx.transaction() as db:
        events.done(db, event_id, problem=None if purchase_id else "no purchase of ours", now=clock.now())


@job("payments.send_refund", queue=Queue.PAY, attempts=12)
def send_refund(ctx: JobContext, *, refund_id: str) -> None:
    """Send a refund; its own id is the key, so that a second try is the first."""
    service = _service(ctx)
    with ctx.transaction() as db:
        order = work.refund_order(db, uuid.UUID(refund_id))
    if service is None or order is None:
        return
    try:
        service.refund(refund_id=order.refund_id, payment_id=order.payment_id, amount_minor=order.amount_minor)
    except PaymentServiceRefused as error:
        logger.exception("refund %s was refused", refund_id)
        with ctx.transaction() as db:
            settlements.refuse_refund(db, refund_id=order.refund_id, why=str(error), now=clock.now())
        return
    _settle(ctx, order.purchase_id)


@periodic("payments.look_for_missed", cron="*/5 * * * *", queue=Queue.PAY)
def look_for_missed(ctx: JobContext) -> None:
    """Ask for messages that never reached us and for purchases that still wait, and send refunds that were not sent."""
    service = _service(ctx)
    if service is None:
        return
    now = clock.now()
    with ctx.transaction() as db:
        since = events.looked_until(db, now=now)
    found = list(service.events_since(since))
    with ctx.transaction() as db:
        for event in reversed(found):
            if event.is_live == service.is_live:
                events.store(db, event, source="poll", now=clock.now())
        for purchase_id in work.waiting(db, placed_before=now - RECHECK):
            jobs.enqueue(db, "payments.settle", purchase_id=str(purchase_id), once_as=f"settle:{purchase_id}")
        for refund_id in work.unsent_refunds(db, asked_before=now - RECHECK):
            jobs.enqueue(db, "payments.send_refund", refund_id=str(refund_id), once_as=f"refund:{refund_id}")


@periodic("payments.read_balance", cron="23 * * * *", queue=Queue.PAY)
def read_balance(ctx: JobContext) -> None:
    """Read the lines of Stripe's balance, book fees and payouts, and find what our books do not explain."""
    service = _service(ctx)
    if service is None:
        return
    with ctx.transaction() as db:
        since = balance.read_until(db, now=clock.now())
    lines = list(service.balance_since(since))
    with ctx.transaction() as db:
        balance.take(db, lines, now=clock.now())
        unexplained = balance.compare(db, now=clock.now())
        reconciliations.note(db, Reconciliation.PROVIDER, compared=len(lines), problems=unexplained, now=clock.now())


@periodic("payments.expire_unpaid", cron="37 4 * * *", queue=Queue.BULK)
def expire_unpaid(ctx: JobContext) -> None:
    """Let orders that nobody paid for a month expire."""
    with ctx.transaction() as db:
        purchases.expire_unpaid(db, now=clock.now())
