"""Pages of ventures."""

from flask import render_template, request
from flask.typing import ResponseReturnValue

from portal.core import clock
from portal.credits import queries as credit_queries
from portal.incubation.queries import applications as application_queries
from portal.incubation.queries import ventures
from portal.incubation.states import VENTURE_WORDS
from portal.incubation.views import shown
from portal.incubation.views.blueprint import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session


@blueprint.get("/ventures")
@access.signed_in
def venture_list() -> ResponseReturnValue:
    """List the ventures that the person may see."""
    page = ventures.page_of_ventures(session(), actor=current_actor(), mark=request.args.get("mark"))
    badges = [shown.badge(VENTURE_WORDS[row.state], VENTURE_WORDS[row.state].staff) for row in page.rows]
    return render_template("incubation/ventures.html", rows=page, badges=badges)


@blueprint.get("/ventures/<int:number>")
@access.signed_in
def venture(number: int) -> ResponseReturnValue:
    """Show a venture: its project, its credits, the award it began with."""
    db, actor = session(), current_actor()
    card = ventures.venture_by_number(db, number, actor=actor)
    wallet_id = credit_queries.wallet_of_project(db, card.project_id)
    return render_template(
        "incubation/venture.html",
        card=card,
        badge_of=shown.badge(VENTURE_WORDS[card.state], VENTURE_WORDS[card.state].staff),
        wallet_id=wallet_id,
        balance=credit_queries.balance(db, wallet_id, now=clock.now()),
        decision=application_queries.decision_of(db, card.application_id, is_released=True),
        is_own=card.lead_id == actor.person_id,
    )
