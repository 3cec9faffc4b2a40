"""Who the request acts for. Identity hands in the loader; nothing here knows tables."""

from collections.abc import Callable

from flask import Flask, current_app, g

from portal.core.access import VISITOR, Actor

_KEY = "portal_actor_loader"


def use_loader(app: Flask, loader: Callable[[], Actor | None]) -> None:
    """Set the function that returns the signed-in person as an actor, or None."""
    app.extensions[_KEY] = loader


def current_actor() -> Actor:
    """Return the request's actor, looked up once."""
    if "actor" not in g:
        loader = current_app.extensions.get(_KEY)
        g.actor = (loader() if loader else None) or VISITOR
    actor: Actor = g.actor
    return actor
