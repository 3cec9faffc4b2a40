"""The OpenID Connect provider's endpoints."""

from datetime import UTC, datetime
from typing import Any, cast

from authlib.oauth2.rfc6749 import OAuth2Error
from flask import current_app, jsonify, make_response, redirect, render_template, request, url_for
from flask import session as flask_session
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from flask_security import logout_user
from joserfc import jwt
from joserfc.errors import JoseError

from portal.core import clock
from portal.identity.account import this_session
from portal.identity.oidc.clients import SCOPES
from portal.identity.oidc.keys import ALGORITHM
from portal.identity.oidc.server import Authorising, Provider, claims_of, person_of
from portal.identity.operations import oidc_tokens
from portal.identity.views.blueprint import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session

_ONCE_EACH = ("response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "prompt", "response_mode")


def provider() -> Provider:
    """Return the application's provider."""
    return cast("Provider", current_app.extensions["oidc_provider"])


@blueprint.get("/oauth/authorize")
@access.public
def authorize() -> ResponseReturnValue:
    """Send a signed-in person back to the client with a code; ask others to sign in first.

    Whatever is wrong with the request is said on a page here: no error leads the browser anywhere.
    """
    wrong = _unsupported()
    if wrong:
        return _refuse(wrong)
    person = this_session().person
    try:
        grant = provider().get_consent_grant(end_user=person)
    except (OAuth2Error, ValueError) as error:
        return _refuse(error.get_error_description() if isinstance(error, OAuth2Error) else "The request has characters that it must not have.")
    if person is None:
        return redirect(url_for("security.login", next=request.full_path), 303)
    authorising = Authorising(person, this_session().live.id, _signed_in_at())  # type: ignore[union-attr]  # a person has a session
    response: Response = provider().create_authorization_response(grant=grant, grant_user=authorising)
    response.status_code = 303 if response.status_code == 302 else response.status_code
    return response


def _unsupported() -> str:
    doubled = next((name for name in _ONCE_EACH if len(request.args.getlist(name)) > 1), None)
    if doubled:
        return f"The parameter {doubled} comes more than once."
    if request.args.get("response_mode", "query") != "query" or "request" in request.args or "request_uri" in request.args:
        return "Only plain requests with the response mode query are supported."
    if request.args.get("prompt", "none") != "none":
        return "Only the prompt none is supported."
    return ""


def _signed_in_at() -> datetime:
    return datetime.fromtimestamp(float(flask_session.get("fs_paa", 0)), tz=UTC)


def _refuse(detail: str) -> ResponseReturnValue:
    return render_template("identity/oidc_error.html", detail=detail), 400


@blueprint.post("/oauth/token")
@access.public
def token() -> ResponseReturnValue:
    """Give tokens for a code or a refresh token; the client authenticates by Basic."""
    if request.args or any(len(request.form.getlist(name)) > 1 for name in request.form):
        return _uncached(jsonify(error="invalid_request"), 400)
    response: Response = provider().create_token_response()
    return _uncached(response, response.status_code)


@blueprint.route("/oauth/userinfo", methods=["GET", "POST"])
@access.public
def userinfo() -> ResponseReturnValue:
    """Say who an access token stands for; the token comes in the Authorization header alone."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    grant = oidc_tokens.grant_of_access_token(session(), secret.strip(), now=clock.now()) if scheme.lower() == "bearer" else None
    person = person_of(grant) if grant else None
    if grant is None or person is None:
        response = _uncached(jsonify(error="invalid_token"), 401)
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
        return response
    return _uncached(jsonify(claims_of(person, grant.scope)), 200)


def _uncached(response: Response, status: int) -> Response:
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/oauth/jwks.json")
@access.public
def jwks() -> ResponseReturnValue:
    """Publish the keys that verify id tokens."""
    response = make_response(jsonify(provider().keys.public_set(now=clock.now())))
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@blueprint.get("/.well-known/openid-configuration")
@access.public
def discovery() -> ResponseReturnValue:
    """Publish what the provider can do."""
    issuer = provider().issuer
    return jsonify(
        issuer=issuer,
        authorization_endpoint=f"{issuer}/oauth/authorize",
        token_endpoint=f"{issuer}/oauth/token",
        userinfo_endpoint=f"{issuer}/oauth/userinfo",
        jwks_uri=f"{issuer}/oauth/jwks.json",
        end_session_endpoint=f"{issuer}/oauth/end-session",
        scopes_supported=list(SCOPES),
        response_types_supported=["code"],
        response_modes_supported=["query"],
        grant_types_supported=["authorization_code", "refresh_token"],
        subject_types_supported=["public"],
        id_token_signing_alg_values_supported=[ALGORITHM],
        token_endpoint_auth_methods_supported=["client_secret_basic"],
        code_challenge_methods_supported=["S256"],
        prompt_values_supported=["none"],
        claims_supported=["sub", "preferred_username", "name", "locale", "zoneinfo", "email", "email_verified", "groups", "nonce", "auth_time"],
        request_parameter_supported=False,
        request_uri_parameter_supported=False,
    )


@blueprint.route("/oauth/end-session", methods=["GET", "POST"])
@access.public
def end_session() -> ResponseReturnValue:
    """Sign out of the portal at a client's wish.

    A link with an id token of the person who is signed in signs out at once; any other asks first.
    """
    values = request.form if request.method == "POST" else request.args
    hint = _hinted(values.get("id_token_hint", ""))
    client_id = str(hint["aud"][0]) if hint else values.get("client_id", "")
    back = _back(client_id, values.get("post_logout_redirect_uri", ""), values.get("state", ""))
    actor = current_actor()
    if not actor.is_signed_in:
        return redirect(back, 303)
    is_own_hint = hint is not None and hint.get("sub") == str(actor.id)
    if request.method == "POST" or is_own_hint:
        logout_user()
        return redirect(back, 303)
    return render_template("identity/end_session.html", values={name: values.get(name, "") for name in ("client_id", "post_logout_redirect_uri", "state")})


def _hinted(token: str) -> dict[str, Any] | None:
    """Return the claims of an id token that we signed, also one that is old; None for anything else."""
    if not token:
        return None
    try:
        claims = dict(jwt.decode(token, provider().keys.verifying_set(now=clock.now()), algorithms=[ALGORITHM]).claims)
    except (JoseError, ValueError):
        return None
    audience = claims.get("aud")
    is_ours = claims.get("iss") == provider().issuer and isinstance(audience, list) and len(audience) == 1 and audience[0] in provider().clients
    return claims if is_ours else None


def _back(client_id: str, uri: str, state: str) -> str:
    """Return a registered URI of the client, or our own home."""
    client = provider().clients.get(client_id)
    if client is None or uri not in client.post_logout_uris:
        return "/"
    return f"{uri}?state={state}" if state.isascii() and state.isalnum() else uri
