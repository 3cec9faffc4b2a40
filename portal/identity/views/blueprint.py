"""The blueprint that the pages register with."""

from flask import Blueprint

blueprint = Blueprint("identity", "portal.identity", template_folder="templates")
