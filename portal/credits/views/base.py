"""The blueprint, which the modules of pages add their routes to."""

from flask import Blueprint

blueprint = Blueprint("credits", __name__, template_folder="../templates")
