"""Which process is whose, on Linux: identity, age, life, tree, and the instant of its end.

A process id alone names nothing: it is used again. An identity is the operating system's boot, the
process id and the process's start in clock ticks since that boot; two looks at one identity are looks
at one process. Nothing here ever signals a process whose identity does not hold.
"""

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_FALLBACK_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, for ever: (`boot_id`, `pid`, `started_ticks`)."""

    boot_id: str
    pid: int
    started_ticks: int


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """What /proc says of one process."""

    pid: int
    state: str
    parent_pid: int
    started_ticks: int


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return the id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def boottime_ns() -> int:
    """Return CLOCK_BOOTTIME: it counts through suspension and never follows the wall clock."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def read_stat(pid: int) -> ProcessStat | None:
    """Return what /proc says of `pid`, or None when there is no such process."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name is in brackets and may itself hold brackets and spaces: the fields begin after the last one.
    fields = raw.rpartition(b")")[2].split()
    return ProcessStat(pid=pid, state=fields[0].decode(), parent_pid=int(fields[1]), started_ticks=int(fields[19]))


def identify(pid: int) -> ProcessIdentity | None:
    """Return the identity of a living process, or None."""
    stat = read_stat(pid)
    if stat is None or stat.state in {"Z", "X"}:
        return None
    return ProcessIdentity(boot_id=boot_id(), pid=pid, started_ticks=stat.started_ticks)


def is_alive(identity: ProcessIdentity) -> bool:
    """Say whether this very process still runs; a zombie does not."""
    return identity.boot_id == boot_id() and identify(identity.pid) == identity


def age_ns(identity: ProcessIdentity, *, at_ns: int) -> int:
    """Return how long the process had existed at `at_ns` (CLOCK_BOOTTIME), to one clock tick."""
    return max(0, at_ns - identity.started_ticks * 1_000_000_000 // TICKS_PER_SECOND)


def send_signal(identity: ProcessIdentity, number: signal.Signals) -> bool:
    """Signal exactly this process; return False when it is gone or its number belongs to another."""
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    except OSError:
        # No pidfd on this kernel: a small window between look and signal remains.
        if is_alive(identity):
            with suppress(ProcessLookupError):
                os.kill(identity.pid, number)
                return True
        return False
    try:
        # The handle pins one process; only then is its identity worth reading.
        if not is_alive(identity):
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


async def wait_for_exit(identity: ProcessIdentity) -> None:
    """Return as soon as the process has ended, its child of ours or not."""
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    except OSError:
        while is_alive(identity):  # noqa: ASYNC110 - this kernel tells of no exit but of a child's
            await asyncio.sleep(_FALLBACK_POLL_S)
        return
    try:
        if not is_alive(identity):
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(handle, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(handle)
    finally:
        os.close(handle)


def tree(identity: ProcessIdentity) -> list[ProcessIdentity]:
    """Return the living process and all its descendants, parents first.

    Inside a process-id namespace orphans are handed to the namespace's first process, so this is
    every process of a session in a sandbox; outside one, detached processes are missed.
    """
    if not is_alive(identity):
        return []
    children: dict[int, list[ProcessStat]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted
        if name.isdigit() and (stat := read_stat(int(name))) is not None and stat.state not in {"Z", "X"}:
            children.setdefault(stat.parent_pid, []).append(stat)
    found = [identity]
    for parent in found:
        found += [ProcessIdentity(identity.boot_id, stat.pid, stat.started_ticks) for stat in children.get(parent.pid, [])]
    return found


def pid_inside(pid: int) -> int | None:
    """Return the number that a process has in its innermost process-id namespace, or None when gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    except (FileNotFoundError, ProcessLookupError):
        return None
    return pid


def own_memory_bytes(pid: int) -> int:
    """Return the memory that a process alone holds (resident without shared pages); 0 when gone."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_bytes().split()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def owns_listener(identity: ProcessIdentity, port: int) -> bool:
    """Say whether a process of this tree holds the socket that listens on the local TCP `port`.

    Sessions share the machine's loopback: without this look, another person's process could take the
    port first and be handed this person's requests.
    """
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not sockets:
        return False
    for process in tree(identity):
        folder = f"/proc/{process.pid}/fd"
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            for name in os.listdir(folder):  # noqa: PTH208 - names are all that is wanted
                with suppress(FileNotFoundError, ProcessLookupError):
                    if os.readlink(f"{folder}/{name}") in sockets:  # noqa: PTH115 - a link to a socket is no path
                        return True
    return False


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(FileNotFoundError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(fields[9])
    return inodes
