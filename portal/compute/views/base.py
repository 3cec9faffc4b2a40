"""The blueprint, which the modules of pages add their routes to."""

from flask import Blueprint, current_app

from portal.compute import words
from portal.settings import Settings

blueprint = Blueprint("compute", __name__, template_folder="../templates")
blueprint.add_app_template_filter(words.in_reader_language, "in_reader_language")


def portal_settings() -> Settings:
    """Return the settings that the application was made with."""
    settings: Settings = current_app.extensions["portal_settings"]
    return settings
