"""Settings: frozen dataclasses, read once from the environment. A bad value fails with a hint.

`make up` writes a complete environment (portal/cli/up.py); a real deployment sets it (docs/operating.md).
"""

import os
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

LANGUAGES = ("en", "fr", "ar")
TIME_ZONE = "Africa/Casablanca"

# Zones come from the `tzdata` wheel of the lock file, not from the machine: Morocco changes its rules, machines are
# old, and two processes must never disagree about the hour on a page.
zoneinfo.reset_tzpath(to=())


class BadSetting(ValueError):
    """A variable of the environment is missing or wrong; the message says which, and what would be right."""


@dataclass(frozen=True)
class HubSettings:
    """How the portal and the hub reach each other (docs/hub-protocol.md)."""

    public_url: str
    rest_url: str
    service_token: str = field(repr=False)
    plugin_key: str = field(repr=False)
    oidc_secret: str = field(repr=False)
    state_dir: Path

    @property
    def oidc_redirect_uri(self) -> str:
        """Return the one redirect URI that the hub may use."""
        return f"{self.public_url}/hub/oauth_callback"


@dataclass(frozen=True)
class MailSettings:
    """Where mail goes: SMTP, or files in a folder that a development page shows."""

    sender: str
    smtp_url: str | None = field(repr=False)
    outbox_dir: Path


@dataclass(frozen=True)
class StripeSettings:
    """How cards are paid. api_base: a stand-in's address in development, None for Stripe itself."""

    secret_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    api_base: str | None = None
    timeout_s: float = 20

    @property
    def is_live(self) -> bool:
        """Return whether real money moves: Stripe's keys say so."""
        return self.secret_key.startswith(("sk_live_", "rk_live_"))


@dataclass(frozen=True)
class Seller:
    """Who sells credits, as invoices name them, and where bank transfers go."""

    name: str
    address: str
    tax_id: str
    bank: str
    account: str
    swift: str


