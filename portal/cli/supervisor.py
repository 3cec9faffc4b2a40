"""A small supervisor for one machine: starts processes, restarts those that die, ends all of them on Ctrl-C.

What it started is written to a file with each process's start time, so that the next start ends what a kill −9
left behind, and never a stranger that got the same number.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

GRACE_S = 12.0
QUICK_DEATH_S = 5.0
MOST_RESTARTS = 5


@dataclass
class Child:
    """One process to keep running. `is_ready` is asked until it says yes."""

    name: str
    command: Sequence[str]
    is_ready: Callable[[], bool] = field(default=lambda: True)
    extra_environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    quick_deaths: int = 0


class ChildFailed(RuntimeError):
    """A process would not start or kept dying; the message ends with its log's last lines."""


class Supervisor:
    """Keeps children running until `stop`."""

    def __init__(self, *, environment: Mapping[str, str], log_dir: Path, pid_file: Path, cwd: Path) -> None:
        self._environment = dict(environment)
        self._log_dir = log_dir
        self._pid_file = pid_file
        self._cwd = cwd
        self.children: list[Child] = []
        log_dir.mkdir(parents=True, exist_ok=True)

    def end_leftovers(self) -> list[str]:
        """End what an earlier start left behind after a kill −9, and return the names."""
        if not self._pid_file.exists():
            return []
        ended = []
        for name, (pid, ticks) in json.loads(self._pid_file.read_text()).items():
            if start_ticks(pid) == ticks and ticks is not None:
                _end_group(pid)
                ended.append(name)
        self._pid_file.unlink(missing_ok=True)
        return ended

    def start(self, children: Sequence[Child], *, timeout_s: float = 120.0) -> None:
        """Start children side by side and wait until all are ready. Raises ChildFailed."""
        for child in children:
            self.children.append(child)
            self._spawn(child)
        deadline = time.monotonic() + timeout_s
        waiting = list(children)
        while waiting:
            for child in waiting:
                if child.process is not None and child.process.poll() is not None:
                    raise ChildFailed(self._story(child, "stopped while starting"))
                if time.monotonic() > deadline:
                    raise ChildFailed(self._story(child, f"was not ready after {timeout_s:.0f} s"))
            waiting = [child for child in waiting if not child.is_ready()]
            time.sleep(0.05)

    def watch(self) -> None:
        """Restart children that died; raise ChildFailed for one that keeps dying. Call it again and again."""
        for child in self.children:
            if child.process is None or child.process.poll() is None:
                continue
            child.quick_deaths = child.quick_deaths + 1 if time.monotonic() - child.started_at < QUICK_DEATH_S else 0
            if child.quick_deaths > MOST_RESTARTS:
                raise ChildFailed(self._story(child, "keeps stopping"))
            print(f"{child.name} stopped ({child.process.returncode}); starting it again", flush=True)
            time.sleep(0.2 * child.quick_deaths)
            self._spawn(child)

    def stop(self) -> None:
        """End all children, the last started first."""
        for child in reversed(self.children):
            if child.process is not None and child.process.poll() is None:
                _end_group(child.process.pid, child.process)
        self._pid_file.unlink(missing_ok=True)

    def _spawn(self, child: Child) -> None:
        log = (self._log_dir / f"{child.name}.log").open("ab")
        child.started_at = time.monotonic()
        child.process = subprocess.Popen(
            child.command,
            cwd=self._cwd,
            env=self._environment | dict(child.extra_environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        self._remember()

    def _remember(self) -> None:
        running = {child.name: (child.process.pid, start_ticks(child.process.pid)) for child in self.children if child.process is not None}
        waiting = self._pid_file.with_suffix(".new")
        waiting.write_text(json.dumps(running))
        waiting.replace(self._pid_file)

    def _story(self, child: Child, what: str) -> str:
        log = self._log_dir / f"{child.name}.log"
        lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        return "\n".join([f"{child.name} {what}. The last lines of {log}:", *(f"    {line}" for line in lines)])


def start_ticks(pid: int) -> int | None:
    """Return a process's start time in clock ticks since boot: with the pid it names a process for good."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None


def _end_group(pid: int, process: subprocess.Popen[bytes] | None = None) -> None:
    ticks = start_ticks(pid)
    for sign, patience_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(pid, sign)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if (process.poll() is not None) if process else (start_ticks(pid) != ticks):
                return
            time.sleep(0.05)
