"""The outbox: queued with the change, delivered once, rendered for its reader."""

import smtplib
import socket
import threading
import uuid
from dataclasses import replace
from datetime import datetime
from email import message_from_bytes
from email.policy import default

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core.jobs import JobContext
from portal.notifications import jobs as notification_jobs
from portal.notifications.operations import outbox
from portal.notifications.recipients import Recipient
from portal.settings import Settings
from tests.factories import identity as people

CONTEXT = {"inviter": "Salma", "organisation": "Atlas Vision", "path": "/invitations/secret-link", "days": 7}


def queue(db: Session, now: datetime, **changes: object) -> uuid.UUID:
    recipient = Recipient(id=None, address="reader@example.org", language="en", zone="Africa/Casablanca")
    values = {"kind": "identity.invitation", "recipient": recipient, "context": CONTEXT} | changes
    return outbox.queue(db, now=now, **values)  # type: ignore[arg-type]


def row(db: Session, message_id: uuid.UUID):
    db.expire_all()
    return db.execute(text("SELECT * FROM message WHERE id = :id"), {"id": message_id}).one()


def mail(settings: Settings, message_id: uuid.UUID):
    return message_from_bytes((settings.mail.outbox_dir / f"{message_id}.eml").read_bytes(), policy=default)


def test_queued_message_leaves_with_text_and_html(db: Session, run_jobs, settings: Settings, now: datetime) -> None:
    message_id = queue(db, now)
    db.commit()

    assert run_jobs() == ["notifications.deliver"]

    sent = row(db, message_id)
    letter = mail(settings, message_id)
    assert (sent.state, sent.attempts, sent.subject) == ("sent", 1, "Salma invites you to Atlas Vision")
    assert letter["To"] == "reader@example.org"
    assert letter["Subject"] == "Salma invites you to Atlas Vision"
    assert "http://127.0.0.1:8000/invitations/secret-link" in letter.get_body(("plain",)).get_content()
    assert 'href="http://127.0.0.1:8000/invitations/secret-link"' in letter.get_body(("html",)).get_content()


def test_message_rolled_back_with_its_change_is_never_sent(db: Session, run_jobs, now: datetime) -> None:
    queue(db, now)
    db.rollback()

    assert run_jobs() == []


def test_job_run_twice_sends_once(app: Flask, db: Session, session_maker, settings: Settings, now: datetime) -> None:
    message_id = queue(db, now)
    db.commit()
    context = JobContext(sessions=session_maker, settings=settings, resources=app.extensions["job_resources"])

    notification_jobs.deliver(context, str(message_id))
    (settings.mail.outbox_dir / f"{message_id}.eml").unlink()
    notification_jobs.deliver(context, str(message_id))

    assert not (settings.mail.outbox_dir / f"{message_id}.eml").exists()
    assert row(db, message_id).attempts == 1


def test_secret_message_is_forgotten_once_sent(db: Session, run_jobs, now: datetime) -> None:
    message_id = queue(db, now, is_secret=True)
    db.commit()
    run_jobs()

    sent = row(db, message_id)
    assert (sent.state, sent.context, sent.body) == ("sent", {}, None)


def test_ordinary_message_keeps_its_text(db: Session, run_jobs, now: datetime) -> None:
    message_id = queue(db, now)
    db.commit()
    run_jobs()

    assert "Atlas Vision" in row(db, message_id).body


def test_name_with_line_breaks_adds_no_header(db: Session, run_jobs, settings: Settings, now: datetime) -> None:
    message_id = queue(db, now, context=CONTEXT | {"inviter": "Eve\r\nBcc: victim@example.org\r\n\r\nboo"})
    db.commit()
    run_jobs()

    letter = mail(settings, message_id)
    assert letter["Bcc"] is None
    assert set(letter.keys()) == {"From", "To", "Subject", "Date", "Message-ID", "Content-Language", "Auto-Submitted", "MIME-Version", "Content-Type"}


def test_address_with_line_break_is_refused_by_the_database(db: Session, now: datetime) -> None:
    with pytest.raises(Exception, match="ck_message__address"):
        queue(db, now, recipient=Recipient(None, "a@example.org\nBcc: b@example.org", "en", "Africa/Casablanca"))


def test_markup_in_a_name_is_inert_in_html(db: Session, run_jobs, settings: Settings, now: datetime) -> None:
    message_id = queue(db, now, context=CONTEXT | {"organisation": "<script>alert(1)</script>"})
    db.commit()
    run_jobs()

    assert "<script>" not in mail(settings, message_id).get_body(("html",)).get_content()


