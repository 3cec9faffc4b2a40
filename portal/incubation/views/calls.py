"""Public pages of calls, and the button that begins an application."""

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.core import clock
from portal.incubation.operations import applications
from portal.incubation.queries import calls
from portal.incubation.views import shown
from portal.incubation.views.blueprint import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view


@blueprint.get("/calls")
@access.public
def call_list() -> ResponseReturnValue:
    """Show the published calls."""
    now = clock.now()
    page = calls.page_of_calls(session(), mark=request.args.get("mark"))
    return render_template("incubation/calls.html", calls=page, badges=[shown.call_badge(call, now=now) for call in page.rows], now=now)


@blueprint.get("/calls/<slug>")
@access.public
def call_page(slug: str) -> ResponseReturnValue:
    """Show one call: dates, what is asked, criteria, seats and budget."""
    now, actor, db = clock.now(), current_actor(), session()
    call = calls.call_by_slug(db, slug, actor=actor)
    return render_template(
        "incubation/call.html",
        call=call,
        call_badge=shown.call_badge(call, now=now),
        is_open=call.is_open(now),
        form=calls.form_by_id(db, call.form_version_id),
        rubric=calls.rubric_by_id(db, call.rubric_version_id),
        own_number=calls.own_application_number(db, call.id, actor=actor),
        now=now,
    )


@blueprint.post("/calls/<slug>/apply")
@access.signed_in
@once_view
def apply(slug: str) -> ResponseReturnValue:
    """Begin an application, or go on with the one that there is."""
    number = applications.start(session(), call_slug=slug, by=current_actor(), now=clock.now())
    return redirect(url_for("incubation.edit_application", number=number), 303)
