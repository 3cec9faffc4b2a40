"""Invoices and credit notes: numbered without gaps in their series and year, complete in themselves, never changed."""

import uuid
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from portal.core.ids import new_id
from portal.core.quantities import UCR_PER_CREDIT
from portal.payments.models import Document, DocumentSeries, Purchase
from portal.payments.rules.prices import net_and_vat
from portal.payments.states import DocumentKind
from portal.settings import TIME_ZONE

SERIES = {DocumentKind.INVOICE: "INV", DocumentKind.CREDIT_NOTE: "CRN"}


def invoice(db: Session, *, purchase_id: uuid.UUID, now: datetime) -> uuid.UUID:
    """Issue the invoice of a paid purchase, once."""
    purchase = db.execute(select(Purchase).where(Purchase.id == purchase_id)).scalar_one()
    line = {"quantity": purchase.credits_ucr // UCR_PER_CREDIT, "unit_minor": purchase.unit_minor}
    return _issue(db, purchase, DocumentKind.INVOICE, (purchase.net_minor, purchase.vat_minor), cause=f"purchase:{purchase_id}", line=line, now=now)


def credit_note(db: Session, *, purchase_id: uuid.UUID, gross_minor: int, cause: str, now: datetime) -> uuid.UUID:
    """Issue a credit note for a part of the price, once for each cause.

    A negative amount means that a refund came back: an invoice for it, which names the first one.
    """
    purchase = db.execute(select(Purchase).where(Purchase.id == purchase_id)).scalar_one()
    kind = DocumentKind.CREDIT_NOTE if gross_minor > 0 else DocumentKind.INVOICE
    return _issue(db, purchase, kind, net_and_vat(-gross_minor, purchase.vat_rate_ppm), cause=cause, line={}, now=now)


def _issue(db: Session, purchase: Purchase, kind: DocumentKind, net_and_vat: tuple[int, int], *, cause: str, line: dict[str, int], now: datetime) -> uuid.UUID:
    known = db.execute(select(Document.id).where(Document.cause == cause)).scalar_one_or_none()
    if known is not None:
        return known
    first = db.execute(select(Document.id).where(Document.cause == f"purchase:{purchase.id}")).scalar_one_or_none()
    year = now.astimezone(ZoneInfo(TIME_ZONE)).year
    id_, number = new_id(), _next_number(db, SERIES[kind], year)
    net, vat = net_and_vat
    content = {"bill_to": purchase.bill_to, "purchase": purchase.number, "line": line, "reason": cause.partition(":")[0], "method": purchase.method}
    row = {
        "id": id_,
        "kind": kind.value,
        "series": SERIES[kind],
        "year": year,
        "number": number,
        "purchase_id": purchase.id,
        "cause": cause,
        "invoice_id": first if kind is DocumentKind.CREDIT_NOTE else None,
        "currency": purchase.currency,
        "net_minor": net,
        "vat_minor": vat,
        "gross_minor": net + vat,
        "vat_rate_ppm": purchase.vat_rate_ppm,
        "content": content,
        "language": purchase.language,
        "issued_at": now,
    }
    db.execute(insert(Document).values(**row))
    return id_


def _next_number(db: Session, series: str, year: int) -> int:
    """Return the next number; the series' row stays locked until the document is committed, so that no number is lost."""
    row = upsert(DocumentSeries).values(series=series, year=year, last_number=0)
    db.execute(row.on_conflict_do_nothing())
    number = update(DocumentSeries).where(DocumentSeries.series == series, DocumentSeries.year == year).values(last_number=DocumentSeries.last_number + 1)
    return int(db.execute(number.returning(DocumentSeries.last_number)).scalar_one())
