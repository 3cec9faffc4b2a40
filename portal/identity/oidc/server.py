"""Authlib's authorisation server, made strict: S256 for every client, codes claimed atomically, exact URIs."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.flask_oauth2.requests import FlaskOAuth2Payload, FlaskOAuth2Request
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, OAuth2Request, TokenMixin, grants
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7636.challenge import compare_s256_code_challenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, request
from joserfc.jwk import RSAKey

from portal.core import clock
from portal.core.database import transaction
from portal.core.errors import NotFound
from portal.core.ids import new_secret
from portal.identity import queries, rules
from portal.identity.oidc.clients import SCOPES, Client, clients_of
from portal.identity.oidc.keys import ALGORITHM, KeyRing
from portal.identity.operations import oidc_tokens
from portal.identity.operations.oidc_tokens import ClaimedCode, HeldGrant
from portal.identity.queries import PersonCard
from portal.settings import Settings
from portal.web.database import session, sessions


@dataclass(frozen=True)
class Authorising:
    """Who authorises: the person, their session, and when they signed in."""

    person: PersonCard
    session_id: uuid.UUID
    signed_in_at: datetime


class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    """A claimed code, with the questions that Authlib asks."""

    def __init__(self, claimed: ClaimedCode) -> None:
        self.grant = claimed.grant
        self.code_challenge = claimed.code_challenge
        self._redirect_uri = claimed.redirect_uri

    def get_redirect_uri(self) -> str:
        """Return the URI that the code was sent to."""
        return self._redirect_uri

    def get_scope(self) -> str:
        """Return what was granted."""
        return self.grant.scope

    def get_nonce(self) -> str | None:
        """Return what the client sent along."""
        return self.grant.nonce

    def get_auth_time(self) -> int:
        """Return when the person signed in."""
        return int(self.grant.signed_in_at.timestamp())

    def get_acr(self) -> None:
        """Return none: no levels are named."""

    def get_amr(self) -> None:
        """Return none: no methods are named."""


class Refresh(TokenMixin):  # type: ignore[misc]
    """A claimed refresh token, with the questions that Authlib asks."""

    def __init__(self, grant: HeldGrant) -> None:
        self.grant = grant

    def check_client(self, client: Client) -> bool:
        """Return whether the token is this client's."""
        return self.grant.client_id == client.client_id

    def get_scope(self) -> str:
        """Return what was granted."""
        return self.grant.scope


def person_of(grant: HeldGrant) -> PersonCard | None:
    """Return the person of a grant, None when they may not sign in."""
    try:
        person = queries.person_by_id(session(), grant.person_id)
    except NotFound:
        return None
    return person if person.is_active else None


class CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    """The code flow."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)

    @staticmethod
    def validate_authorization_redirect_uri(request: OAuth2Request, client: Client) -> str:
        """Return the request's URI. Raises InvalidRequestError, which no URI goes with, unless it is registered."""
        uri = request.payload.redirect_uri
        if not uri or not client.check_redirect_uri(uri):
            raise InvalidRequestError("The redirect URI is missing or not registered.")
        return str(uri)

    def generate_authorization_code(self) -> str:
        """Grant the client what it asked for, and return the code of that grant."""
        authorising: Authorising = self.request.user
        payload = self.request.payload
        return oidc_tokens.give_code(
            session(),
            client_id=self.request.client.client_id,
            person_id=authorising.person.id,
            session_id=authorising.session_id,
            redirect_uri=payload.redirect_uri,
            scope=self.request.scope,
            nonce=payload.data.get("nonce"),
            code_challenge=payload.data["code_challenge"],
            signed_in_at=authorising.signed_in_at,
            now=clock.now(),
        )

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        """Do nothing: the operation that made the code has kept it."""

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        """Use the code up, in a transaction of its own: it is used whatever becomes of this request."""
        with transaction(sessions()) as db:
            claimed = oidc_tokens.claim_code(db, code, client_id=client.client_id, now=clock.now())
        return Code(claimed) if claimed else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Do nothing: a used code is kept, so that its second use is known."""

    def authenticate_user(self, authorization_code: Code) -> PersonCard | None:
        """Return the person, None when they may not sign in any more."""
        return person_of(authorization_code.grant)


class RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    """Renewal: each refresh token is used once and gives the next."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Refresh | None:
        """Use the token up, in a transaction of its own."""
        with transaction(sessions()) as db:
            grant = oidc_tokens.claim_refresh_token(db, refresh_token, client_id=self._client_id(), now=clock.now())
        return Refresh(grant) if grant else None

    def _client_id(self) -> str:
        return str(self.request.client.client_id)

    def authenticate_user(self, refresh_token: Refresh) -> PersonCard | None:
        """Return the person, None when they may not sign in any more."""
        return person_of(refresh_token.grant)

    def revoke_old_credential(self, refresh_token: Refresh) -> None:
        """Do nothing: the claim has used the old one up."""


