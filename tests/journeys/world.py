"""The real processes of `make up`, started for a journey or a benchmark in a folder of their own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class World:
    """A running portal and hub."""

    portal_url: str
    hub_url: str
    var_dir: Path
    process: subprocess.Popen[bytes]

    def pid_of(self, name: str) -> int:
        """Return the pid of one of the processes, as the supervisor wrote it down."""
        import json

        pid, _ = json.loads((self.var_dir / "processes.json").read_text())[name]
        return int(pid)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `portal` command in this world."""
        return subprocess.run([sys.executable, "-m", "portal.cli", *arguments], cwd=ROOT, env=self._environment(), capture_output=True, text=True, check=False)

    def _environment(self) -> dict[str, str]:
        """Return the environment of the portal's own process: what `make up` made."""
        raw = Path(f"/proc/{self.pid_of('portal')}/environ").read_bytes().split(b"\0")
        return {key: value for key, _, value in (item.decode().partition("=") for item in raw if item)}


def free_block(size: int = 5) -> int:
    """Return the first of `size` free ports in a row."""
    for base in range(18000, 28000, 10):
        if all(_is_free(base + offset) for offset in range(size)):
            return base
    raise RuntimeError("no free ports")


@contextmanager
def running_world(var_dir: Path, *, extra: Sequence[str] = (), timeout_s: float = 180) -> Iterator[World]:
    """Give the world of `portal up`, with the demo people; ended by Ctrl-C's signal at the end."""
    port = free_block()
    var_dir.mkdir(parents=True, exist_ok=True)
    log = (var_dir / "up.log").open("wb")
    command = [sys.executable, "-m", "portal.cli", "up", "--port", str(port), "--var", str(var_dir), *extra]
    environment = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "HUB_DATABASE_URL", "PORT"}}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        deadline = time.monotonic() + timeout_s
        while b"The portal is up" not in (var_dir / "up.log").read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("portal up did not come up:\n" + (var_dir / "up.log").read_text(errors="replace")[-3000:])
            time.sleep(0.1)
        yield World(f"http://127.0.0.1:{port}", f"http://localhost:{port + 1}", var_dir, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        log.close()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
