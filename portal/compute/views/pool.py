"""The pool as its staff see it, and what walls stand between sessions."""

from flask import render_template, request
from flask.typing import ResponseReturnValue

from portal.compute import isolation, queries, words
from portal.compute.permissions import HOLDERS, Permission
from portal.compute.queries.promises import first_in_queue, kept, page_of_starts
from portal.compute.views.base import blueprint, portal_settings
from portal.core import clock
from portal.web import access
from portal.web.database import session


@blueprint.get("/limits")
@access.signed_in
def limits() -> ResponseReturnValue:
    """Say which walls stand between sessions on this machine, and which do not."""
    found = isolation.read(portal_settings().hub.state_dir)
    rows = [(line, *words.limit_words(line)) for line in found.lines] if found is not None else []
    return render_template("compute/limits.html", limits=found, rows=rows)


@blueprint.get("/promises")
@access.signed_in
def promise_list() -> ResponseReturnValue:
    """Show how starts came against what was promised, for everybody."""
    page = page_of_starts(session(), mark=request.args.get("mark"))
    return render_template("compute/promises.html", kept=kept(session(), now=clock.now()), starts=page)


@blueprint.get("/pool")
@access.needs(Permission.SEE_POOL, HOLDERS)
def pool() -> ResponseReturnValue:
    """Show the staff the pool's devices and who holds them."""
    rows = queries.page_of_devices(session(), mark=request.args.get("mark"))
    health = queries.pool_health(session(), now=clock.now())
    return render_template("compute/pool.html", rows=rows, health=health, words=words, queued=first_in_queue(session()))
