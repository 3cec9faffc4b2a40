"""Sign-in for the Flask application: Flask-Security, server-side sessions, and who the request acts for."""

from flask import Flask

from portal.settings import Settings


def install(app: Flask, settings: Settings) -> None:
    """Set up sign-in."""
