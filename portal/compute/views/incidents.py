"""Incidents: the list, one that is opened by hand, and what it gives before and after it is confirmed."""

import uuid
from datetime import UTC, date, datetime, time, timedelta

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its type stubs

from portal.compute import words
from portal.compute.forms import IncidentForm
from portal.compute.operations import incidents
from portal.compute.permissions import HOLDERS, Permission
from portal.compute.queries import incidents as queries
from portal.compute.states import IncidentKind, IncidentState
from portal.compute.views.base import blueprint
from portal.core import clock
from portal.core.quantities import UCR_PER_CREDIT
from portal.credits.calendar import ZONE, local_day
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view

ALONE = incidents.ALONE_UCR // UCR_PER_CREDIT


@blueprint.get("/incidents")
@access.needs(Permission.MAKE_GOOD, HOLDERS)
def incident_list() -> ResponseReturnValue:
    """List the faults of the hub and what was made good for them."""
    return render_template("compute/incidents.html", rows=queries.page_of_incidents(session(), mark=request.args.get("mark")), words=words)


@blueprint.route("/incidents/new", methods=["GET", "POST"])
@access.needs(Permission.MAKE_GOOD, HOLDERS)
@once_view
def new_incident() -> ResponseReturnValue:
    """Open an incident by hand; nothing is given before it is looked at."""
    now = clock.now()
    form = IncidentForm(kind=IncidentKind.OUTAGE.value, on=local_day(now))
    form.kind.choices = [SelectChoice(kind.value, words.kind_of(kind)) for kind in IncidentKind]
    form.node.choices = [SelectChoice("", gettext("All machines")), *[SelectChoice(str(id_), name) for id_, name in queries.nodes(session())]]
    if form.validate_on_submit():
        with form.catching():
            return redirect(url_for("compute.incident_page", number=_open(form, now)), 303)
    return render_template("compute/new_incident.html", form=form), form.status


def _open(form: IncidentForm, now: datetime) -> int:
    on, begins, ends = form.on.data, form.begins.data, form.ends.data
    if not (isinstance(on, date) and isinstance(begins, time) and isinstance(ends, time)):
        abort(400)
    # An end that is earlier on the clock is on the next day.
    ends_on = on if ends > begins else on + timedelta(days=1)
    return incidents.open(
        session(),
        kind=IncidentKind(form.kind.data),
        node_id=uuid.UUID(form.node.data) if form.node.data else None,
        starts_at=datetime.combine(on, begins, ZONE).astimezone(UTC),
        ends_at=datetime.combine(ends_on, ends, ZONE).astimezone(UTC),
        note=str(form.note.data),
        by=current_actor(),
        now=now,
    )


@blueprint.get("/incidents/<int:number>")
@access.needs(Permission.MAKE_GOOD, HOLDERS)
def incident_page(number: int) -> ResponseReturnValue:
    """Show an incident: the sessions that it struck with what each would get, or got."""
    now, mark, db = clock.now(), request.args.get("mark"), session()
    found = queries.incident_by_number(db, number)
    is_dry = found.state in {IncidentState.OPEN, IncidentState.WAITING}
    would = queries.touched(db, found, now=now) if is_dry else []
    page = queries.page_of_touched(would, mark=mark) if is_dry else queries.page_of_given(db, found.id, mark=mark)
    total_ucr = sum(row.total_ucr for row in would) if is_dry else found.total_ucr
    context = {"count": len(would) if is_dry else found.sessions, "total_ucr": total_ucr, "is_dry": is_dry, "alone": ALONE}
    context["sees_sessions"] = current_actor().has(*HOLDERS[Permission.SEE_ALL_SESSIONS])
    return render_template("compute/incident.html", incident=found, rows=page, words=words, me=current_actor().person_id, **context)


@blueprint.post("/incidents/<int:number>/confirm")
@access.needs(Permission.MAKE_GOOD, HOLDERS)
@once_view
def confirm_incident(number: int) -> ResponseReturnValue:
    """Make an incident good with the sum that was looked at, or ask a second person to."""
    found, text = queries.incident_by_number(session(), number), request.form.get("seen", "")
    seen_ucr = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1
    state = incidents.confirm(session(), incident_id=found.id, seen_ucr=seen_ucr, by=current_actor(), now=clock.now())
    if state is IncidentState.WAITING:
        flash(gettext("It waits for a second person."), "info")
    else:
        flash(gettext("It is being made good, and the people of the sessions are told."), "good")
    return redirect(url_for("compute.incident_page", number=number), 303)


@blueprint.post("/incidents/<int:number>/<any(approve, decline, withdraw, dismiss):what>")
@access.needs(Permission.MAKE_GOOD, HOLDERS)
@once_view
def decide_incident(number: int, what: str) -> ResponseReturnValue:
    """Approve or decline as the second person; withdraw what one asked for; dismiss what is nothing."""
    found = queries.incident_by_number(session(), number)
    steps = {"approve": incidents.approve, "decline": incidents.decline, "withdraw": incidents.withdraw, "dismiss": incidents.dismiss}
    steps[what](session(), incident_id=found.id, by=current_actor(), now=clock.now())
    return redirect(url_for("compute.incident_page", number=number), 303)
