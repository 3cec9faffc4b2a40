"""Flask-Security's mails as messages of our outbox, with links below the portal's own address."""

import uuid
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from flask_security import MailUtil
from flask_security.confirmable import generate_confirmation_token
from flask_security.recoverable import generate_reset_password_token

from portal.core import clock
from portal.identity import rules
from portal.identity.account import Account
from portal.notifications.operations import outbox
from portal.notifications.recipients import Recipient
from portal.web.database import session, sql

CONFIRM, EXISTING, RESET, PASSWORD_CHANGED = "identity.confirm", "identity.already_registered", "identity.reset", "identity.password_changed"
CONFIRM_HOURS = int(rules.CONFIRM_LIFE.total_seconds() // 3600)
RESET_HOURS = int(rules.RESET_LIFE.total_seconds() // 3600)


class OutboxMailUtil(MailUtil):
    """Queues what Flask-Security wants to send. Its template names are set to our kinds of message."""

    def send_mail(self, template: str, *_rendered: Any, **values: Any) -> None:
        """Queue one message; the host in Flask-Security's links is never used."""
        user: Any = values["user"]
        kind, context = template, {"name": user.display_name}
        link = values.get("confirmation_link")
        if kind == EXISTING and link:
            kind = CONFIRM
        if kind == CONFIRM:
            context |= {"path": urlsplit(str(link)).path, "hours": CONFIRM_HOURS}
        recipient = Recipient(user.id, user.email, user.language, user.zone)
        outbox.queue(session(), kind=kind, recipient=recipient, context=context, now=clock.now(), is_secret=kind == CONFIRM)


class AccountLinks:
    """Makes the personal links of mails that a job sends; handed to jobs as the resource `account_links`."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def confirm_path(self, person_id: uuid.UUID) -> str:
        """Return the path that confirms a person's address."""
        with self._app.app_context():
            token = generate_confirmation_token(sql.session.get_one(Account, person_id))  # type: ignore[no-untyped-call]
            return f"/confirm/{token}"

    def reset_path(self, person_id: uuid.UUID) -> str:
        """Return the path that lets a person choose a new password."""
        with self._app.app_context():
            token = generate_reset_password_token(sql.session.get_one(Account, person_id))  # type: ignore[no-untyped-call]
            return f"/password/new/{token}"
