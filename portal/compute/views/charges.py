"""A charge, opened up. It stands here and not beside the wallet because its energy and its machine are known here."""

import uuid

from flask import render_template, request
from flask.typing import ResponseReturnValue

from portal.compute import queries, words
from portal.compute.views.base import blueprint
from portal.core import clock
from portal.credits.queries.adjustments import returned
from portal.credits.queries.charges import charge_of_session, page_of_bookings
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session


@blueprint.get("/charges/<uuid:session_id>")
@access.signed_in
def charge(session_id: uuid.UUID) -> ResponseReturnValue:
    """Show how a charge comes about, who paid, and its bookings."""
    db, actor = session(), current_actor()
    found = charge_of_session(db, session_id, actor=actor, now=clock.now())
    machine = queries.charged_session(db, session_id, actor=actor)
    bookings = page_of_bookings(db, session_id, mark=request.args.get("mark"))
    back = returned(db, session_id)
    return render_template("compute/charge.html", charge=found, machine=machine, bookings=bookings, returned=back, words=words)
