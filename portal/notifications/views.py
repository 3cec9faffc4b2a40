"""A person's messages, and in development every mail."""

import uuid
from email import message_from_bytes
from email.policy import default

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue

from portal.core.errors import NotFound
from portal.notifications import carriers, queries
from portal.notifications.rendering import paragraphs
from portal.settings import Settings
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session

blueprint = Blueprint("notifications", __name__, template_folder="templates")


@blueprint.get("/messages")
@access.signed_in
def messages() -> ResponseReturnValue:
    """Show the person's messages."""
    page = queries.messages_of(session(), current_actor().id, mark=request.args.get("mark"))
    return render_template("notifications/messages.html", rows=page)


@blueprint.get("/messages/<uuid:message_id>")
@access.signed_in
def message(message_id: uuid.UUID) -> ResponseReturnValue:
    """Show one of the person's messages."""
    row = queries.message_of(session(), current_actor().id, message_id)
    return render_template("notifications/message.html", message=row, paragraphs=paragraphs(row.body or ""))


@blueprint.get("/mail")
@access.public
def mails() -> ResponseReturnValue:
    """Show every mail, in development alone."""
    _in_development()
    page = queries.all_messages(session(), mark=request.args.get("mark"))
    return render_template("notifications/mails.html", rows=page)


@blueprint.get("/mail/<uuid:message_id>")
@access.public
def mail(message_id: uuid.UUID) -> ResponseReturnValue:
    """Show one mail as it was written into the outbox folder, in development alone."""
    settings = _in_development()
    row = queries.any_message(session(), message_id)
    path = carriers.file_of(settings.mail.outbox_dir, message_id)
    body = _text_of(path.read_bytes()) if path.exists() else row.body or ""
    return render_template("notifications/mail.html", message=row, paragraphs=paragraphs(body))


def _in_development() -> Settings:
    settings: Settings = current_app.extensions["portal_settings"]
    if not settings.is_development:
        raise NotFound
    return settings


def _text_of(raw: bytes) -> str:
    mail = message_from_bytes(raw, policy=default)
    part = mail.get_body(preferencelist=("plain",))
    return str(part.get_content()) if part is not None else ""
