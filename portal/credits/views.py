"""Pages of credits."""

from flask import Blueprint

blueprint = Blueprint("credits", __name__, template_folder="templates")
