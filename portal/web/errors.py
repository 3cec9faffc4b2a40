"""From a domain error to what a person or a machine reads: a page, a form error, or JSON (RFC 9457)."""

import logging
from dataclasses import dataclass
from http import HTTPStatus

from flask import Flask, current_app, jsonify, make_response, render_template, request
from flask.wrappers import Response
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import InterfaceError, OperationalError
from werkzeug.exceptions import HTTPException

from portal.core.errors import N_, Busy, Conflict, DomainError, Invalid, NotFound, Refused, TooMany
from portal.core.ids import new_id
from portal.web import i18n
from portal.web.access import MachineUnknown, SignInNeeded

logger = logging.getLogger(__name__)

STATUS: list[tuple[type[DomainError], int]] = [
    (SignInNeeded, 401),
    (MachineUnknown, 401),
    (NotFound, 404),
    (Refused, 403),
    (Conflict, 409),
    (Invalid, 422),
    (TooMany, 429),
    (Busy, 503),
]

_TITLES = {
    400: N_("This request was not understood"),
    401: N_("Please sign in again"),
    403: N_("This is not open to you"),
    404: N_("There is nothing here"),
    405: N_("This address does not take that"),
    409: N_("Something changed in the meantime"),
    413: N_("That is too large"),
    422: N_("Please check what you entered"),
    429: N_("Too many attempts"),
    500: N_("Something broke on our side"),
    503: N_("The portal is busy"),
}

_HAPPENED = {
    400: N_("The page that sent this was too old, or the request was damaged on its way."),
    404: N_("The page does not exist, or it is not open to you."),
    405: N_("This address is opened in another way. Perhaps a form was sent after you were signed out."),
    413: N_("What you sent is larger than this form takes."),
    500: N_("We made a mistake and have been told about it."),
}


@dataclass(frozen=True)
class ErrorPage:
    """What the error template shows, already translated."""

    status: int
    title: str
    what_happened: str
    what_was_kept: str
    what_to_do: str
    reference: str


def sentence(error: DomainError) -> str:
    """Return the error's sentence in the reader's language."""
    return str(gettext(error.text)) % error.params if error.params else str(gettext(error.text))


def status_of(error: DomainError) -> int:
    """Return the HTTP status of a domain error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 400)


def install(app: Flask) -> None:
    """Handle domain errors, HTTP errors and our own mistakes."""
    app.register_error_handler(DomainError, _domain_error)
    app.register_error_handler(CSRFError, _csrf_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(OperationalError, _database_away)
    app.register_error_handler(InterfaceError, _database_away)
    app.register_error_handler(Exception, _mistake)


def wants_json() -> bool:
    """Return whether the caller is a machine."""
    return (
        current_app.config.get("PORTAL_JSON_ONLY", False)
        or request.path.startswith(("/hub-api/", "/api/"))
        or request.accept_mimetypes.best == "application/json"
    )


def _domain_error(error: DomainError) -> Response:
    status = status_of(error)
    text = gettext(error.what_to_do) % error.params if error.what_to_do else ""
    response = _answer(status, sentence(error), gettext(error.kept) if error.kept else "", text, code=error.code)
    if status == 503:
        response.headers["Retry-After"] = "2"
    return response


def _csrf_error(error: CSRFError) -> Response:
    return _answer(
        400,
        gettext("This page was open for too long, or you signed in or out since. Nothing was saved."),
        gettext("What you typed is still in the page before this one."),
        gettext("Go one page back, load it again and send once more."),
        code="csrf",
    )


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if 300 <= status < 400:
        return make_response(error.get_response())
    response = _answer(status, gettext(_HAPPENED.get(status, error.description or "")), "", "", code=HTTPStatus(status).name.lower())
    for name, value in error.get_headers():
        if name not in {"Content-Type", "Content-Length"}:
            response.headers[name] = value
    return response


def _database_away(error: Exception) -> Response:
    """Answer 503 when the database restarts or is out of reach: nothing was done, and the next try may find it."""
    logger.warning("the database did not answer: %s", error.__class__.__name__, exc_info=error)
    return _domain_error(Busy())


def _mistake(error: Exception) -> Response:
    reference = str(new_id())[-12:]
    logger.error("unhandled error, reference %s", reference, exc_info=error)
    return _answer(
        500,
        gettext(_HAPPENED[500]),
        gettext("Nothing half-done stays."),
        gettext("Try again. If it stays, write to us with the reference."),
        code="mistake",
        reference=reference,
    )


def _answer(status: int, happened: str, kept: str, to_do: str, *, code: str, reference: str = "") -> Response:
    if wants_json():
        problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": happened, "code": code}
        response = jsonify(problem | ({"reference": reference} if reference else {}))
        response.mimetype = "application/problem+json"
    else:
        page = ErrorPage(status, gettext(_TITLES.get(status, _TITLES[400])), happened, kept, to_do, reference)
        # From 500 up the page asks nothing of the database: it may be what failed.
        reader = {"lang": i18n.language(), "dir": i18n.direction(i18n.language()), "theme": i18n.theme()}
        response = make_response(render_template("errors/error.html" if status < 500 else "errors/plain.html", error=page, **reader))
    response.status_code = status
    return response


__all__ = ["Invalid", "install", "sentence", "status_of", "wants_json"]
