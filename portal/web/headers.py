"""Security headers: a content policy with a nonce, no framing, no sniffing, one canonical host."""

import secrets

from flask import Flask, current_app, g, request
from flask.wrappers import Response
from werkzeug.exceptions import BadRequest


def install(app: Flask) -> None:
    """Check the host and add the headers.

    Config: PORTAL_HOST (the one host answered to, None for any), PORTAL_HSTS, PORTAL_FORM_TARGETS (origins that
    a form may lead to, such as the hub after sign-in).
    """
    app.before_request(_check_host)
    app.after_request(_add_headers)


def nonce() -> str:
    """Return the response's nonce for the few inline parts."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    value: str = g.csp_nonce
    return value


def _check_host() -> None:
    host = current_app.config["PORTAL_HOST"]
    if host is not None and request.host != host:
        raise BadRequest


def _add_headers(response: Response) -> Response:
    targets = " ".join(("'self'", *current_app.config["PORTAL_FORM_TARGETS"]))
    policy = (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce()}'; style-src 'self' 'nonce-{nonce()}'; img-src 'self' data:; "
        f"font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers.setdefault("Content-Security-Policy", policy)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
    if current_app.config["PORTAL_HSTS"]:
        response.headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if request.endpoint != "assets.file":
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.add("Vary", "Cookie, Accept-Language")
    return response