class OnlyS256(CodeChallenge):  # type: ignore[misc]
    """PKCE with S256 for every client, confidential ones included; nothing else."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)
    CODE_CHALLENGE_METHODS = {"S256": compare_s256_code_challenge}  # noqa: RUF012 -- as in the base class
    DEFAULT_CODE_CHALLENGE_METHOD = "S256"

    def validate_code_challenge(self, grant: CodeGrant, redirect_uri: str) -> None:
        """Raise InvalidRequestError unless the request has a challenge and says S256."""
        data = grant.request.payload.data
        if not data.get("code_challenge") or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with the method S256 is required.")
        super().validate_code_challenge(grant, redirect_uri)

    def validate_code_verifier(self, grant: CodeGrant, result: Any) -> None:
        """Raise InvalidRequestError when the verifier is missing, InvalidGrantError when it is wrong."""
        if not grant.request.form.get("code_verifier"):
            raise InvalidRequestError("The code verifier is missing.")
        super().validate_code_verifier(grant, result)

    def get_authorization_code_challenge_method(self, authorization_code: Code) -> str:
        """Return S256: no code was given with another."""
        return "S256"


def claims_of(person: PersonCard, scope: str) -> UserInfo:
    """Return what a client may know about a person by scope."""
    asked = set(scope.split())
    claims: dict[str, Any] = {"sub": str(person.id)}
    if "profile" in asked:
        claims |= {"preferred_username": person.slug, "name": person.display_name, "locale": person.language, "zoneinfo": person.zone}
    if "email" in asked:
        claims |= {"email": person.email, "email_verified": person.is_confirmed}
    if "groups" in asked:
        claims["groups"] = sorted(role.value for role in person.roles)
    return UserInfo(claims)


class IdTokens(OpenIDCode):  # type: ignore[misc]
    """Signed id tokens, with the client's nonce."""

    def __init__(self, keys: KeyRing, issuer: str) -> None:
        super().__init__(require_nonce=False)
        self._keys, self._issuer = keys, issuer

    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        """Return that it is new: a nonce is the client's, who checks it; a code is used once here."""
        return False

    def resolve_client_private_key(self, client: Client) -> RSAKey:
        """Return the key that signs."""
        return self._keys.signing_key()

    def get_client_algorithm(self, client: Client) -> str:
        """Return the one algorithm."""
        return ALGORITHM

    def get_encode_header(self, client: Client) -> dict[str, str]:
        """Return algorithm and key."""
        return {"alg": ALGORITHM, "kid": str(self._keys.signing_key().kid)}

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        """Return who speaks to whom, and for how long."""
        now = int(clock.now().timestamp())
        return {"iss": self._issuer, "aud": [client.client_id], "iat": now, "exp": now + int(rules.ID_TOKEN_LIFE.total_seconds())}

    def generate_user_info(self, user: PersonCard, scope: str) -> UserInfo:
        """Return what the client may know."""
        return claims_of(user, scope)


class Provider(AuthorizationServer):  # type: ignore[misc]
    """The provider, with its clients and keys."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self.issuer = settings.public_url
        self.clients = clients_of(settings)
        self.keys = KeyRing(settings.oidc_key_file)
        super().__init__(app, query_client=self.clients.get, save_token=self._save_token)
        self.scopes_supported = list(SCOPES)
        self.register_token_generator("default", self._tokens)
        self.register_grant(CodeGrant, [OnlyS256(required=True), IdTokens(self.keys, self.issuer)])
        self.register_grant(RefreshGrant, [IdTokens(self.keys, self.issuer)])

    def create_oauth2_request(self, request: Any) -> OAuth2Request:
        """Return the request under the portal's own address, whatever stands in front of this process."""
        return PublicRequest(self.issuer)

    @staticmethod
    def _tokens(**asked: Any) -> dict[str, Any]:
        return {
            "token_type": "Bearer",
            "access_token": new_secret(),
            "refresh_token": new_secret(),
            "expires_in": int(rules.ACCESS_TOKEN_LIFE.total_seconds()),
            "scope": asked["scope"],
        }

    @staticmethod
    def _save_token(token: dict[str, Any], request: OAuth2Request) -> None:
        proof = request.authorization_code or request.refresh_token
        oidc_tokens.give_tokens(session(), grant_id=proof.grant.id, access_token=token["access_token"], refresh_token=token["refresh_token"], now=clock.now())


class PublicRequest(FlaskOAuth2Request):  # type: ignore[misc]
    """Flask's request as Authlib reads it."""

    def __init__(self, issuer: str) -> None:
        OAuth2Request.__init__(self, method=request.method, uri=issuer + request.full_path, headers=request.headers)
        self._request = request
        self.payload = FlaskOAuth2Payload(request)
