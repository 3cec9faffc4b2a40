"""What the hub reads from its environment, once, with a hint for every mistake (docs/hub-protocol.md)."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

_CRYPT_KEYS = r"(?:[0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=)(?:;(?:[0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=))*"
_POSTGRESQL = r"postgresql(?:\+psycopg)?://.+"


class BadSetting(ValueError):
    """A variable of the environment is missing or wrong; the message says which, and what would be right."""


class Isolation(StrEnum):
    """Whether sessions run in a sandbox."""

    SANDBOX = "sandbox"
    NONE = "none-i-accept-the-risk"


@dataclass(frozen=True, slots=True)
class HubSettings:
    """The hub's side of the protocol's table of variables."""

    portal_url: str
    hub_url: str
    hub_api_url: str
    hub_bind: str
    proxy_api_url: str
    proxy_token: str = field(repr=False)
    plugin_key: str = field(repr=False)
    service_token: str = field(repr=False)
    oidc_secret: str = field(repr=False)
    crypt_key: str = field(repr=False)
    database_url: str = field(repr=False)
    state_dir: Path
    session_environment: Path
    isolation: Isolation

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "HubSettings":
        """Read and check every variable. Raises BadSetting naming all that is wrong at once."""
        reader = _Reader(environment)
        settings = cls(
            portal_url=reader.url("PORTAL_URL", "http://127.0.0.1:8000"),
            hub_url=reader.url("HUB_URL", "http://localhost:8001"),
            hub_api_url=reader.url("HUB_API_URL", "http://127.0.0.1:8002/hub-api/v1"),
            hub_bind=reader.matching("HUB_BIND", r"[^\s/:]+:[0-9]{1,5}", "an address and a port such as 127.0.0.1:8003"),
            proxy_api_url=reader.url("PROXY_API_URL", "http://127.0.0.1:8004"),
            proxy_token=reader.secret("CONFIGPROXY_AUTH_TOKEN"),
            plugin_key=reader.secret("HUB_PLUGIN_KEY"),
            service_token=reader.secret("HUB_SERVICE_TOKEN"),
            oidc_secret=reader.secret("HUB_OIDC_SECRET"),
            crypt_key=reader.matching("JUPYTERHUB_CRYPT_KEY", _CRYPT_KEYS, "32 random bytes in hex: openssl rand -hex 32", is_secret=True),
            database_url=reader.matching("HUB_DATABASE_URL", _POSTGRESQL, "a PostgreSQL address, postgresql+psycopg://…/hub", is_secret=True),
            state_dir=Path(reader.text("HUB_STATE_DIR", "a folder for homes, spool and cookie secret, such as var/hub")).absolute(),
            session_environment=reader.environment_dir("SESSION_ENVIRONMENT"),
            isolation=reader.isolation("SESSION_ISOLATION"),
        )
        reader.check_separate_hosts(settings.portal_url, settings.hub_url)
        reader.check_state_dir(settings.state_dir, settings.session_environment)
        reader.finish()
        return settings


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._problems: list[str] = []

    def text(self, name: str, hint: str) -> str:
        value = self._environment.get(name, "").strip()
        if not value:
            self._problems.append(f"{name} is not set: it is {hint}")
        return value

    def matching(self, name: str, pattern: str, hint: str, *, is_secret: bool = False) -> str:
        value = self.text(name, hint)
        if value and not re.fullmatch(pattern, value):
            self._problems.append(f"{name} is {'not valid' if is_secret else repr(value)}: it should be {hint}")
        return value

    def secret(self, name: str) -> str:
        return self.matching(name, r"\S{32,}", "a secret of at least 32 characters: openssl rand -hex 32", is_secret=True)

    def url(self, name: str, example: str) -> str:
        value = self.text(name, f"an address such as {example}").rstrip("/")
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username):
            self._problems.append(f"{name} is {value!r}: it should be an address such as {example}")
        return value

    def environment_dir(self, name: str) -> Path:
        path = Path(self.text(name, "the folder of the single-user environment, such as .venv-singleuser")).absolute()
        if self._environment.get(name, "").strip() and not (path / "bin" / "python").exists():
            self._problems.append(f"{name} is {str(path)!r}, which has no bin/python: make it from deploy/singleuser with uv sync")
        return path

    def isolation(self, name: str) -> Isolation:
        value = self._environment.get(name, "").strip() or Isolation.SANDBOX.value
        try:
            return Isolation(value)
        except ValueError:
            self._problems.append(f"{name} is {value!r}: leave it away for a sandbox, or set {Isolation.NONE.value} to run sessions without one")
            return Isolation.SANDBOX

    def check_separate_hosts(self, portal_url: str, hub_url: str) -> None:
        if portal_url and hub_url and urlsplit(portal_url).hostname == urlsplit(hub_url).hostname:
            # Cookies ignore ports: on one host name people's notebooks could read the portal's cookies.
            self._problems.append("PORTAL_URL and HUB_URL have the same host name: give the hub one of its own, such as localhost beside 127.0.0.1")

    def check_state_dir(self, state_dir: Path, session_environment: Path) -> None:
        if state_dir.is_relative_to(session_environment) or session_environment.is_relative_to(state_dir):
            self._problems.append("HUB_STATE_DIR and SESSION_ENVIRONMENT lie inside each other: sessions would see the hub's state")

    def finish(self) -> None:
        if self._problems:
            raise BadSetting("The hub cannot start:\n- " + "\n- ".join(self._problems))
