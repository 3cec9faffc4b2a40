"""The launch page: what a start takes, before the button that starts it."""

from datetime import datetime

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.compute import queries, quotes, words
from portal.compute.forms import ChoiceForm, StartForm
from portal.compute.operations import sessions
from portal.compute.quotes import Choice, LaunchPage
from portal.compute.rules import DURATIONS_S
from portal.compute.views.base import blueprint
from portal.core import clock
from portal.core.errors import NotFound
from portal.core.quantities import SECONDS_PER_HOUR
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view


@blueprint.route("/new", methods=["GET", "POST"])
@access.signed_in
@once_view
def launch() -> ResponseReturnValue:
    """Show what a start would take, and start what was shown."""
    now = clock.now()
    form = StartForm()
    if request.method == "POST" and form.validate():
        with form.catching():
            return _start(form, now=now)
    chosen = request.form if request.method == "POST" else request.args
    choice = Choice(chosen.get("profile"), chosen.get("hours"), chosen.get("project"))
    page = quotes.launch_page(session(), current_actor(), choice, now=now)
    return render_template("compute/launch.html", launch=page, choices=_choices(page), form=_filled(form, page), now=now), form.status


def _start(form: StartForm, *, now: datetime) -> ResponseReturnValue:
    actor = current_actor()
    project = next((card for card in quotes.paying_projects(session(), actor) if card.slug == form.project.data), None)
    if project is None:
        raise NotFound
    session_id = sessions.request(
        session(),
        project_id=project.id,
        profile_slug=str(form.profile.data),
        duration_s=quotes.duration_of(form.hours.data) or 0,
        label=form.label.data or "",
        by=actor,
        now=now,
    )
    view = queries.session_by_id(session(), session_id, actor=actor, now=now)
    flash(gettext("The first 15 minutes are held. The machine is starting."), "info")
    return redirect(url_for("compute.session_page", number=view.number), 303)


def _choices(page: LaunchPage) -> ChoiceForm | None:
    """Return the form that asks for another choice; it is sent with GET and changes nothing."""
    if page.quote is None:
        return None
    form = ChoiceForm(formdata=None, meta={"csrf": False})
    form.profile.choices = [(offer.slug, words.in_reader_language(offer.name)) for offer in page.offers]
    form.hours.choices = [(_hours(duration_s), _hours(duration_s)) for duration_s in DURATIONS_S]
    form.project.choices = [(card.slug, card.name) for card in page.projects]
    form.profile.data = page.quote.offer.slug
    form.hours.data = _hours(page.quote.duration_s)
    form.project.data = page.quote.project.slug
    return form


def _filled(form: StartForm, page: LaunchPage) -> StartForm:
    """Put what the page shows into the form that starts it: the button starts what stands beside it, nothing else."""
    if page.quote is not None:
        form.profile.data = page.quote.offer.slug
        form.hours.data = _hours(page.quote.duration_s)
        form.project.data = page.quote.project.slug
    return form


def _hours(duration_s: int) -> str:
    return str(duration_s // SECONDS_PER_HOUR)
