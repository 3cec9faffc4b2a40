"""Delivery of queued messages."""

import uuid

from portal.core import clock
from portal.core.jobs import JobContext, job
from portal.notifications import carriers
from portal.notifications.operations import outbox


@job("notifications.deliver")
def deliver(ctx: JobContext, message_id: str) -> None:
    """Render and send one message; sent ones are left alone, so a job that runs twice sends once.

    A server that cannot be reached fails the job, which is tried again with growing waits.
    """
    key = uuid.UUID(message_id)
    with ctx.transaction() as db:
        letter = outbox.take(db, key)
    if letter is None:
        return
    rendered = ctx.resources["render_mail"](letter.kind, letter.context, language=letter.language, zone=letter.zone)
    mail = carriers.mail_of(
        rendered, message_id=letter.id, address=letter.address, language=letter.language, queued_at=letter.queued_at, sender=ctx.settings.mail.sender
    )
    try:
        carriers.carry(mail, letter.id, ctx.settings.mail)
    except carriers.Undeliverable:
        with ctx.transaction() as db:
            outbox.give_up(db, key)
        return
    with ctx.transaction() as db:
        outbox.sent(db, key, subject=rendered.subject, body=rendered.text, now=clock.now())
