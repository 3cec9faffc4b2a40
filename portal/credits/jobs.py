"""Queued and periodic work of credits. Rolling is called by compute's minute job, which acts on what it returns."""

import logging
import uuid

from portal.core import clock
from portal.core.access import Actor
from portal.core.jobs import JobContext, Queue, job, periodic
from portal.credits import queries, verify
from portal.credits.calendar import day_end, day_start
from portal.credits.operations import days, debts, digests, expiry, exports, revocations, seal, transfers
from portal.credits.papers import StatementPaper
from portal.credits.queries.closing import head
from portal.credits.states import ExportFormat

logger = logging.getLogger(__name__)
WRITER = Actor.process("writer")


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


@periodic("credits.seal_journal", cron="* * * * *", queue=Queue.BULK)
def seal_journal(ctx: JobContext) -> None:
    """Seal what was booked, block by block, until nothing is left; once a day look at the whole journal."""
    now = clock.now()
    everything = (now.hour, now.minute) == (2, 17)
    sealed = seal.MOST
    while sealed == seal.MOST:
        with ctx.transaction() as db:
            sealed = seal.seal_due(db, now=now, everything=everything)


@job("credits.write_statement", queue=Queue.BULK, attempts=3)
def write_statement(ctx: JobContext, *, export_id: str) -> None:
    """Write a statement to a file, noting how far it has come."""
    id_ = uuid.UUID(export_id)
    with ctx.transaction() as db:
        row = exports.begin(db, id_)
        if row is None:
            return
        starts_at, ends_at = day_start(row.first_on), day_end(row.last_on)
        found = queries.statement(db, row.wallet_id, starts_at=starts_at, ends_at=ends_at, now=clock.now())
        card = queries.wallet_by_ref(db, str(row.wallet_id), actor=WRITER)
        paper = StatementPaper(ExportFormat(row.format), row.language, found, card.project_name, (row.first_on, row.last_on), head(db))

    def note(lines_done: int) -> None:
        with ctx.transaction() as db:
            exports.note(db, id_, lines=len(found.lines), lines_done=lines_done)

    note(0)
    try:
        content = ctx.resources["write_statement"](paper, note=note)
    except Exception:
        with ctx.transaction() as db:
            exports.fail(db, id_, now=clock.now())
        raise
    with ctx.transaction() as db:
        exports.finish(db, id_, content, now=clock.now())


@periodic("credits.verify_ledger", cron="7 3 * * *", queue=Queue.BULK)
def verify_ledger(ctx: JobContext) -> None:
    """Each night, check every invariant of the ledger; what is broken is an alarm, and every wallet says that it is looked into."""
    with ctx.transaction() as db:
        results = verify.run_and_note(db, now=clock.now())
    for result in results:
        if not result.holds:
            logger.critical("the ledger is not sound, invariant %s (%s): %s", result.number, result.name, result.first_bad)


@periodic("credits.tidy_exports", cron="41 3 * * *", queue=Queue.BULK)
def tidy_exports(ctx: JobContext) -> None:
    """Delete files that are a week old."""
    with ctx.transaction() as db:
        exports.tidy(db, now=clock.now())


@periodic("credits.sum_days", cron="13 * * * *", queue=Queue.BULK)
def sum_days(ctx: JobContext) -> None:
    """Sum the days that are over, a month of them at a time."""
    summed = days.MOST_AT_ONCE
    while summed == days.MOST_AT_ONCE:
        with ctx.transaction() as db:
            summed = days.sum_due(db, now=clock.now())


@periodic("credits.send_digests", cron="*/15 * * * *", queue=Queue.BULK)
def send_digests(ctx: JobContext) -> None:
    """Write to everyone whose morning has come and whose credits crossed a threshold."""
    looked_at = digests.MOST_AT_ONCE
    while looked_at == digests.MOST_AT_ONCE:
        with ctx.transaction() as db:
            looked_at = digests.send_due(db, now=clock.now())
