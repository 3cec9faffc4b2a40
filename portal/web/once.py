"""`@once` on a POST view: the form's effect happens once, however often it is sent.

The form carries `once` (`once_token()` in templates, `Form` does it by itself). A second request of the same
token, in parallel or later, gets the first's redirect.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import make_response, redirect, request
from flask.wrappers import Response

from portal.core import clock, once
from portal.core.errors import N_, Conflict, Invalid
from portal.web.actors import current_actor
from portal.web.database import session

FIELD = "once"
View = TypeVar("View", bound=Callable[..., Any])


class AlreadySent(Conflict):
    """The form was sent before, and its answer is not known for this person."""

    text = N_("This form was already sent. Nothing was done twice.")


class NoOnceToken(Invalid):
    """The form came without its token: not from a page of ours."""

    text = N_("This form is not complete. Open the page again and send it once more.")


def once_view(view: View) -> View:
    """Guard a POST view against the double click, the second tab and the back button."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if request.method != "POST":
            return view(*args, **kwargs)
        token = request.form.get(FIELD, "")
        if not 20 <= len(token) <= 100:
            raise NoOnceToken
        actor_id = current_actor().person_id
        if not once.claim(session(), token, actor_id=actor_id, now=clock.now()):
            return _first_answer(token)
        response: Response = make_response(view(*args, **kwargs))
        if 300 <= response.status_code < 400:
            once.answer(session(), token, response.headers["Location"])
        elif response.status_code < 400:
            # The view showed a page instead of acting: its token stays good for the next try.
            session().rollback()
        return response

    return guarded  # type: ignore[return-value]


def _first_answer(token: str) -> Response:
    location = once.location_of(session(), token, actor_id=current_actor().person_id)
    if location is None:
        raise AlreadySent
    return make_response(redirect(location, 303))
