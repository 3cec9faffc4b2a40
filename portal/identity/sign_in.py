"""Sign-in for the Flask application: Flask-Security, server-side sessions, and who the request acts for."""

from flask import Flask
from flask import session as flask_session

from portal.core.access import Actor
from portal.identity.queries import PersonCard
from portal.identity.web_session import DatabaseSessionInterface, PortalSession
from portal.settings import Settings
from portal.web import actors


def install(app: Flask, settings: Settings) -> None:
    """Set up sign-in."""
    app.session_interface = DatabaseSessionInterface(is_https=settings.is_https)
    actors.use_loader(app, load_actor)


def current_person() -> PersonCard | None:
    """Return who is signed in: read with the session and the roles, in one statement a request."""
    found = flask_session._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 -- the documented way to look behind Flask's proxy
    return found.person if isinstance(found, PortalSession) else None


def load_actor() -> Actor | None:
    """Return the signed-in person as an actor."""
    person = current_person()
    return person.actor if person else None
