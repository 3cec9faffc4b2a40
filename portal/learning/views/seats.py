"""Take a seat in a course run, and give it back."""

import uuid

from flask import flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.core.errors import Conflict, DomainError, NotFound, Refused
from portal.learning import queries, shown
from portal.learning.operations import enrolments
from portal.learning.views.base import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.errors import sentence
from portal.web.once import once_view


@blueprint.get("/<slug>/join")
@access.signed_in
def ask_to_join(slug: str) -> ResponseReturnValue:
    """Lead to the course's page: a visitor comes here by way of the sign-in page."""
    return redirect(url_for("learning.course", slug=shown.course_of(slug).slug, _anchor="join"), 303)


@blueprint.post("/runs/<uuid:run_id>/join")
@access.signed_in
@once_view
def join(run_id: uuid.UUID) -> ResponseReturnValue:
    """Take a seat; a refusal is said on the course's page."""
    now = clock.now()
    slug = _course_slug(run_id)
    try:
        with session().begin_nested():
            enrolments.join(session(), run_id=run_id, by=current_actor(), now=now)
    except (Refused, Conflict) as error:
        return _back(slug, error)
    flash(gettext("You have a seat. The lessons and the lab are open to you now."), "good")
    return redirect(url_for("learning.course", slug=slug), 303)


@blueprint.post("/runs/<uuid:run_id>/leave")
@access.signed_in
@once_view
def leave(run_id: uuid.UUID) -> ResponseReturnValue:
    """Give the seat back."""
    slug = _course_slug(run_id)
    try:
        with session().begin_nested():
            enrolments.leave(session(), run_id=run_id, by=current_actor(), now=clock.now())
    except Conflict as error:
        return _back(slug, error)
    flash(gettext("You have left the course. What you read is kept, should you come back."), "good")
    return redirect(url_for("learning.course", slug=slug), 303)


def _back(slug: str, error: DomainError) -> ResponseReturnValue:
    flash(sentence(error), "bad")
    return redirect(url_for("learning.course", slug=slug), 303)


def _course_slug(run_id: uuid.UUID) -> str:
    found = shown.catalogue().by_id(queries.run_by_id(session(), run_id, now=clock.now()).course_id)
    if found is None:
        raise NotFound
    return found.slug
