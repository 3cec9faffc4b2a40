"""Pages of incubation."""

from flask import Blueprint

blueprint = Blueprint("incubation", __name__, template_folder="templates")
