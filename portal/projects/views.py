"""Pages of projects: mine, and one with its members."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.core import clock
from portal.core.errors import N_, Refused
from portal.projects import queries, words
from portal.projects.operations import members
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view


class LeaveTheCourse(Refused):
    """A learner's place in the project is their place in the course."""

    text = N_("You are in this project through a course. Leave the course on its own page.")


blueprint = Blueprint("projects", __name__, template_folder="templates")


@blueprint.get("/")
@access.signed_in
def project_list() -> ResponseReturnValue:
    """List the projects that the person may see."""
    page = queries.page_of_projects(session(), current_actor(), mark=request.args.get("mark"))
    return render_template("projects/list.html", rows=page, kinds=words.KINDS, roles=words.ROLES)


@blueprint.get("/<slug>")
@access.signed_in
def project(slug: str) -> ResponseReturnValue:
    """Show a project and its members."""
    actor = current_actor()
    card = queries.project_by_slug(session(), slug, actor=actor)
    page = queries.page_of_members(session(), card, actor=actor, mark=request.args.get("mark"))
    return render_template("projects/project.html", card=card, rows=page, kinds=words.KINDS, roles=words.ROLES)


@blueprint.post("/<slug>/leave")
@access.signed_in
@once_view
def leave(slug: str) -> ResponseReturnValue:
    """End the person's own membership."""
    actor = current_actor()
    card = queries.project_by_slug(session(), slug, actor=actor)
    if card.is_learner:
        raise LeaveTheCourse
    members.remove(session(), project_id=card.id, person_id=actor.id, by=actor, now=clock.now())
    flash(_("You have left %(project)s.", project=card.name), "success")
    return redirect(url_for("projects.project_list"), 303)
