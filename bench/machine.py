"""What the benchmarks share: a private database with the schema, gunicorn on a free port, closed-loop clients."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from portal.core.local_postgres import LocalPostgres

ROOT = Path(__file__).resolve().parent.parent
VAR = ROOT / "var" / "bench"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def private_postgres() -> Iterator[LocalPostgres]:
    """Give a private server with durable settings, as a deployment has them."""
    server = LocalPostgres(VAR / "postgres")
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def gunicorn(application: str, *, port: int, environment: Mapping[str, str], workers: int = 2) -> Iterator[subprocess.Popen[bytes]]:
    """Give a running gunicorn; its processes are ended at the end."""
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        application,
        "--workers",
        str(workers),
        "--bind",
        f"127.0.0.1:{port}",
        "--log-level",
        "warning",
        "--no-control-socket",
    ]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def wait_for(port: int, process: subprocess.Popen[bytes], *, timeout_s: float = 60) -> None:
    """Wait until something listens on a port."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            raise RuntimeError(f"the server stopped with {process.returncode}")
        time.sleep(0.02)
    raise TimeoutError(port)


def requests_per_second(port: int, path: str, headers: Mapping[str, str], *, seconds: float, clients: int = 4) -> float:
    """Return answers per second of closed-loop clients. Raises on any answer but 200."""
    done, failed = [0] * clients, []
    deadline = time.monotonic() + seconds

    def loop(index: int) -> None:
        while time.monotonic() < deadline and not failed:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", path, headers=dict(headers))
            answer = connection.getresponse()
            answer.read()
            connection.close()
            if answer.status != 200:
                failed.append(answer.status)
            done[index] += 1

    threads = [threading.Thread(target=loop, args=(index,)) for index in range(clients)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError(f"{path} answered {failed[0]}")
    return sum(done) / (time.monotonic() - started)


def fetch(port: int, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Return status and body of one page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers=dict(headers))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body
