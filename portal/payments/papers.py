"""Invoices and credit notes as PDF, in the reader's choice of language; the figures are the document's own."""

import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Any

from babel import Locale
from babel.dates import format_date
from flask_babel import force_locale, gettext

from portal.core import typeset
from portal.payments.models import Document
from portal.payments.queries.purchases import name_of
from portal.payments.rules.references import reference_of
from portal.payments.states import DocumentKind, Method
from portal.settings import Seller
from portal.web.formats import numbers

TEMPLATE = Path(__file__).resolve().parent / "templates" / "payments" / "document.typ"
PPM = 1_000_000


def pdf(document: Document, *, invoice_name: str, seller: Seller, language: str, zone: Any) -> bytes:
    """Return the document as PDF. invoice_name: the invoice that a credit note corrects, else empty."""
    with force_locale(language):
        data = _data(document, invoice_name=invoice_name, seller=seller, language=language, zone=zone)
    return typeset.pdf(TEMPLATE, data, made_at=document.issued_at)


def _data(document: Document, *, invoice_name: str, seller: Seller, language: str, zone: Any) -> dict[str, Any]:
    content, is_invoice = document.content, document.kind == DocumentKind.INVOICE
    bill_to, country = content["bill_to"], Locale(language).territories.get(content["bill_to"]["country"], "")
    name = name_of(document.series, document.year, document.number)
    tax_lines = [gettext("Tax number: %(number)s", number=bill_to["tax_id"])] if bill_to["tax_id"] else []
    seller_tax = [gettext("Tax number: %(number)s", number=seller.tax_id)] if seller.tax_id else []
    return {
        "lang": language,
        "title": gettext("Invoice") if is_invoice else gettext("Credit note"),
        "number": name,
        "page": gettext("Page"),
        "seller": {"name": _own(seller.name), "lines": [_own(line) for line in (*seller.address.splitlines(), *seller_tax)]},
        "bill_to": {"name": _own(bill_to["name"]), "lines": [_own(line) for line in (*bill_to["address"].splitlines(), country, *tax_lines)]},
        "facts": _facts(document, invoice_name, language, zone),
        "words": {"bill_to": gettext("Billed to")},
        "columns": [gettext("Description"), gettext("Quantity"), gettext("Price of one"), gettext("Net")],
        "lines": [_line(document, language)],
        "sums": [
            [gettext("Net"), _money(document.net_minor, document, language)],
            [gettext("VAT %(rate)s", rate=_rate(document, language)), _money(document.vat_minor, document, language)],
        ],
        "total": [gettext("Total"), _money(document.gross_minor, document, language)],
        "notes": _notes(document),
        "footer": _own(" · ".join(part for part in (seller.name, seller.address.replace("\n", ", "), seller.tax_id) if part)),
    }


def _own(line: str) -> list[str]:
    """Return a line in people's own words with the direction of its first letter."""
    first = next((kind for kind in map(unicodedata.bidirectional, line) if kind in {"L", "R", "AL"}), "L")
    return [line, "ltr" if first == "L" else "rtl"]


def _facts(document: Document, invoice_name: str, language: str, zone: Any) -> list[list[str]]:
    content = document.content
    local: datetime = document.issued_at.astimezone(zone)
    rows = [
        [gettext("Date"), format_date(local.date(), "long", locale="ar_MA" if language == "ar" else language)],
        [gettext("Purchase"), f"{content['purchase']} · {reference_of(content['purchase'])}"],
        [gettext("Paid by"), gettext("Card") if content["method"] == Method.CARD else gettext("Bank transfer")],
    ]
    if invoice_name and document.content["reason"] != "purchase":
        rows.append([gettext("Corrects invoice"), invoice_name])
    return rows


def _line(document: Document, language: str) -> list[str]:
    line = document.content["line"]
    if line:
        each = _money(line["unit_minor"], document, language)
        return [gettext("GPU credits"), numbers.number(line["quantity"], language), each, _money(document.net_minor, document, language)]
    what = {
        "refund": gettext("GPU credits, refunded"),
        "refund_failed": gettext("GPU credits, refund that came back"),
        "dispute": gettext("GPU credits, taken back by the buyer's bank"),
    }[document.content["reason"]]
    return [what, "", "", _money(document.net_minor, document, language)]


def _notes(document: Document) -> list[str]:
    notes = [gettext("Paid in full.")] if document.content["reason"] == "purchase" else []
    if document.vat_rate_ppm == 0:
        notes.append(gettext("No Moroccan VAT: service to a buyer outside Morocco."))
    return notes


def _money(amount_minor: int, document: Document, language: str) -> str:
    return numbers.money(amount_minor, document.currency, language)


def _rate(document: Document, language: str) -> str:
    return numbers.percent(document.vat_rate_ppm / PPM, language)
