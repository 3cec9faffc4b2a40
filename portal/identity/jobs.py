"""Queued and periodic work of identity."""

from portal.core import clock
from portal.core.jobs import JobContext, Queue, job, periodic
from portal.identity import queries, rules
from portal.identity.operations import housekeeping
from portal.notifications.operations import outbox
from portal.notifications.recipients import Recipient


@job("identity.mail_reset_link")
def mail_reset_link(ctx: JobContext, email: str) -> None:
    """Mail a link to a new password, if there is such an account. The page that asked cannot know, nor can its timing."""
    _mail_link(ctx, email, "reset")


@job("identity.mail_confirmation_link")
def mail_confirmation_link(ctx: JobContext, email: str) -> None:
    """Mail a confirmation link, if there is such an account and it still needs one."""
    _mail_link(ctx, email, "confirm")


def _mail_link(ctx: JobContext, email: str, kind: str) -> None:
    with ctx.transaction() as db:
        person = queries.person_by_email(db, email)
        if person is None or not person.is_active or (kind == "confirm" and person.is_confirmed):
            return
        links = ctx.resources["account_links"]
        path = links.reset_path(person.id) if kind == "reset" else links.confirm_path(person.id)
        life = rules.RESET_LIFE if kind == "reset" else rules.CONFIRM_LIFE
        context = {"name": person.display_name, "path": path, "hours": int(life.total_seconds() // 3600)}
        recipient = Recipient(person.id, person.email, person.language, person.zone)
        outbox.queue(db, kind=f"identity.{kind}", recipient=recipient, context=context, now=clock.now(), is_secret=True)


@periodic("identity.forget_expired", cron="17 * * * *", queue=Queue.BULK)
def forget_expired(ctx: JobContext) -> None:
    """Delete sessions, codes and tokens that time has ended."""
    with ctx.transaction() as db:
        housekeeping.forget_expired(db, now=clock.now())
