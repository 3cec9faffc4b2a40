"""Which limits hold for sessions on this machine: tried when the hub starts, written down for the portal.

The portal shows `limits.json` to everyone: a limit that is not enforced is said to be not enforced.
`limit` and `how` are codes that the portal translates; `detail` is the same in plain English.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from portal.hub_plugin import launch
from portal.hub_plugin.cgroups import ControlGroups
from portal.hub_plugin.processes import identify
from portal.hub_plugin.sandbox import INSIDE_UID, ProbeResult, Sandbox, command
from portal.hub_plugin.spool import write_durably

_TRIAL_PROCESSES = 24
_EXPECTED_DEVICES = {"console", "core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"}


@dataclass(frozen=True, slots=True)
class LimitInForce:
    """One limit: its code, whether it holds here, by what means, and what that means."""

    limit: str
    enforced: bool
    how: str
    detail: str


def limits_in_force(*, probe: ProbeResult | None, groups: ControlGroups | None, process_limit: str) -> list[LimitInForce]:
    """Return every limit with what was measured; `probe` is None when sessions run without a sandbox."""
    return [*_walls(probe), *_amounts(groups, process_limit), *_shared()]


def measure_process_limit(sandbox: Sandbox | None, groups: ControlGroups | None, trial: Path) -> str:
    """Return by what means the number of processes is limited here ('' for none), tried with a small limit.

    The trial starts twice as many processes as it may; the kernel's counting differs between accounts,
    control groups and user namespaces, so it is tried and not assumed.
    """
    count = 2 * _TRIAL_PROCESSES
    program = ["/bin/sh", "-c", f"sleep 0.2; i=0; while [ $i -lt {count} ]; do i=$((i+1)); sleep 1 & done 2>/dev/null; echo whole; kill $(jobs -p) 2>/dev/null"]
    argv = program if sandbox is None else command(sandbox, program)
    for how in ("control_group", "process_limit"):
        if how == "control_group" and (groups is None or "pids" not in groups.folders):
            continue
        if how == "process_limit" and sandbox is None:
            continue
        if not _starts_them_all(argv, trial, groups if how == "control_group" else None):
            return how
    return ""


def write(path: Path, limits: list[LimitInForce]) -> None:
    """Write the limits where the portal reads them, readable by others on the machine."""
    write_durably(path, json.dumps([asdict(limit) for limit in limits], indent=1).encode())
    path.chmod(0o644)


def _held(limit: str, how: str, detail: str) -> LimitInForce:
    return LimitInForce(limit=limit, enforced=True, how=how, detail=detail)


def _open(limit: str, how: str, detail: str) -> LimitInForce:
    return LimitInForce(limit=limit, enforced=False, how=how, detail=detail)


def _walls(probe: ProbeResult | None) -> list[LimitInForce]:
    def wall(limit: str, is_held: Callable[[ProbeResult], bool], detail: str) -> LimitInForce:
        if probe is None:
            return _open(limit, "none", "Sessions run without a sandbox on this machine, by its operator's choice.")
        if probe.problem:
            return _open(limit, "refused", f"The sandbox does not work here, so no session starts: {probe.problem}")
        if not is_held(probe):
            return _open(limit, "failed", "The sandbox runs, but the trial at the hub's start got through this wall.")
        return _held(limit, "sandbox", detail)

    return [
        wall(
            "filesystem",
            lambda seen: not seen.has_hidden_paths and not seen.is_root_writable,
            "A session sees its own home, its environment and the system's programs; nothing of other people, the hub or the portal.",
        ),
        wall("other_processes", lambda seen: seen.processes <= 4, "A session sees its own processes only, and none of them outlives it."),
        wall("devices", lambda seen: set(seen.devices) <= _EXPECTED_DEVICES, "A session has the devices that it was granted and no other."),
        wall("privileges", lambda seen: seen.uid == INSIDE_UID, "A session has no privilege on the machine and cannot gain one."),
    ]


def _amounts(groups: ControlGroups | None, process_limit: str) -> list[LimitInForce]:
    folders = groups.folders if groups is not None else {}
    memory = (
        _held("memory", "control_group", "The kernel holds the session to its memory.")
        if "memory" in folders
        else _held("memory", "watched", "The session's own memory is looked at every few seconds; well over its limit it is stopped.")
    )
    cpu = (
        _held("cpu", "control_group", "The kernel holds the session to its processors' time.")
        if "cpu" in folders
        else _open("cpu", "none", "Sessions run at a lower priority than the hub, but one may use an idle processor beyond its share.")
    )
    processes = {
        "control_group": _held("processes", "control_group", f"At most {launch.PROCESSES_MAX} processes and threads a session."),
        "process_limit": _held("processes", "process_limit", f"At most {launch.PROCESSES_MAX} processes and threads."),
    }.get(process_limit, _open("processes", "none", "The number of processes is not limited on this machine."))
    return [memory, cpu, processes, _held("files", "process_limit", f"At most {launch.OPEN_FILES_MAX} open files a process; no core dumps.")]


def _shared() -> list[LimitInForce]:
    return [
        _open("storage", "none", "Homes have no quota on this machine: a full disk is everyone's."),
        _open(
            "network",
            "none",
            "Sessions share the machine's network. They can reach what listens on it: the portal's pages, and the hub's and the proxy's interfaces, "
            "which refuse a call without a key. The database listens on a socket file that a session cannot see.",
        ),
        _open(
            "account",
            "superuser" if os.geteuid() == 0 else "none",
            "All sessions run under the hub's own account; the walls between them are the sandbox's."
            + (" That account is the superuser's here: run the hub under an ordinary one." if os.geteuid() == 0 else ""),
        ),
    ]


def _starts_them_all(argv: list[str], trial: Path, groups: ControlGroups | None) -> bool:
    name = f"trial-{os.getpid()}"
    log, note = trial / f"{name}.log", trial / f"{name}.note"
    process = launch.start_gated(argv, environment={"PATH": "/usr/bin:/bin"}, exit_note=note, log=log)
    try:
        if groups is not None:
            groups.create(name, memory_bytes=1 << 28, cpu_limit=1.0, processes=_TRIAL_PROCESSES)
            groups.add(name, process.popen.pid)
        top = identify(process.popen.pid)
        process.release()
        if groups is None and top is not None:
            launch.limit_processes(top, processes=_TRIAL_PROCESSES)
        process.popen.wait(timeout=20)
        return "whole" in log.read_text(encoding="utf-8", errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        process.popen.kill()
        process.popen.wait()
        return True
    finally:
        if groups is not None:
            time.sleep(0.02)
            groups.remove(name)
        for path in (log, note):
            with suppress(FileNotFoundError):
                path.unlink()