@dataclass(frozen=True)
class Settings:
    """Everything that differs between deployments."""

    is_development: bool
    public_url: str
    database_url: str = field(repr=False)
    database_owner_url: str | None = field(repr=False)
    secret_key: str = field(repr=False)
    password_salt: str = field(repr=False)
    totp_secret: str = field(repr=False)
    oidc_key_file: Path
    var_dir: Path
    courses_dir: Path
    hub: HubSettings
    mail: MailSettings
    seller: Seller
    stripe: StripeSettings | None = None
    is_behind_proxy: bool = False
    idle_grace_s: int = 900

    @property
    def public_host(self) -> str:
        """Return the one host name, with port, that the portal answers to."""
        return urlsplit(self.public_url).netloc

    @property
    def database_role(self) -> str:
        """Return the name of the role that the portal connects as."""
        role = make_url(self.database_url).username
        if role is None:
            message = "DATABASE_URL names no role; give one, so that the database's owner knows whom to give the portal's privileges"
            raise BadSetting(message)
        return role

    @property
    def is_https(self) -> bool:
        """Return whether people reach the portal over TLS: cookies are then Secure."""
        return self.public_url.startswith("https://")


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. Raises BadSetting, with a hint."""
    env = os.environ if environment is None else environment
    root = Path(__file__).resolve().parent.parent
    var_dir = Path(env.get("PORTAL_VAR_DIR", str(root / "var")))
    public_url = _url(env, "PORTAL_URL")
    hub_url = _url(env, "HUB_URL")
    if urlsplit(public_url).hostname == urlsplit(hub_url).hostname:
        message = "PORTAL_URL and HUB_URL share a host name; cookies ignore ports, so give the hub a host name of its own"
        raise BadSetting(message)
    return Settings(
        is_development=_flag(env, "PORTAL_DEVELOPMENT"),
        public_url=public_url,
        database_url=_database_url(env, "DATABASE_URL"),
        database_owner_url=_database_url(env, "DATABASE_OWNER_URL") if env.get("DATABASE_OWNER_URL", "").strip() else None,
        secret_key=_secret(env, "PORTAL_SECRET_KEY"),
        password_salt=_secret(env, "PORTAL_PASSWORD_SALT"),
        totp_secret=_secret(env, "PORTAL_TOTP_SECRET"),
        oidc_key_file=Path(env.get("PORTAL_OIDC_KEY_FILE", str(var_dir / "secrets" / "oidc-key.json"))),
        var_dir=var_dir,
        courses_dir=Path(env.get("PORTAL_COURSES_DIR", str(root / "courses"))),
        hub=HubSettings(
            public_url=hub_url,
            rest_url=_url(env, "HUB_REST_URL"),
            service_token=env.get("HUB_SERVICE_TOKEN", ""),
            plugin_key=_secret(env, "HUB_PLUGIN_KEY"),
            oidc_secret=_secret(env, "HUB_OIDC_SECRET"),
            state_dir=Path(env.get("HUB_STATE_DIR", str(var_dir / "hub"))),
        ),
        mail=MailSettings(
            sender=env.get("MAIL_SENDER", "Tetouan AI Hub <no-reply@localhost>"),
            smtp_url=env.get("SMTP_URL") or None,
            outbox_dir=Path(env.get("MAIL_OUTBOX_DIR", str(var_dir / "outbox"))),
        ),
        seller=Seller(
            name=env.get("SELLER_NAME", "Tetouan AI Hub"),
            address=env.get("SELLER_ADDRESS", "Technopark\n93000 Tétouan, Morocco"),
            tax_id=env.get("SELLER_TAX_ID", ""),
            bank=env.get("SELLER_BANK", ""),
            account=env.get("SELLER_ACCOUNT", ""),
            swift=env.get("SELLER_SWIFT", ""),
        ),
        stripe=_stripe(env),
        is_behind_proxy=_flag(env, "PORTAL_BEHIND_PROXY"),
        idle_grace_s=_minutes(env, "IDLE_GRACE_MINUTES", 15) * 60,
    )


def _required(env: Mapping[str, str], name: str, hint: str) -> str:
    value = env.get(name, "").strip()
    if not value:
        message = f"{name} is not set. {hint}"
        raise BadSetting(message)
    return value


def _url(env: Mapping[str, str], name: str) -> str:
    value = _required(env, name, "Give the address with scheme and host, for example https://portal.example.org").rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"{name} is {value!r}; it must begin with http:// or https:// and name a host"
        raise BadSetting(message)
    return value


def _secret(env: Mapping[str, str], name: str) -> str:
    value = _required(env, name, "Set at least 32 random characters: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'")
    if len(value) < 32:
        message = f"{name} has {len(value)} characters; give at least 32 random ones"
        raise BadSetting(message)
    return value


def _database_url(env: Mapping[str, str], name: str) -> str:
    value = _required(env, name, "Give a PostgreSQL 15 (or newer) address: postgresql://user:password@host/portal")
    if not make_url(value).drivername.startswith("postgres"):
        message = f"{name} must be PostgreSQL: the portal keeps its invariants in the database and runs on nothing else"
        raise BadSetting(message)
    return value


def _stripe(env: Mapping[str, str]) -> StripeSettings | None:
    key = env.get("STRIPE_SECRET_KEY", "").strip()
    if not key:
        return None
    if not key.startswith(("sk_test_", "sk_live_", "rk_test_", "rk_live_")):
        message = "STRIPE_SECRET_KEY must begin with sk_test_, sk_live_, rk_test_ or rk_live_"
        raise BadSetting(message)
    secrets = tuple(_required(env, "STRIPE_WEBHOOK_SECRETS", "Give the endpoint's signing secret (whsec_…), two with a comma while they rotate").split(","))
    base = env.get("STRIPE_API_BASE", "").strip() or None
    if base is not None and "_live_" in key:
        message = "STRIPE_API_BASE points a live key at a stand-in; take one of them away"
        raise BadSetting(message)
    return StripeSettings(key, secrets, base)


def _minutes(env: Mapping[str, str], name: str, usual: int) -> int:
    value = env.get(name, str(usual))
    if not (value.isascii() and value.isdecimal() and int(value) <= 24 * 60):
        message = f"{name} is {value!r}; give whole minutes, at most a day"
        raise BadSetting(message)
    return int(value)


def _flag(env: Mapping[str, str], name: str) -> bool:
    value = env.get(name, "0")
    if value not in {"0", "1"}:
        message = f"{name} is {value!r}; it must be 0 or 1"
        raise BadSetting(message)
    return value == "1"
