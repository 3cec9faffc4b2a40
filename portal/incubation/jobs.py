"""Queued and periodic work of incubation."""

from portal.core import clock
from portal.core.access import Actor
from portal.core.jobs import JobContext, periodic
from portal.incubation.operations import calls


@periodic("incubation.close_calls", cron="* * * * *")
def close_calls(ctx: JobContext) -> None:
    """Close the calls whose closing time has come; submitting looks at the time itself and does not wait for this."""
    with ctx.transaction() as db:
        calls.close_due(db, by=Actor.process("worker"), now=clock.now())
