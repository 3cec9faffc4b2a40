"""Everything in the hub's configuration that is no choice of a deployment: `configure_hub(c)`.

`jupyterhub_config.py` makes its choices first and ends in this call; what it has set is not overruled,
except where the portal's accounting or the walls between people depend on it.
"""

from pathlib import Path
from typing import Any

from portal.hub_plugin.settings import HubSettings
from portal.hub_plugin.sign_in import PortalAuthenticator
from portal.hub_plugin.spawner import SessionSpawner
from portal.hub_plugin.tickets import redeem_before_spawn

HERE = Path(__file__).parent
USER_SCOPES = ["access:servers!user", "read:servers!user", "delete:servers!user", "read:users!user", "read:tokens!user", "users:activity!user"]
PORTAL_SCOPES = ["list:users", "read:users", "read:servers", "start:servers", "delete:servers", "read:users:activity", "admin:users"]


def configure_hub(c: Any, settings: HubSettings | None = None) -> None:
    """Complete the hub's configuration from the environment. Raises BadSetting."""
    settings = settings or HubSettings.from_environment()
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    _addresses(c, settings)
    _sign_in(c, settings)
    _permissions(c, settings)
    _servers(c)
    _pages(c, settings)


def _addresses(c: Any, settings: HubSettings) -> None:
    hub = c.JupyterHub
    hub.bind_url = settings.hub_url
    hub.public_url = settings.hub_url
    hub.hub_bind_url = f"http://{settings.hub_bind}"
    hub.db_url = settings.database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    hub.cookie_secret_file = str(settings.state_dir / "cookie_secret")
    # Open notebooks live through a restart of the hub only if neither servers nor proxy end with it.
    hub.cleanup_servers = False
    hub.cleanup_proxy = False
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.api_url = settings.proxy_api_url
    c.ConfigurableHTTPProxy.auth_token = settings.proxy_token
    c.ConfigurableHTTPProxy.pid_file = str(settings.state_dir / "proxy.pid")


def _sign_in(c: Any, settings: HubSettings) -> None:
    c.JupyterHub.authenticator_class = PortalAuthenticator
    c.CryptKeeper.keys = settings.crypt_key.split(";")
    portal = c.PortalAuthenticator
    portal.client_id = "jupyterhub"
    portal.client_secret = settings.oidc_secret
    portal.authorize_url = f"{settings.portal_url}/oauth/authorize"
    portal.token_url = f"{settings.portal_url}/oauth/token"
    portal.userdata_url = f"{settings.portal_url}/oauth/userinfo"
    portal.oauth_callback_url = f"{settings.hub_url}/hub/oauth_callback"
    portal.logout_redirect_url = f"{settings.portal_url}/oauth/end-session"
    portal.scope = ["openid", "profile", "groups"]
    portal.username_claim = "preferred_username"
    portal.enable_pkce = True
    portal.basic_auth = True
    portal.auto_login = True
    portal.allow_all = True
    portal.enable_auth_state = True
    portal.manage_groups = True
    portal.auth_state_groups_key = "oauth_user.groups"
    # Whether a person may start is the portal's to say when it redeems the ticket; who starts a server is the worker, not the person.
    portal.refresh_pre_spawn = False
    c.JupyterHub.shutdown_on_logout = False


def _permissions(c: Any, settings: HubSettings) -> None:
    # People do not hold `start:servers`: with the ticket these are two locks on every start.
    c.JupyterHub.load_roles = [
        *c.JupyterHub.get("load_roles", []),
        {"name": "user", "description": "A person: uses and ends the own servers, starts none", "scopes": USER_SCOPES},
        {"name": "portal", "description": "The portal's worker", "scopes": PORTAL_SCOPES, "services": ["portal"]},
    ]
    c.JupyterHub.services = [*c.JupyterHub.get("services", []), {"name": "portal", "api_token": settings.service_token}]


def _servers(c: Any) -> None:
    c.JupyterHub.spawner_class = SessionSpawner
    c.JupyterHub.allow_named_servers = True
    c.JupyterHub.redirect_to_server = False
    c.JupyterHub.implicit_spawn_seconds = 0
    c.Spawner.pre_spawn_hook = redeem_before_spawn
    # A refused start is no failure of the hub's, and no number of them may end it.
    c.Spawner.consecutive_failure_limit = 0
    # Forms and queries on the hub's pages say nothing that counts; a ticket comes in the portal's call alone.
    c.Spawner.options_from_form = _no_options
    c.Spawner.apply_user_options = _ignore_options


def _no_options(_form: Any) -> dict[str, Any]:
    return {}


def _ignore_options(_spawner: Any, _options: Any) -> None:
    return None


def _pages(c: Any, settings: HubSettings) -> None:
    hub = c.JupyterHub
    hub.template_paths = [*hub.get("template_paths", []), str(HERE / "templates")]
    hub.template_vars = {**hub.get("template_vars", {}), "portal_url": settings.portal_url}
    hub.logo_file = str(HERE / "static" / "logo.svg")
    hub.default_url = "/hub/home"
    hub.cookie_host_prefix_enabled = settings.hub_url.startswith("https:")
    hub.tornado_settings = {
        **hub.get("tornado_settings", {}),
        "headers": {
            "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'self'; object-src 'none'; report-uri /hub/security/csp-report",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        },
    }
