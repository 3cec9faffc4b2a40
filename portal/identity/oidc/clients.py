"""Clients: few, ours, and from the settings."""

from dataclasses import dataclass, field

from authlib.oauth2.rfc6749 import ClientMixin

from portal.core.ids import same_secret
from portal.settings import Settings

SCOPES = ("openid", "profile", "email", "groups")


@dataclass(frozen=True)
class Client(ClientMixin):  # type: ignore[misc]
    """A confidential client with exact redirect URIs."""

    client_id: str
    secret: str = field(repr=False)
    redirect_uris: frozenset[str]
    post_logout_uris: frozenset[str]

    def get_client_id(self) -> str:
        """Return the client's id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """Return none: a request names its redirect URI."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """Return the scope when all of it is ours and `openid` is in it, else None."""
        asked = (scope or "").split()
        return " ".join(dict.fromkeys(asked)) if "openid" in asked and set(asked) <= set(SCOPES) else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Return whether the URI is registered, letter by letter."""
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        """Return whether the secret is right, in constant time."""
        return same_secret(client_secret, self.secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Return whether the client may authenticate this way: by Basic alone."""
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        """Return whether the flow is the one we have."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Return whether the client may use the grant."""
        return grant_type in {"authorization_code", "refresh_token"}


def clients_of(settings: Settings) -> dict[str, Client]:
    """Return the clients by id: the hub is the first."""
    hub = settings.hub
    jupyterhub = Client(
        client_id="jupyterhub",
        secret=hub.oidc_secret,
        redirect_uris=frozenset({hub.oidc_redirect_uri}),
        post_logout_uris=frozenset({f"{hub.public_url}/hub/", f"{hub.public_url}/hub/login"}),
    )
    return {jupyterhub.client_id: jupyterhub}
