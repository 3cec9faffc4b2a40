"""What people are told about their purchases; queued with the change that it tells about."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.core.database import Json
from portal.credits import relations as credits_
from portal.identity import relations as identity
from portal.notifications.operations import outbox
from portal.notifications.recipients import Recipient
from portal.payments.models import Purchase
from portal.payments.rules.references import reference_of
from portal.projects import relations as projects


def bank_order(db: Session, purchase_id: uuid.UUID, *, now: datetime) -> None:
    """Tell the buyer where to send the money, and with which reference."""
    _queue(db, "payments.bank_order", purchase_id, now=now)


def paid(db: Session, purchase_id: uuid.UUID, *, now: datetime) -> None:
    """Tell the buyer that the credits are there, and where the invoice is."""
    _queue(db, "payments.paid", purchase_id, now=now)


def refunded(db: Session, purchase_id: uuid.UUID, *, amount_minor: int, now: datetime) -> None:
    """Tell the buyer that money is on its way back."""
    _queue(db, "payments.refunded", purchase_id, now=now, amount_minor=amount_minor)


def disputed(db: Session, purchase_id: uuid.UUID, *, amount_minor: int, now: datetime) -> None:
    """Tell the buyer that their bank took the money back, and what that means."""
    _queue(db, "payments.disputed", purchase_id, now=now, amount_minor=amount_minor)


def owing(db: Session, purchase_id: uuid.UUID, *, debt_ucr: int, now: datetime) -> None:
    """Tell the buyer that credits are owed, and that nothing new starts until they are back."""
    _queue(db, "payments.owing", purchase_id, now=now, debt_ucr=debt_ucr)


def _queue(db: Session, kind: str, purchase_id: uuid.UUID, *, now: datetime, **more: Any) -> None:
    person, wallet, project = identity.person.c, credits_.wallet.c, projects.project.c
    query = (
        select(Purchase.number, Purchase.credits_ucr, Purchase.gross_minor, Purchase.currency, project.name.label("project"))
        .add_columns(person.id, person.email, person.display_name, person.language, person.zone)
        .join(identity.person, person.id == Purchase.buyer_id)
        .join(credits_.wallet, wallet.id == Purchase.wallet_id)
        .join(projects.project, project.id == wallet.project_id)
        .where(Purchase.id == purchase_id)
    )
    row = db.execute(query).one()
    context: Json = {
        "name": row.display_name,
        "project": row.project,
        "credits_ucr": row.credits_ucr,
        "gross_minor": row.gross_minor,
        "currency": row.currency,
        "reference": reference_of(row.number),
        "path": f"/purchases/{row.number}",
        **more,
    }
    outbox.queue(db, kind=kind, recipient=Recipient(row.id, row.email, row.language, row.zone), context=context, now=now)
