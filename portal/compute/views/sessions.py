"""Sessions: the list, one while it lives and after, its end."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from flask import flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone, gettext

from portal.compute import queries, quotes, waits, words
from portal.compute.forms import ExtendForm
from portal.compute.operations import extensions, sessions
from portal.compute.permissions import HOLDERS, Permission
from portal.compute.queries import SessionView
from portal.compute.rules import EXTENSIONS_S, LONGEST_S
from portal.compute.states import SessionState, StopCause
from portal.compute.views.base import blueprint, portal_settings
from portal.compute.waits import Wait
from portal.core import clock
from portal.core.errors import NotFound
from portal.core.quantities import SECONDS_PER_HOUR, charge_ucr
from portal.credits.queries import Balance
from portal.credits.queries.faults import made_good
from portal.web import access, i18n
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.formats import clock as clock_text
from portal.web.formats import credit_hundredths, tri_parts
from portal.web.once import once_view


@blueprint.get("/")
@access.signed_in
def session_list() -> ResponseReturnValue:
    """List the actor's sessions; those of projects that they lead as well."""
    page = queries.page_of_sessions(session(), current_actor(), mark=request.args.get("mark"), now=clock.now())
    return render_template("compute/sessions.html", rows=page, words=words)


@blueprint.get("/<int:number>")
@access.signed_in
def session_page(number: int) -> ResponseReturnValue:
    """Show one session: how it comes up, what it has cost so far, and after its end the receipt."""
    return _page(number, ExtendForm(formdata=None))


@blueprint.get("/<int:number>/panel")
@access.signed_in
def session_panel(number: int) -> ResponseReturnValue:
    """Give the part of the page that changes; 304 when nothing did."""
    context = _session_context(number)
    response = make_response("")
    response.set_etag(_etag(context["view"], context["balance"], (context["is_hub_away"], context["wait"])))
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


@blueprint.post("/<int:number>/extend")
@access.signed_in
@once_view
def extend(number: int) -> ResponseReturnValue:
    """Let one's own session go on for longer than was chosen."""
    actor, now = current_actor(), clock.now()
    view = queries.session_by_number(session(), number, actor=actor, now=now)
    if not view.is_own:
        raise NotFound
    form = ExtendForm()
    form.hours.choices = _hours_more()
    if form.validate():
        with form.catching():
            ends_at = extensions.extend(session(), session_id=view.id, more_s=int(form.hours.data) * SECONDS_PER_HOUR, by=actor, now=now)
            flash(gettext("The session ends at %(time)s now.", time=clock_text(ends_at, str(i18n.current_locale()), get_timezone() or UTC)), "good")
            return redirect(url_for("compute.session_page", number=number), 303)
    return _page(number, form), form.status


def _page(number: int, form: ExtendForm) -> str:
    context = _session_context(number)
    view: SessionView = context["view"]
    form.hours.choices = _hours_more()
    form.hours.data = form.hours.data or "1"
    longer = _longer(view) if view.is_own and view.state is SessionState.RUNNING else []
    return render_template("compute/session.html", **context, extend=form, longer=longer)


def _hours_more() -> list[tuple[str, str]]:
    return [(str(more_s // SECONDS_PER_HOUR), str(more_s // SECONDS_PER_HOUR)) for more_s in EXTENSIONS_S]


def _longer(view: SessionView) -> list[tuple[str, datetime, int]]:
    """Return the lengths by which a session can go on: hours, its end then, and what they cost at the present price."""
    if view.ends_at is None:
        return []
    fitting = [more_s for more_s in EXTENSIONS_S if view.duration_s + more_s <= LONGEST_S]
    return [(str(more_s // SECONDS_PER_HOUR), view.ends_at + timedelta(seconds=more_s), charge_ucr(view.rate_ucr_per_hour, more_s)) for more_s in fitting]


def _session_context(number: int) -> dict[str, Any]:
    now = clock.now()
    view = queries.session_by_number(session(), number, actor=current_actor(), now=now)
    looked_at, answered_at = queries.hub_answered_at(session()) if view.is_live else (None, None)
    is_hub_away = looked_at is not None and (answered_at is None or answered_at < looked_at)
    open_url = f"{portal_settings().hub.public_url}/user/{view.person_slug}/{view.slug}{view.open_path}" if view.is_own and view.is_open else None
    wait = waits.wait_of(session(), view.id, view.profile_slug, now=now) if view.is_queued else None
    balance = quotes.balance_of(session(), view.project_id, now=now) if view.is_live and view.sees_wallet else None
    gifts = [] if view.is_live else made_good(session(), view.id)
    more = {"balance": balance, "open_url": open_url, "is_hub_away": is_hub_away, "made_good": gifts, "wait": wait, "now": now}
    return {"view": view, "words": words, "poll_s": _poll_s(view), **more}


def _poll_s(view: SessionView) -> int | None:
    """Return how often the page asks again; not at all once the session has ended."""
    if not view.is_live:
        return None
    return 10 if view.is_queued or (view.state is SessionState.RUNNING and view.is_open) else 1


def _etag(view: SessionView, balance: Balance | None, around: tuple[bool, Wait | None]) -> str:
    """Return a mark of what the panel shows: figures count as they are rounded there."""
    minutes = view.used_s if view.used_s < 60 or not view.is_live else view.used_s // 60
    figures = (minutes, credit_hundredths(view.cost_ucr) if view.is_live else view.cost_ucr, round(view.energy_wh, -1) if view.is_live else view.energy_wh)
    purse = tri_parts(balance.balance_ucr, balance.held_ucr) if balance is not None else None
    facts = asdict(replace(view, used_s=0, cost_ucr=0, proven_s=0, prices=view.prices if not view.is_live else ()))
    return sha256(f"{sorted(facts.items())}{figures}{view.price_changed_at}{purse}{around}{i18n.language()}".encode()).hexdigest()[:32]
