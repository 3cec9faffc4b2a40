"""Queued and periodic work of credits. Rolling is called by compute's minute job, which acts on what it returns."""

from portal.core import clock
from portal.core.jobs import JobContext, Queue, periodic
from portal.credits.operations import expiry


@periodic("credits.expire_lots", cron="* * * * *", queue=Queue.METER)
def expire_lots(ctx: JobContext) -> None:
    """Book what expired lots have left."""
    with ctx.transaction() as db:
        expiry.sweep(db, now=clock.now())
