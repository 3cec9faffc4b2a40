"""The blueprint, apart from its views so that they can all import it."""

from flask import Blueprint

blueprint = Blueprint("incubation", "portal.incubation", template_folder="templates")
