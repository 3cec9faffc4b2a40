"""Queued and periodic work of the desk: reactions to facts, and tidying what the core keeps."""

import uuid
from datetime import timedelta

from sqlalchemy import select

from portal.core import clock, jobs, limits, once
from portal.core.facts import Fact
from portal.desk.reactions import REACTIONS

KEEP_ONCE = timedelta(days=2)
KEEP_LIMITS = timedelta(days=2)


@jobs.job("desk.react", queue=jobs.Queue.METER)
def react(ctx: jobs.JobContext, *, fact_id: str) -> None:
    """Enqueue the jobs that a fact calls for."""
    with ctx.transaction() as db:
        fact = db.execute(select(Fact).where(Fact.id == uuid.UUID(fact_id))).scalar_one()
        for name in REACTIONS[fact.name]:
            jobs.enqueue(db, name, subject_id=fact.subject_id, **fact.payload)


@jobs.periodic("desk.tidy", cron="17 3 * * *", queue=jobs.Queue.BULK)
def tidy(ctx: jobs.JobContext) -> None:
    """Forget used once-tokens and old counters."""
    now = clock.now()
    with ctx.transaction() as db:
        once.forget(db, before=now - KEEP_ONCE)
        limits.forget(db, before=now - KEEP_LIMITS)
