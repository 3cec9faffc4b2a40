"""Pages of compute: launch, a session while it lives and after, the history, the limits, the pool."""

from dataclasses import asdict, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from flask import Blueprint, current_app, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.compute import isolation, queries, quotes, words
from portal.compute.forms import ChoiceForm, StartForm
from portal.compute.operations import sessions
from portal.compute.permissions import HOLDERS, Permission
from portal.compute.queries import SessionView
from portal.compute.quotes import Choice, LaunchPage
from portal.compute.rules import DURATIONS_S
from portal.compute.states import SessionState, StopCause
from portal.core import clock
from portal.core.errors import NotFound
from portal.core.quantities import SECONDS_PER_HOUR
from portal.credits.queries import Balance
from portal.settings import Settings
from portal.web import access, i18n
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.formats import credit_hundredths, tri_parts
from portal.web.once import once_view

blueprint = Blueprint("compute", __name__, template_folder="templates")
blueprint.add_app_template_filter(words.in_reader_language, "in_reader_language")


@blueprint.get("/")
@access.signed_in
def session_list() -> ResponseReturnValue:
    """List the actor's sessions; those of projects that they lead as well."""
    page = queries.page_of_sessions(session(), current_actor(), mark=request.args.get("mark"), now=clock.now())
    return render_template("compute/sessions.html", rows=page, words=words)


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


@blueprint.get("/<int:number>")
@access.signed_in
def session_page(number: int) -> ResponseReturnValue:
    """Show one session: how it comes up, what it has cost so far, and after its end the receipt."""
    return render_template("compute/session.html", **_session_context(number))


@blueprint.get("/<int:number>/panel")
@access.signed_in
def session_panel(number: int) -> ResponseReturnValue:
    """Give the part of the page that changes; 304 when nothing did."""
    context = _session_context(number)
    response = make_response("")
    response.set_etag(_etag(context["view"], context["balance"], is_hub_away=context["is_hub_away"]))
    response.headers["Cache-Control"] = "private, no-cache"
    if request.if_none_match.contains(response.get_etag()[0] or ""):
        response.status_code = 304
        return response
    response.set_data(render_template("compute/_live.html", **context))
    return response


@blueprint.post("/<int:number>/stop")
@access.signed_in
@once_view
def stop(number: int) -> ResponseReturnValue:
    """Ask for a session's end."""
    actor, now = current_actor(), clock.now()
    view = queries.session_by_number(session(), number, actor=actor, now=now)
    if not view.may_stop:
        raise NotFound
    cause = StopCause.PERSON if view.is_own or not actor.has(*HOLDERS[Permission.STOP_ANY_SESSION]) else StopCause.STAFF
    sessions.stop(session(), session_id=view.id, by=actor, now=now, cause=cause)
    return redirect(url_for("compute.session_page", number=number), 303)


@blueprint.get("/limits")
@access.signed_in
def limits() -> ResponseReturnValue:
    """Say which walls stand between sessions on this machine, and which do not."""
    found = isolation.read(_settings().hub.state_dir)
    rows = [(line, *words.limit_words(line)) for line in found.lines] if found is not None else []
    return render_template("compute/limits.html", limits=found, rows=rows)


@blueprint.get("/pool")
@access.needs(Permission.SEE_POOL, HOLDERS)
def pool() -> ResponseReturnValue:
    """Show the staff the pool's devices and who holds them."""
    rows = queries.page_of_devices(session(), mark=request.args.get("mark"))
    health = queries.pool_health(session(), now=clock.now())
    return render_template("compute/pool.html", rows=rows, health=health, words=words)


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


def _session_context(number: int) -> dict[str, Any]:
    now = clock.now()
    view = queries.session_by_number(session(), number, actor=current_actor(), now=now)
    looked_at, answered_at = queries.hub_answered_at(session()) if view.is_live else (None, None)
    is_hub_away = looked_at is not None and (answered_at is None or answered_at < looked_at)
    open_url = f"{_settings().hub.public_url}/user/{view.person_slug}/{view.slug}{view.open_path}" if view.is_own and view.is_open else None
    balance = quotes.balance_of(session(), view.project_id, now=now) if view.is_live and view.sees_wallet else None
    return {"view": view, "balance": balance, "open_url": open_url, "is_hub_away": is_hub_away, "words": words, "poll_s": _poll_s(view)}


def _poll_s(view: SessionView) -> int | None:
    """Return how often the page asks again; not at all once the session has ended."""
    if not view.is_live:
        return None
    return 10 if view.state is SessionState.RUNNING and view.is_open else 1


def _etag(view: SessionView, balance: Balance | None, *, is_hub_away: bool) -> str:
    """Return a mark of what the panel shows: figures count as they are rounded there."""
    minutes = view.used_s if view.used_s < 60 or not view.is_live else view.used_s // 60
    figures = (minutes, credit_hundredths(view.cost_ucr) if view.is_live else view.cost_ucr, round(view.energy_wh, -1) if view.is_live else view.energy_wh)
    purse = tri_parts(balance.balance_ucr, balance.held_ucr) if balance is not None else None
    facts = asdict(replace(view, used_s=0, cost_ucr=0, proven_s=0))
    return sha256(f"{sorted(facts.items())}{figures}{purse}{is_hub_away}{i18n.language()}".encode()).hexdigest()[:32]


def _settings() -> Settings:
    settings: Settings = current_app.extensions["portal_settings"]
    return settings
