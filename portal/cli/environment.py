"""The environment of `make up`: secrets made once, ports that are free, the private PostgreSQL.

Everything lies below `var/`: two checkouts never meet, and removing `var/` starts from nothing.
"""

import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from portal.core.local_postgres import LocalPostgres

ROOT = Path(__file__).resolve().parent.parent.parent
DEFAULT_PORT = 8000
OWNER = "portal_owner"
PORTS = ("portal", "proxy", "hub_api", "hub", "proxy_api", "stripe")
SECRETS = (
    "PORTAL_SECRET_KEY",
    "PORTAL_PASSWORD_SALT",
    "PORTAL_TOTP_SECRET",
    "HUB_PLUGIN_KEY",
    "HUB_OIDC_SECRET",
    "HUB_SERVICE_TOKEN",
    "CONFIGPROXY_AUTH_TOKEN",
    "STRIPE_STAND_IN_KEY",
    "STRIPE_STAND_IN_WEBHOOK",
)


class NoFreePorts(RuntimeError):
    """No block of ports is free near the wanted one."""


@dataclass(frozen=True)
class LocalEnvironment:
    """Variables for every process of one machine, and the server that holds the databases (None: DATABASE_URL)."""

    variables: Mapping[str, str]
    ports: Mapping[str, int]
    postgres: LocalPostgres | None

    @property
    def owner_variables(self) -> dict[str, str]:
        """Return what `migrate` alone knows beside them: who owns the portal's tables."""
        return {"DATABASE_OWNER_URL": self.postgres.url("portal", OWNER)} if self.postgres is not None else {}

    @property
    def portal_url(self) -> str:
        """Return the portal's address."""
        return self.variables["PORTAL_URL"]

    @property
    def hub_url(self) -> str:
        """Return the hub's public address."""
        return self.variables["HUB_URL"]


def prepare(var_dir: Path, *, wanted_port: int | None) -> LocalEnvironment:
    """Make secrets, choose ports, start PostgreSQL, and return the environment of all processes.

    Raises NoFreePorts when a port was asked for and is taken.
    """
    var_dir.mkdir(parents=True, exist_ok=True)
    kept = _kept_secrets(var_dir / "secrets" / "development.json")
    ports = _choose_ports(var_dir / "ports.json", wanted_port)
    databases, postgres = _databases(var_dir)
    variables = {
        **os.environ,
        **kept,
        **databases,
        **_payments(ports, kept),
        "PORTAL_DEVELOPMENT": os.environ.get("PORTAL_DEVELOPMENT", "1"),
        "PORTAL_VAR_DIR": str(var_dir),
        "PORTAL_URL": f"http://127.0.0.1:{ports['portal']}",
        "HUB_URL": f"http://localhost:{ports['proxy']}",
        "HUB_API_URL": f"http://127.0.0.1:{ports['hub_api']}/hub-api/v1",
        "HUB_BIND": f"127.0.0.1:{ports['hub']}",
        "HUB_REST_URL": f"http://127.0.0.1:{ports['hub']}/hub/api",
        "PROXY_API_URL": f"http://127.0.0.1:{ports['proxy_api']}",
        "HUB_STATE_DIR": str(var_dir / "hub"),
        "SESSION_ENVIRONMENT": os.environ.get("SESSION_ENVIRONMENT", str(ROOT / ".venv-singleuser")),
    }
    return LocalEnvironment(variables, ports, postgres)


def _payments(ports: Mapping[str, int], kept: Mapping[str, str]) -> dict[str, str]:
    """Return how cards are paid: by Stripe where its key is given, else by the stand-in of the tests; and who sells."""
    seller = {
        "SELLER_NAME": "Tetouan AI Hub (development)",
        "SELLER_ADDRESS": "Technopark\n93000 Tétouan, Morocco",
        "SELLER_TAX_ID": "ICE 000000000000000",
        "SELLER_BANK": "Development bank",
        "SELLER_ACCOUNT": "MA64 0000 0000 0000 0000 0000 0000",
        "SELLER_SWIFT": "DEVEMAMC",
    }
    chosen = {name: os.environ.get(name, value) for name, value in seller.items()}
    if os.environ.get("STRIPE_SECRET_KEY"):
        return chosen
    return chosen | {
        "STRIPE_SECRET_KEY": "sk_test_" + kept["STRIPE_STAND_IN_KEY"],
        "STRIPE_WEBHOOK_SECRETS": "whsec_" + kept["STRIPE_STAND_IN_WEBHOOK"],
        "STRIPE_API_BASE": f"http://127.0.0.1:{ports['stripe']}",
    }


def _kept_secrets(path: Path) -> dict[str, str]:
    """Return this checkout's secrets, made at the first start; readable by their owner alone."""
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = [name for name in SECRETS if name not in kept]
    if missing or "JUPYTERHUB_CRYPT_KEY" not in kept:
        kept |= {name: secrets.token_urlsafe(32) for name in missing}
        kept.setdefault("JUPYTERHUB_CRYPT_KEY", secrets.token_hex(32))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            json.dump(kept, handle, indent=1)
    return kept


def _choose_ports(path: Path, wanted: int | None) -> dict[str, int]:
    """Return a block of free ports: the one asked for, else the last one used, else the next free one."""
    last = json.loads(path.read_text())["portal"] if path.exists() else DEFAULT_PORT
    candidates = [wanted] if wanted else [last, *range(DEFAULT_PORT, DEFAULT_PORT + 200, 10)]
    for base in candidates:
        ports = {name: base + offset for offset, name in enumerate(PORTS)}
        if all(_is_free(port) for port in ports.values()):
            path.write_text(json.dumps(ports))
            return ports
    raise NoFreePorts(f"Ports {candidates[0]} to {candidates[0] + len(PORTS) - 1} are taken; choose others: make up PORT=9000")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _databases(var_dir: Path) -> tuple[dict[str, str], LocalPostgres | None]:
    if os.environ.get("DATABASE_URL"):
        hub = os.environ.get("HUB_DATABASE_URL") or os.environ["DATABASE_URL"].rsplit("/", 1)[0] + "/hub"
        return {"HUB_DATABASE_URL": hub}, None
    postgres = LocalPostgres(var_dir / "postgres")
    for name in ("portal", OWNER, "hub"):
        postgres.ensure_role(name)
    postgres.ensure_database("hub", owner="hub")
    if not postgres.ensure_database("portal", owner=OWNER):
        postgres.hand_over("portal", old="portal", new=OWNER)
    urls = {
        "DATABASE_URL": postgres.url("portal", "portal"),
        "HUB_DATABASE_URL": postgres.url("hub", "hub").replace("postgresql://", "postgresql+psycopg://", 1),
    }
    return urls, postgres
