"""Invoices and credit notes as PDF."""

import uuid
from zoneinfo import ZoneInfo

from flask import current_app, make_response, request
from flask.typing import ResponseReturnValue

from portal.payments import papers
from portal.payments.queries import purchases as queries
from portal.payments.views.base import blueprint
from portal.settings import LANGUAGES, TIME_ZONE
from portal.web import access, i18n
from portal.web.actors import current_actor
from portal.web.database import session


@blueprint.get("/purchases/<int:number>/documents/<uuid:document_id>.pdf")
@access.signed_in
def document(number: int, document_id: uuid.UUID) -> ResponseReturnValue:
    """Give a document in the language asked for, else in the reader's."""
    found = queries.purchase_by_number(session(), number, actor=current_actor())
    paper, invoice_name = queries.document_of(session(), found.row.id, document_id)
    asked = request.args.get("lang", "")
    language = asked if asked in LANGUAGES else str(i18n.current_locale())
    seller = current_app.extensions["portal_settings"].seller
    response = make_response(papers.pdf(paper, invoice_name=invoice_name, seller=seller, language=language, zone=ZoneInfo(TIME_ZONE)))
    response.headers["Content-Type"] = "application/pdf"
    name = queries.name_of(paper.series, paper.year, paper.number)
    response.headers["Content-Disposition"] = f'inline; filename="{name}-{language}.pdf"'
    return response
