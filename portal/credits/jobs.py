"""Queued and periodic work of credits. Rolling is called by compute's minute job, which acts on what it returns."""

from portal.core import clock
from portal.core.jobs import JobContext, Queue, periodic
from portal.credits.operations import debts, expiry, revocations, transfers


@periodic("credits.expire_lots", cron="* * * * *", queue=Queue.METER)
def expire_lots(ctx: JobContext) -> None:
    """Book what expired lots have left."""
    with ctx.transaction() as db:
        expiry.sweep(db, now=clock.now())


@periodic("credits.tidy_lots", cron="* * * * *", queue=Queue.METER)
def tidy_lots(ctx: JobContext) -> None:
    """Take back what revoked lots got back, let bought credits pay debts, and return loans whose day has come."""
    for work in (revocations.sweep, debts.collect, transfers.return_due):
        with ctx.transaction() as db:
            work(db, now=clock.now())
