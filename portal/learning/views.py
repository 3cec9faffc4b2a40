"""Pages of learning."""

from flask import Blueprint

blueprint = Blueprint("learning", __name__, template_folder="templates")
