"""Pages of the desk: home, health, who may do what."""

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import text

from portal.core import clock
from portal.desk import home as homes
from portal.desk import permission_page
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session

blueprint = Blueprint("desk", __name__, template_folder="templates")


@blueprint.get("/")
@access.public
def home() -> ResponseReturnValue:
    """Show a visitor what the hub is, and a person what needs them now."""
    actor = current_actor()
    if not actor.is_signed_in:
        return render_template("desk/welcome.html", welcome=homes.welcome(session(), now=clock.now()))
    return render_template("desk/home.html", home=homes.home(session(), actor, now=clock.now()))


@blueprint.get("/permissions")
@access.public
def permissions() -> ResponseReturnValue:
    """Show who may do what, from the same tables that the checks read."""
    return render_template("desk/permissions.html", areas=permission_page.areas(), relations=permission_page.RELATIONS)


@blueprint.get("/health")
@access.public
def health() -> ResponseReturnValue:
    """Say that the process answers; asks nothing of the database."""
    return jsonify(ok=True)


@blueprint.get("/ready")
@access.public
def ready() -> ResponseReturnValue:
    """Say whether the database answers too."""
    session().execute(text("SELECT 1"))
    return jsonify(ok=True)
