# Runs inside a session: tries what a curious person would, and reports every success. Stands alone on purpose.
import os
import pathlib
import socket
import subprocess


def report(targets, hidden_pids):
    reached = []
    for name, path in targets.items():
        try:
            found = os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(64)
            reached.append(f"{name}: {found!r}"[:200])
        except OSError:
            pass
    for home in pathlib.Path("/home").iterdir():
        if home != pathlib.Path.home():
            reached.append(f"a home beside ours: {home}")
    for path in ("/etc/shadow", "/root", "/var/lib", "/proc/1/environ"):
        try:
            pathlib.Path(path).read_bytes() if not os.path.isdir(path) else os.listdir(path)
            if path == "/proc/1/environ" or os.path.isdir(path):
                continue
            reached.append(path)
        except OSError:
            pass
    reached += [f"variable {name}" for name in os.environ if any(word in name for word in ("SECRET", "PLUGIN_KEY", "SERVICE_TOKEN", "DATABASE_URL", "CRYPT"))]
    commands = [
        pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        for pid in os.listdir("/proc")
        if pid.isdigit() and os.path.exists(f"/proc/{pid}/cmdline")
    ]
    reached += [
        f"process {command[:80]!r}"
        for command in commands
        if any(word in command for word in ("gunicorn", "postgres", "portal.cli", "configurable-http-proxy"))
    ]
    for pid in hidden_pids:
        try:
            os.kill(pid, 0)
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"portal" in command or b"gunicorn" in command:
                reached.append(f"process {pid}")
        except OSError:
            pass
    for path in list(pathlib.Path("/tmp").rglob(".s.PGSQL*")) + list(pathlib.Path("/run").rglob(".s.PGSQL*")):
        reached.append(f"socket {path}")
    try:
        with socket.create_connection(("127.0.0.1", 5432), 1):
            reached.append("a database port")
    except OSError:
        pass
    for command in (["sudo", "-n", "true"], ["su", "-c", "true"], ["mount", "-t", "tmpfs", "none", "/mnt"]):
        try:
            if subprocess.run(command, capture_output=True, timeout=5, stdin=subprocess.DEVNULL).returncode == 0:
                reached.append(" ".join(command))
        except (OSError, subprocess.TimeoutExpired):
            pass
    return "; ".join(reached) if reached else "reached nothing"
