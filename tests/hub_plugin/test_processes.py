"""A process is named by more than its number, and nothing else is ever signalled."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from dataclasses import replace

from portal.hub_plugin import processes
from portal.hub_plugin.processes import age_ns, boottime_ns, identify, is_alive, owns_listener, send_signal, tree, wait_for_exit
from tests.hub_plugin.running_hub import wait_for


def sleeping():
    return subprocess.Popen(["sleep", "60"])


def ended(process):
    process.kill()
    process.wait()


def test_identity_of_a_living_process_holds():
    process = sleeping()
    identity = identify(process.pid)
    assert is_alive(identity)
    assert identity == identify(process.pid)
    ended(process)
    assert not is_alive(identity)
    assert identify(process.pid) is None


def test_zombie_is_not_alive():
    process = sleeping()
    identity = identify(process.pid)
    process.kill()
    deadline = time.monotonic() + 5
    while processes.read_stat(process.pid).state != "Z" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert processes.read_stat(process.pid).state == "Z"
    assert not is_alive(identity)
    process.wait()


def test_reused_number_is_never_signalled():
    process = sleeping()
    identity = identify(process.pid)
    for other in (replace(identity, started_ticks=identity.started_ticks - 1), replace(identity, boot_id="another-boot")):
        assert not is_alive(other)
        assert send_signal(other, signal.SIGKILL) is False
    assert process.poll() is None
    assert send_signal(identity, signal.SIGKILL) is True
    assert process.wait() == -9


def test_name_with_brackets_and_spaces_is_read(tmp_path):
    program = tmp_path / "a) Z (b 1 2"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "60"])
    time.sleep(0.1)
    stat = processes.read_stat(process.pid)
    assert (stat.state, stat.parent_pid) == ("S", os.getpid())
    ended(process)


def test_age_is_the_time_since_the_start():
    before = boottime_ns()
    process = sleeping()
    after = boottime_ns()
    time.sleep(0.2)
    now = boottime_ns()
    age = age_ns(identify(process.pid), at_ns=now)
    assert now - after - 10**7 <= age <= now - before + 3 * 10**7
    ended(process)


def test_exit_is_seen_at_once_for_children_and_others():
    async def seconds_until_seen(identity):
        begin = time.monotonic()
        await asyncio.wait_for(wait_for_exit(identity), 5)
        return time.monotonic() - begin

    child = subprocess.Popen(["sleep", "0.3"])
    assert 0.1 < asyncio.run(seconds_until_seen(identify(child.pid))) < 2.0
    child.wait()
    shell = subprocess.Popen(["sh", "-c", "sleep 0.4 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    grandchild = identify(int(shell.stdout.readline()))
    assert 0.1 < asyncio.run(seconds_until_seen(grandchild)) < 2.0
    shell.wait()
    shell.stdout.close()


def test_exit_of_another_process_with_the_number_is_no_wait():
    process = sleeping()
    identity = identify(process.pid)
    asyncio.run(asyncio.wait_for(wait_for_exit(replace(identity, started_ticks=1)), 1))
    ended(process)


def test_tree_holds_all_descendants():
    process = subprocess.Popen(["sh", "-c", "sh -c 'sleep 61 & sleep 62 & wait' & wait"])
    deadline = time.monotonic() + 5
    while len(found := tree(identify(process.pid))) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(found) == 4
    assert found[0].pid == process.pid
    for member in reversed(found):
        send_signal(member, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(is_alive(member) for member in found), 5, "the end of all")


def test_listener_of_the_tree_is_told_from_anothers():
    process = subprocess.Popen(
        ["python3", "-c", "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE,
        text=True,
    )
    port = int(process.stdout.readline())
    with socket.create_server(("127.0.0.1", 0)) as mine:
        assert owns_listener(identify(process.pid), port)
        assert not owns_listener(identify(process.pid), mine.getsockname()[1])
        assert owns_listener(identify(os.getpid()), mine.getsockname()[1])
    other = sleeping()
    assert not owns_listener(identify(other.pid), port)
    ended(other)
    ended(process)
    process.stdout.close()
