"""Pages of compute."""

from flask import Blueprint

blueprint = Blueprint("compute", __name__, template_folder="templates")
