"""cold-start: seconds until a portal worker answers, and its memory, against a bare Flask and SQLAlchemy worker."""

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from bench.machine import VAR, fetch, free_port, gunicorn, private_postgres
from tests.conftest import TEST_ENVIRONMENT

RUNS = 7


def run() -> Iterator[dict[str, Any]]:
    """Yield one line: medians of interleaved starts."""
    with private_postgres() as server:
        server.ensure_database("cold_start")
        url = server.url("cold_start")
        ours_s, ours_mb, reference_s, reference_mb = [], [], [], []
        for _ in range(RUNS):
            port = free_port()
            environment = TEST_ENVIRONMENT | {"DATABASE_URL": url, "PORTAL_VAR_DIR": str(VAR / "var"), "PORTAL_URL": f"http://127.0.0.1:{port}"}
            seconds, megabytes = _start("app:app", port, environment, "/health")
            ours_s.append(seconds)
            ours_mb.append(megabytes)
            bare = {"BENCH_DATABASE_URL": url.replace("postgresql://", "postgresql+psycopg://", 1)}
            seconds, megabytes = _start("bench.reference.pages_app:app", free_port(), bare, "/nothing")
            reference_s.append(seconds)
            reference_mb.append(megabytes)
    yield {
        "name": "cold-start",
        "ours": round(median(ours_s), 2),
        "reference": round(median(reference_s), 2),
        "ratio": round(median(ours_s) / median(reference_s), 2),
        "unit": "s until a worker answers",
        "n": RUNS,
        "ours_mb": round(median(ours_mb), 1),
        "reference_mb": round(median(reference_mb), 1),
        "memory": "resident size of one worker, shared pages counted",
    }


def _start(application: str, port: int, environment: Mapping[str, str], path: str) -> tuple[float, float]:
    started = time.monotonic()
    with gunicorn(application, port=port, environment=environment, workers=1) as process:
        fetch(port, path, {"Host": f"127.0.0.1:{port}"})
        seconds = time.monotonic() - started
        return seconds, _worker_mb(process.pid)


def _worker_mb(parent: int) -> float:
    """Return the resident megabytes of the process's youngest child."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    pages = int(Path(f"/proc/{children[-1]}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
