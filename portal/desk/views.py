"""Pages of the desk: home, health, who may do what."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import text

from portal.web import access
from portal.web.database import session

blueprint = Blueprint("desk", __name__, template_folder="templates")


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
