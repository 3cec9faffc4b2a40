"""Pages of hub_api."""

from flask import Blueprint

blueprint = Blueprint("hub_api", __name__, template_folder="templates")
