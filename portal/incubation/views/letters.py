"""What an applicant gets in return: the receipt of what was submitted, and the decision."""

from flask import Response, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core.errors import NotFound
from portal.incubation.queries import applications as queries
from portal.incubation.queries import calls
from portal.incubation.rules.receipts import canonical
from portal.incubation.states import APPLICATION_WORDS
from portal.incubation.views import shown
from portal.incubation.views.blueprint import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session


@blueprint.get("/applications/<int:number>/receipt")
@access.signed_in
def receipt(number: int) -> ResponseReturnValue:
    """Show when the application arrived and the SHA-256 of what was submitted."""
    db = session()
    card = queries.own_by_number(db, number, actor=current_actor())
    content = queries.submitted_content(db, card.id)
    definition = calls.form_by_id(db, card.form_version_id)
    return render_template(
        "incubation/receipt.html",
        card=card,
        call=calls.call_by_id(db, card.call_id),
        sections=shown.sections(definition, content["answers"]),
        consent=content["consent"],
        next=gettext(APPLICATION_WORDS[card.state].next),
    )


@blueprint.get("/applications/<int:number>/receipt.json")
@access.signed_in
def receipt_file(number: int) -> ResponseReturnValue:
    """Give the very bytes whose SHA-256 the receipt shows."""
    db = session()
    card = queries.own_by_number(db, number, actor=current_actor())
    body = canonical(queries.submitted_content(db, card.id))
    response = Response(body, mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="application-{card.number}.json"'
    return response


@blueprint.get("/applications/<int:number>/decision")
@access.signed_in
def decision(number: int) -> ResponseReturnValue:
    """Show the released decision: the award letter, or the reasons of another outcome."""
    db = session()
    card = queries.own_by_number(db, number, actor=current_actor())
    released = queries.decision_of(db, card.id, is_released=True)
    if released is None:
        raise NotFound
    return render_template(
        "incubation/decision.html",
        card=card,
        call=calls.call_by_id(db, card.call_id),
        decision=released,
        badge_of=shown.application_badge(card.state, for_staff=False),
        comments=queries.comments_to_applicant(db, card.id),
    )
