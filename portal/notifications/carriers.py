"""How a mail leaves: to an SMTP server, or into a folder in development. Called by jobs alone."""

import smtplib
import ssl
import uuid
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from urllib.parse import unquote, urlsplit

from portal.notifications.rendering import Rendered
from portal.settings import MailSettings

TIMEOUT_S = 20
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Undeliverable(Exception):
    """The server refuses this address for good."""


def mail_of(rendered: Rendered, *, message_id: uuid.UUID, address: str, language: str, queued_at: datetime, sender: str) -> EmailMessage:
    """Return the mail: text with an HTML alternative. Its id is the row's, so a mail sent twice is seen as one."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = address
    mail["Subject"] = rendered.subject
    mail["Date"] = format_datetime(queued_at)
    mail["Message-ID"] = f"<{message_id}@{parseaddr(sender)[1].rpartition('@')[2] or 'localhost'}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(rendered.text)
    mail.add_alternative(rendered.html, subtype="html")
    mail["Content-Language"] = language  # after the content, whose setting drops headers of this family
    return mail


def file_of(outbox_dir: Path, message_id: uuid.UUID) -> Path:
    """Return where a message's mail lies in development."""
    return outbox_dir / f"{message_id}.eml"


def carry(mail: EmailMessage, message_id: uuid.UUID, settings: MailSettings) -> None:
    """Send a mail. Raises Undeliverable when the address is refused for good, OSError when it is worth another try."""
    if settings.smtp_url is None:
        _write(mail, file_of(settings.outbox_dir, message_id))
    else:
        _send(mail, settings.smtp_url)


def _write(mail: EmailMessage, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_bytes(mail.as_bytes())
    draft.replace(path)


def _send(mail: EmailMessage, smtp_url: str) -> None:
    parts = urlsplit(smtp_url)
    host, is_tls = parts.hostname or "localhost", parts.scheme == "smtps"
    port = parts.port or (465 if is_tls else 25)
    context = ssl.create_default_context()
    server = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=context) if is_tls else smtplib.SMTP(host, port, timeout=TIMEOUT_S)
    with server:
        if not is_tls and host not in _LOOPBACK:
            server.starttls(context=context)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        try:
            server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as refused:
            codes = [code for code, _ in refused.recipients.values()]
            if codes and all(500 <= code < 600 for code in codes):
                raise Undeliverable(str(codes)) from refused
            raise
