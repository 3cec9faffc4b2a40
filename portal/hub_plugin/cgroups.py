"""Control groups for sessions, where the hub may make them: memory, processor time, number of processes.

Version 1: the hub's account may write below its own group of each controller. Version 2: the hub's
group was delegated to it and holds nothing but the hub, which then steps aside into a leaf. Anything
else is no control group at all, and `limits.py` says so.
"""

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CONTROLLERS = ("memory", "cpu", "pids")
_PERIOD_US = 100_000


@dataclass(frozen=True, slots=True)
class ControlGroups:
    """Where sessions' groups are made: one folder for each controller that may be used."""

    version: int
    folders: Mapping[str, Path]

    def create(self, name: str, *, memory_bytes: int, cpu_limit: float, processes: int) -> None:
        """Make the groups of one session and set their limits. Raises OSError."""
        for controller, base in self.folders.items():
            group = base / name
            group.mkdir(exist_ok=True)
            for file, value in self._limits(controller, memory_bytes=memory_bytes, cpu_limit=cpu_limit, processes=processes):
                if (group / file).exists() or not _is_optional(file):
                    (group / file).write_text(value, encoding="ascii")

    def add(self, name: str, pid: int) -> None:
        """Move a process, and with it all that it will start, into a session's groups. Raises OSError."""
        for base in dict.fromkeys(self.folders.values()):
            (base / name / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def processes(self, name: str) -> list[int]:
        """Return the process ids in a session's groups."""
        found: set[int] = set()
        for base in dict.fromkeys(self.folders.values()):
            with suppress(OSError):
                found.update(int(pid) for pid in (base / name / "cgroup.procs").read_text(encoding="ascii").split())
        return sorted(found)

    def remove(self, name: str) -> None:
        """Remove a session's groups; the kernel needs a moment after the last process."""
        for base in dict.fromkeys(self.folders.values()):
            for _ in range(20):
                try:
                    (base / name).rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)

    def is_over_memory(self, name: str) -> bool:
        """Say whether the kernel ended something in this session for want of memory."""
        base = self.folders.get("memory")
        if base is None:
            return False
        for file in ("memory.events", "memory.oom_control"):
            with suppress(OSError):
                for line in (base / name / file).read_text(encoding="ascii").splitlines():
                    key, _, value = line.partition(" ")
                    if key == "oom_kill":
                        return int(value) > 0
        return False

    def _limits(self, controller: str, *, memory_bytes: int, cpu_limit: float, processes: int) -> list[tuple[str, str]]:
        quota_us = max(1000, int(cpu_limit * _PERIOD_US))
        if self.version == 2:
            return {
                "memory": [("memory.max", str(memory_bytes)), ("memory.swap.max", "0")],
                "cpu": [("cpu.max", f"{quota_us} {_PERIOD_US}")],
                "pids": [("pids.max", str(processes))],
            }[controller]
        return {
            "memory": [("memory.limit_in_bytes", str(memory_bytes)), ("memory.memsw.limit_in_bytes", str(memory_bytes))],
            "cpu": [("cpu.cfs_period_us", str(_PERIOD_US)), ("cpu.cfs_quota_us", str(quota_us))],
            "pids": [("pids.max", str(processes))],
        }[controller]


def _is_optional(file: str) -> bool:
    return file in {"memory.memsw.limit_in_bytes", "memory.swap.max"}


def detect(state_dir: Path, *, proc: Path = Path("/proc")) -> ControlGroups | None:
    """Return the control groups that this process may make, tried by making one, or None."""
    name = f"aihub-{hashlib.sha256(str(state_dir).encode()).hexdigest()[:8]}"
    own = _own_groups(proc)
    mounts = _mounts(proc)
    usable: dict[str, Path] = {}
    for controller in CONTROLLERS:
        if controller in mounts and controller in own:
            base = _below(mounts[controller], own[controller]) / name
            if _is_usable(base):
                usable[controller] = base
    if usable:
        return ControlGroups(version=1, folders=usable)
    if "" in mounts and "" in own:
        folders = _version_two(_below(mounts[""], own[""]))
        if folders:
            return ControlGroups(version=2, folders=folders)
    return None


def _own_groups(proc: Path) -> dict[str, str]:
    groups: dict[str, str] = {}
    with suppress(OSError):
        for line in (proc / "self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _mounts(proc: Path) -> dict[str, tuple[Path, str]]:
    """Return, by controller ('' is version 2), where it is mounted and which group is that mount's root."""
    mounts: dict[str, tuple[Path, str]] = {}
    with suppress(OSError):
        for line in (proc / "self/mountinfo").read_text(encoding="utf-8").splitlines():
            before, _, after = line.partition(" - ")
            fields, (kind, _, options) = before.split(), after.split(" ", 2)
            if kind == "cgroup2":
                mounts[""] = (Path(fields[4]), fields[3])
            elif kind == "cgroup":
                mounts.update(dict.fromkeys(options.split(","), (Path(fields[4]), fields[3])))
    return mounts


def _below(mount: tuple[Path, str], group: str) -> Path:
    point, root = mount
    inner = group.removeprefix(root.rstrip("/")) if root != "/" else group
    return point / inner.lstrip("/")


def _is_usable(base: Path) -> bool:
    try:
        base.mkdir(exist_ok=True)
        trial = base / f"trial-{os.getpid()}"
        trial.mkdir()
        trial.rmdir()
    except OSError:
        return False
    return True


def _version_two(base: Path) -> dict[str, Path]:
    """Return the folders for sessions below a delegated group, or nothing when it is shared or not ours."""
    try:
        if base.name == "hub" and (base.parent / "cgroup.subtree_control").exists():
            base = base.parent
        elif (base / "cgroup.procs").read_text(encoding="ascii").split() == [str(os.getpid())]:
            (base / "hub").mkdir(exist_ok=True)
            (base / "hub/cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        else:
            return {}
        available = [name for name in CONTROLLERS if name in (base / "cgroup.controllers").read_text(encoding="ascii").split()]
        (base / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in available), encoding="ascii")
    except OSError:
        return {}
    return dict.fromkeys(available, base) if available and _is_usable(base) else {}
