"""What code inside a session can and cannot reach. Each wall is tried with something that could leak."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hub_plugin.fake_portal import grant
from tests.hub_plugin.running_hub import wait_for
from tests.hub_plugin.witness import Witness, observed_seconds, processes_with

pytestmark = pytest.mark.hub


@pytest.fixture(scope="module")
def session(shared_hub):
    hub = shared_hub
    for username, server in (("u-1", "s-1"), ("u-2", "s-2")):
        hub.make_user(username)
        answer = grant(f"wall-{username}", home=username, environment={"AIHUB_SESSION": f"wall-{username}", "AIHUB_TOKEN": f"private-to-{username}"})
        assert hub.launch(username, server, hub.portal.issue(username, server, answer)).status_code == 201
    (hub.state / "homes/u-2/zellige-thesis.txt").write_text("somebody else's thesis")
    return hub


def inside(hub, source):
    return hub.run_inside("wall-u-1", source)


def attempt(hub, expression):
    """Return what an expression gives inside the session, or the name of the error."""
    return inside(hub, f"import os, pathlib, glob\ntry:\n    print({expression})\nexcept Exception as error:\n    print(type(error).__name__)").strip()


def test_own_home_is_there_and_writable(session):
    assert attempt(session, "pathlib.Path('~/note').expanduser().write_text('kept')") == "4"
    assert (session.state / "homes/u-1/note").read_text() == "kept"


def test_other_homes_state_and_spool_are_not_there(session):
    state = session.state
    for path in (state, state / "homes/u-2/zellige-thesis.txt", state / "spool", state / "sessions", state / "cookie_secret", session.config, "/home/u-2"):
        assert attempt(session, f"os.stat({str(path)!r})") == "FileNotFoundError", path
    assert (state / "homes/u-2/zellige-thesis.txt").exists()
    assert (state / "cookie_secret").exists()
    assert "u-2" not in attempt(session, "os.listdir('/home')")
    assert "zellige-thesis" not in attempt(
        session, "[name for folder in os.walk('/') if not folder[0].startswith(('/proc', '/usr')) for name in folder[2] if name.startswith('zellige')]"
    )


def test_portal_files_database_socket_and_password_file_are_not_there(session, postgres):
    import portal

    socket_folder = postgres.url("postgres").partition("host=")[2]
    assert socket_folder
    for path in (portal.__file__, socket_folder, "/etc/shadow", "/etc/sudoers", "/root/.ssh", "/run", "/var", "/sys", "/boot"):
        assert attempt(session, f"os.stat({str(path)!r})") == "FileNotFoundError", path
    assert attempt(session, "[line for line in open('/etc/passwd') if 'root' in line]") == "[]"


def test_database_socket_is_out_of_reach(session, postgres):
    folder = postgres.url("postgres").partition("host=")[2]
    source = f"import socket\ns = socket.socket(socket.AF_UNIX)\ntry:\n    s.connect({folder + '/.s.PGSQL.5432'!r}); print('connected')\nexcept OSError as error:\n    print(type(error).__name__)"
    assert inside(session, source).strip() == "FileNotFoundError"


def test_other_processes_are_not_there(session):
    assert json.loads(attempt(session, "sorted(int(name) for name in os.listdir('/proc') if name.isdigit())")) == [1, 2]
    assert "private-to-u-2" not in attempt(session, "[open(path, 'rb').read() for path in glob.glob('/proc/[0-9]*/environ')]")
    assert processes_with("private-to-u-2")
    other = session.record("wall-u-2").process.pid
    assert attempt(session, f"os.kill({other}, 0)") == "ProcessLookupError"


def test_environment_holds_no_secret_of_the_hub(session):
    shown = attempt(session, "dict(os.environ)")
    for name, secret in session.environment.items():
        if name in {"CONFIGPROXY_AUTH_TOKEN", "HUB_PLUGIN_KEY", "HUB_SERVICE_TOKEN", "HUB_OIDC_SECRET", "HUB_DATABASE_URL", "JUPYTERHUB_CRYPT_KEY"}:
            assert secret not in shown, name
            assert name not in shown
    assert "private-to-u-1" in shown
    assert str(session.state) not in shown


def test_token_is_in_no_command_line(session):
    token = inside(session, "import os; print(os.environ['JUPYTERHUB_API_TOKEN'])").strip()
    assert len(token) > 20
    for pid in processes_with("AIHUB_SESSION=wall-u-1"):
        assert token.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_devices_are_the_granted_ones_alone(session):
    shown = attempt(session, "sorted(os.listdir('/dev'))")
    for name in ("sda", "vda", "mem", "kmsg", "nvidia0", "kvm", "fuse"):
        assert f"'{name}'" not in shown
    assert "'null'" in shown
    assert attempt(session, "os.mknod('/tmp/disk', 0o660 | 0o060000, os.makedev(8, 0))") == "PermissionError"


def test_system_and_environment_are_read_only(session):
    import sys

    for path in ("/usr/made", "/etc/made", "/made", f"{session.environment['SESSION_ENVIRONMENT']}/made", f"{sys.base_prefix}/made"):
        assert attempt(session, f"open({path!r}, 'w')") in {"OSError", "PermissionError"}, path


def test_no_privilege_and_no_way_to_one(session):
    assert attempt(session, "(os.getuid(), os.getgid())") == "(1000, 1000)"
    status = attempt(session, "[line.split()[1] for line in open('/proc/self/status') if line.startswith(('CapEff', 'CapBnd', 'NoNewPrivs'))]")
    assert status == "['0000000000000000', '0000000000000000', '1']"
    assert attempt(session, "os.unshare(0x10000000)") in {"OSError", "AttributeError"} or "OSError" in inside(
        session, "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nprint(libc.unshare(0x10000000), 'OSError' if ctypes.get_errno() else '')"
    )


def test_no_file_of_the_hub_is_left_open_inside(session):
    shown = attempt(session, "{name: os.readlink('/proc/self/fd/' + name) for name in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + name)}")
    assert ".exit" not in shown
    assert "spool" not in shown
    assert "/proc/1/fd" not in shown


def test_session_may_report_its_activity(session):
    log = session.state / "logs/wall-u-1.1.log"
    wait_for(lambda: "activity" in log.read_text(), what="the report")
    assert "activity reported" in log.read_text()


def test_stop_leaves_no_detached_child(hub):
    hub.make_user("u-1")
    assert hub.launch("u-1", "s-1", hub.portal.issue("u-1", "s-1", grant("detached"))).status_code == 201
    hub.run_inside(
        "detached",
        "import subprocess, sys\nsubprocess.Popen(['setsid', 'sh', '-c', 'trap \"\" TERM INT HUP; (sleep 86401 &) ; sleep 86401'], "
        "stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)",
    )
    wait_for(lambda: len(processes_with("sleep\x0086401")) >= 2, what="the detached children")

    assert hub.end("u-1", "s-1").status_code == 204

    assert processes_with("sleep\x0086401") == []
    assert processes_with("AIHUB_SESSION=detached") == []


def test_server_that_ends_by_itself_takes_its_children_along_and_is_seen_at_once(hub):
    hub.make_user("u-1")
    with Witness("AIHUB_SESSION=by-itself") as witness:
        assert hub.launch("u-1", "s-1", hub.portal.issue("u-1", "s-1", grant("by-itself"))).status_code == 201
        hub.run_inside("by-itself", "import subprocess\nsubprocess.Popen(['setsid', 'sleep', '86402'], start_new_session=True)")
        time.sleep(1.2)
        hub.run_inside("by-itself", "import os, threading; threading.Timer(0.2, os._exit, [5]).start()")
        wait_for(lambda: not hub.is_ready("u-1", "s-1"), 10, "the hub's notice")
        exited = wait_for(lambda: hub.portal.of("by-itself", "exited"), what="the end's observation")

    assert exited[0]["exit_code"] == 5
    assert processes_with("sleep\x0086402") == []
    assert abs(observed_seconds(hub.portal.of("by-itself")) - witness.seconds) < 1.0


def test_stubborn_server_is_killed_and_its_seconds_are_exact(make_hub):
    hub = make_hub(patience_s=1.0)
    hub.make_user("u-1")
    with Witness("AIHUB_SESSION=stubborn") as witness:
        assert hub.launch("u-1", "s-1", hub.portal.issue("u-1", "s-1", grant("stubborn"))).status_code == 201
        # Python sets signal handlers in its main thread alone, so the C library ignores SIGTERM for it.
        hub.run_inside("stubborn", "import ctypes\nctypes.CDLL(None).signal(15, ctypes.c_void_p(1))")
        time.sleep(1)
        assert hub.end("u-1", "s-1").status_code == 204
    observations = hub.portal.of("stubborn")
    wait_for(lambda: hub.portal.of("stubborn", "exited"), what="the end's observation")

    assert hub.portal.of("stubborn", "exited")[0]["exit_code"] == -9
    assert abs(observed_seconds(hub.portal.of("stubborn")) - witness.seconds) < 1.0, observations
    assert processes_with("AIHUB_SESSION=stubborn") == []


def test_memory_beyond_the_limit_is_refused(hub):
    hub.make_user("u-1")
    assert hub.launch("u-1", "s-1", hub.portal.issue("u-1", "s-1", grant("memory", memory_limit_bytes=256 << 20))).status_code == 201
    limits = {limit["limit"]: limit for limit in json.loads((hub.state / "limits.json").read_text())}
    hub.run_inside(
        "memory",
        "import subprocess, sys, os\nsubprocess.Popen([sys.executable, '-c', 'x = bytearray(600 << 20); open(\"/home/u-1/had\", \"w\"); import time; time.sleep(60)'])",
    )

    if limits["memory"]["how"] == "control_group":
        wait_for(lambda: len(processes_with("bytearray(600")) == 0, 20, "the kernel's refusal")
        assert not (hub.state / "homes/u-1/had").exists()
        assert hub.is_ready("u-1", "s-1"), "the session itself lives on"
    else:
        wait_for(lambda: hub.portal.of("memory", "exited"), 30, "the stop of a session over its memory")
    hub.end("u-1", "s-1")


def test_session_without_a_sandbox_runs_only_on_the_operators_word_and_says_so(make_hub):
    hub = make_hub(variables={"SESSION_ISOLATION": "none-i-accept-the-risk"})
    hub.make_user("u-1")
    assert hub.launch("u-1", "s-1", hub.portal.issue("u-1", "s-1", grant("open"))).status_code == 201
    limits = {limit["limit"]: limit for limit in json.loads((hub.state / "limits.json").read_text())}

    assert not any(limits[name]["enforced"] for name in ("filesystem", "other_processes", "devices", "privileges"))
    assert hub.run_inside("open", "import os; print(os.path.expanduser('~'))").strip() == str(hub.state / "homes/u-1")
    assert hub.end("u-1", "s-1").status_code == 204
    assert processes_with("AIHUB_SESSION=open") == []


def test_ten_starts_at_once(hub):
    hub.make_user("u-1")
    tickets = {f"s-{number}": hub.portal.issue("u-1", f"s-{number}", grant(f"many-{number}")) for number in range(10)}
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda item: hub.launch("u-1", *item), tickets.items()))

    assert {answer.status_code for answer in answers} <= {201, 202}
    wait_for(lambda: sum(server["ready"] for server in hub.servers("u-1").values()) == 10, 30, "all ten")
    assert len({hub.record(f"many-{number}").port for number in range(10)}) == 10
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda server: hub.end("u-1", server), tickets))
    wait_for(lambda: all(hub.portal.of(f"many-{number}", "exited") for number in range(10)), 20, "the observations of all ten ends")
    assert not any(processes_with(f"AIHUB_SESSION=many-{number}") for number in range(10))