def test_arabic_reader_gets_right_to_left_html(db: Session, run_jobs, settings: Settings, now: datetime) -> None:
    message_id = queue(db, now, recipient=Recipient(None, "reader@example.org", "ar", "Africa/Casablanca"))
    db.commit()
    run_jobs()

    letter = mail(settings, message_id)
    assert letter["Content-Language"] == "ar"
    assert '<html lang="ar" dir="rtl">' in letter.get_body(("html",)).get_content()


class SmtpSink(threading.Thread):
    """A small SMTP server over a real socket, that takes one mail or refuses its recipient."""

    def __init__(self, *, refuse: bool = False) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.refuse = refuse
        self.data = b""

    def run(self) -> None:
        connection, _ = self.listener.accept()
        self.listener.close()
        with connection, connection.makefile("rwb", buffering=0) as stream:
            stream.write(b"220 sink\r\n")
            while line := stream.readline():
                verb = line[:4].upper()
                if verb == b"RCPT":
                    stream.write(b"550 no such user\r\n" if self.refuse else b"250 ok\r\n")
                elif verb == b"DATA":
                    stream.write(b"354 go\r\n")
                    while (part := stream.readline()) != b".\r\n":
                        self.data += part
                    stream.write(b"250 taken\r\n")
                elif verb == b"QUIT":
                    stream.write(b"221 bye\r\n")
                    return
                else:
                    stream.write(b"250 ok\r\n")


def smtp_context(app: Flask, session_maker, settings: Settings, port: int) -> JobContext:
    changed = replace(settings, mail=replace(settings.mail, smtp_url=f"smtp://127.0.0.1:{port}"))
    return JobContext(sessions=session_maker, settings=changed, resources=app.extensions["job_resources"])


def test_smtp_server_takes_the_mail(app: Flask, db: Session, session_maker, settings: Settings, now: datetime) -> None:
    message_id = queue(db, now)
    db.commit()
    sink = SmtpSink()
    sink.start()

    notification_jobs.deliver(smtp_context(app, session_maker, settings, sink.port), str(message_id))

    sink.join(5)
    assert b"Subject: Salma invites you to Atlas Vision" in sink.data
    assert row(db, message_id).state == "sent"


def test_refused_recipient_is_given_up(app: Flask, db: Session, session_maker, settings: Settings, now: datetime) -> None:
    message_id = queue(db, now)
    db.commit()
    sink = SmtpSink(refuse=True)
    sink.start()

    notification_jobs.deliver(smtp_context(app, session_maker, settings, sink.port), str(message_id))

    assert row(db, message_id).state == "failed"


def test_unreachable_server_leaves_the_message_for_the_next_try(app: Flask, db: Session, session_maker, settings: Settings, now: datetime) -> None:
    message_id = queue(db, now)
    db.commit()
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()

    with pytest.raises((OSError, smtplib.SMTPException)):
        notification_jobs.deliver(smtp_context(app, session_maker, settings, port), str(message_id))

    kept = row(db, message_id)
    assert (kept.state, kept.attempts, kept.context) == ("queued", 1, CONTEXT)


def test_a21_message_of_another_is_not_found(client: FlaskClient, db: Session, run_jobs, now: datetime) -> None:
    ada, eve = people.person(db, now=now), people.person(db, now=now)
    message_id = queue(db, now, recipient=Recipient(ada.id, ada.email, "en", ada.zone))
    db.commit()
    run_jobs()

    people.sign_in(client, eve)
    assert client.get(f"/messages/{message_id}").status_code == 404
    assert "Atlas Vision" not in client.get("/messages").text
    people.sign_in(client, ada)
    assert "Atlas Vision" in client.get(f"/messages/{message_id}").text
    assert "Atlas Vision" in client.get("/messages").text


def test_mail_page_exists_in_development_alone(app: Flask, client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime, monkeypatch) -> None:
    message_id = queue(db, now, is_secret=True)
    db.commit()
    run_jobs()

    assert "secret-link" in client.get(f"/mail/{message_id}").text
    monkeypatch.setitem(app.extensions, "portal_settings", replace(settings, is_development=False))
    assert client.get(f"/mail/{message_id}").status_code == 404
    assert client.get("/mail").status_code == 404
