"""The launch page: what a start takes, before the button that starts it."""

from datetime import datetime

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.compute import queries, quotes, words
from portal.compute.forms import ChoiceForm, MoreForm, StartForm
from portal.compute.operations import allowances, sessions
from portal.compute.quotes import Choice, LaunchPage
from portal.compute.rules import DURATIONS_S
from portal.compute.views.base import blueprint
from portal.core import clock
from portal.core.errors import NotFound
from portal.core.quantities import SECONDS_PER_HOUR
from portal.projects.queries import ProjectCard
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
    return _shown(form, MoreForm(formdata=None), now=now), form.status


@blueprint.post("/new/more")
@access.signed_in
@once_view
def ask_for_more() -> ResponseReturnValue:
    """Ask the project's leads for more than the weekly allowance, from beside the button that it closes."""
    now, actor, form = clock.now(), current_actor(), MoreForm()
    if form.validate():
        with form.catching():
            project = _paying(form.project.data)
            allowances.ask(session(), project_id=project.id, asked_ucr=form.amount.ucr or 0, reason=str(form.reason.data), by=actor, now=now)
            flash(gettext("The leads of the project were asked. You get a mail when they answer."), "good")
            return redirect(url_for("compute.launch", profile=form.profile.data, hours=form.hours.data, project=form.project.data), 303)
    return _shown(StartForm(formdata=None), form, now=now), form.status


@blueprint.post("/new/more/withdraw")
@access.signed_in
@once_view
def withdraw_more() -> ResponseReturnValue:
    """Take a request for more back."""
    allowances.withdraw(session(), project_id=_paying(request.form.get("project")).id, by=current_actor(), now=clock.now())
    chosen = request.form
    return redirect(url_for("compute.launch", profile=chosen.get("profile"), hours=chosen.get("hours"), project=chosen.get("project")), 303)


def _shown(form: StartForm, more: MoreForm, *, now: datetime) -> str:
    chosen = request.form if request.method == "POST" else request.args
    choice = Choice(chosen.get("profile"), chosen.get("hours"), chosen.get("project"))
    page = quotes.launch_page(session(), current_actor(), choice, now=now)
    for name in ("profile", "hours", "project"):
        more[name].data = _filled(form, page)[name].data
    return render_template("compute/launch.html", launch=page, choices=_choices(page), form=form, more=more, now=now)


def _paying(slug: str | None) -> ProjectCard:
    """Return a project that the actor may pay from. Raises NotFound."""
    project = next((card for card in quotes.paying_projects(session(), current_actor()) if card.slug == slug), None)
    if project is None:
        raise NotFound
    return project


def _start(form: StartForm, *, now: datetime) -> ResponseReturnValue:
    actor = current_actor()
    project = _paying(form.project.data)
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
    if not view.is_queued:
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
