"""Starting a session's processes behind a gate, so that nothing of a person runs before it is on record.

The session's top process is a small shell. It waits for one word from the hub; if the hub dies first it
ends without having started anything. Then it runs the sandbox, and when that ends it notes exit code and
second of the end: known exactly even when the hub was away. It is the sandbox's parent, so that the
sandbox outlives the hub, and the kernel ends all that is inside when shell or sandbox end.
"""

import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from portal.hub_plugin.processes import ProcessIdentity, is_alive, pid_inside, tree

_GATE = """
IFS= read -r word || exit 97
[ "$word" = go ] || exit 97
exec </dev/null
note=$1; shift
"$@"
code=$?
read -r uptime rest </proc/uptime
echo "$code $uptime" >"$note"
exit "$code"
"""
OPEN_FILES_MAX = 65_536
PROCESSES_MAX = 4_096
MAIN_PID_INSIDE = 2
NICE = 5
OOM_SCORE_ADJUST = 500


@dataclass(frozen=True, slots=True)
class GatedProcess:
    """A session's top process that waits for `release`."""

    popen: subprocess.Popen[bytes]

    def release(self) -> None:
        """Let the session begin. Raises BrokenPipeError when its top process is gone."""
        assert self.popen.stdin is not None  # noqa: S101 - opened as a pipe below
        with self.popen.stdin as gate:
            gate.write(b"go\n")

    def abandon(self) -> None:
        """End the waiting process; nothing has run."""
        if self.popen.stdin is not None and not self.popen.stdin.closed:
            with suppress(BrokenPipeError):
                self.popen.stdin.close()
        self.popen.wait(timeout=10)


def start_gated(command: Sequence[str], *, environment: Mapping[str, str], exit_note: Path, log: Path) -> GatedProcess:
    """Start the top process of a session; it does nothing before `release`.

    Its output goes to a file, never to the hub's own: a pipe would break with the hub and take the session with it.
    """
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        popen = subprocess.Popen(  # noqa: S603 - our own command
            ["/bin/sh", "-c", _GATE, "session", str(exit_note), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=dict(environment),
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(output)
    return GatedProcess(popen)


def limit(pid: int) -> None:
    """Set what any account may set for a process of its own and all that it will start."""
    _set_limit(pid, resource.RLIMIT_NOFILE, OPEN_FILES_MAX)
    _set_limit(pid, resource.RLIMIT_CORE, 0)
    with suppress(PermissionError):
        # When the machine runs out of memory, sessions go before the hub and the database.
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(OOM_SCORE_ADJUST), encoding="ascii")


def limit_processes(top: ProcessIdentity, *, processes: int = PROCESSES_MAX) -> bool:
    """Limit how many processes a sandbox may hold, once it stands; return False when it never stood.

    Not before: the kernel takes the limit of whoever makes a user namespace as a limit for all of that
    account's processes, and the first sessions would keep the later ones from starting.
    """
    for _ in range(400):
        inside = [process for process in tree(top) if pid_inside(process.pid) == MAIN_PID_INSIDE]
        if inside:
            with suppress(ProcessLookupError):
                _set_limit(inside[0].pid, resource.RLIMIT_NPROC, processes)
                return True
        if not is_alive(top):
            return False
        time.sleep(0.005)
    return False


def lower_priority(top: ProcessIdentity) -> None:
    """Put a session behind the hub and the portal; called when its server answers, so that starts are not slowed."""
    for process in tree(top):
        with suppress(ProcessLookupError, PermissionError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICE)


def _set_limit(pid: int, kind: int, wanted: int) -> None:
    _, hard = resource.prlimit(pid, kind)
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.prlimit(pid, kind, (value, value))
