"""The spool loses nothing that was counted, whatever the moment at which the machine stops."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from portal.hub_plugin.spool import Spool, SpoolDamaged, SpoolInUse


def reopened(spool):
    directory = spool._directory
    spool.close()
    return Spool(directory, rotate_bytes=spool._rotate_bytes)


def numbers(observations):
    return [observation["n"] for observation in observations]


def test_offsets_rise_by_one_over_restarts(tmp_path):
    spool = Spool(tmp_path)
    assert spool.append([{"n": 1}, {"n": 2}]) == 2
    agent = spool.agent
    spool = reopened(spool)
    assert spool.append([{"n": 3}]) == 3
    assert [(observation["offset"], observation["n"]) for observation in spool.pending()] == [(1, 1), (2, 2), (3, 3)]
    assert spool.agent == agent
    spool.close()


def test_new_spool_has_another_agent(tmp_path):
    first, second = Spool(tmp_path / "a"), Spool(tmp_path / "b")
    assert first.agent != second.agent
    first.close()
    second.close()


@pytest.mark.parametrize("torn", [b'{"off', b'{"offset":3,"n":3}', b"\0\0\0\0\0\0", b'{"offset":3,"n"\n'])
def test_torn_end_is_cut_off_and_its_offset_used_for_the_next(tmp_path, torn):
    spool = Spool(tmp_path)
    spool.append([{"n": 1}, {"n": 2}])
    path = spool._path
    spool.close()
    with path.open("ab") as file:
        file.write(torn)

    spool = Spool(tmp_path)
    assert (spool.last_offset, numbers(spool.pending())) == (2, [1, 2])
    assert spool.append([{"n": 33}]) == 3
    spool = reopened(spool)
    assert numbers(spool.pending()) == [1, 2, 33]
    spool.close()


def test_damage_before_the_end_is_refused_by_name(tmp_path):
    spool = Spool(tmp_path)
    spool.append([{"n": n} for n in range(5)])
    path = spool._path
    spool.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"garbage\n", *lines[3:]]))

    with pytest.raises(SpoolDamaged, match=f"{path.name} is damaged after offset 2"):
        Spool(tmp_path)


def test_delivery_resumes_after_the_acknowledged_offset(tmp_path):
    spool = Spool(tmp_path, rotate_bytes=200)
    for n in range(1, 41):
        spool.append([{"n": n}])
    assert len(spool._files()) > 3
    assert numbers(spool.pending(limit=10)) == list(range(1, 11))
    spool.acknowledge(7)
    assert numbers(spool.pending(limit=10)) == list(range(8, 18))
    spool = reopened(spool)
    assert numbers(spool.pending(limit=10)) == list(range(8, 18))
    spool.acknowledge(40)
    assert (spool.has_pending, spool.pending()) == (False, [])
    spool.append([{"n": 41}])
    assert numbers(spool.pending()) == [41]
    spool.acknowledge(20)
    assert numbers(spool.pending(limit=3)) == [21, 22, 23]
    spool.close()


def test_every_way_of_acknowledging_gives_every_observation_in_order(tmp_path):
    for step in (1, 2, 3, 7, 11):
        spool = Spool(tmp_path / str(step), rotate_bytes=300)
        for n in range(1, 60):
            spool.append([{"n": n}])
        seen = []
        while spool.has_pending:
            batch = spool.pending(limit=step)
            seen += numbers(batch)
            spool.acknowledge(batch[-1]["offset"])
        assert seen == list(range(1, 60))
        spool.close()


def test_acknowledgement_beyond_the_end_is_held_to_the_end(tmp_path):
    spool = Spool(tmp_path)
    spool.append([{"n": 1}])
    spool.acknowledge(99)
    assert spool.acknowledged_offset == 1
    spool.append([{"n": 2}])
    assert numbers(spool.pending()) == [2]
    spool.close()


def test_unreadable_note_of_acknowledgement_sends_again(tmp_path):
    spool = Spool(tmp_path)
    spool.append([{"n": 1}, {"n": 2}])
    spool.acknowledge(2)
    (tmp_path / "acknowledged").write_text("{")
    spool = reopened(spool)
    assert numbers(spool.pending()) == [1, 2]
    spool.close()


def test_files_are_kept_35_days_and_never_deleted_unacknowledged(tmp_path):
    spool = Spool(tmp_path, rotate_bytes=100)
    for n in range(1, 31):
        spool.append([{"n": n}])
    files = spool._files()
    spool.acknowledge(30)
    assert spool.prune(now=datetime.now(UTC) + timedelta(days=34)) == 0
    spool.acknowledge(int(files[2].stem) - 1)
    assert spool.prune(now=datetime.now(UTC) + timedelta(days=36)) == 2
    assert numbers(spool.pending())[-1] == 30
    assert spool.pending()[0]["offset"] == int(files[2].stem)
    spool.acknowledge(30)
    assert spool.prune(now=datetime.now(UTC) + timedelta(days=36)) == len(files) - 3
    spool = reopened(spool)
    assert spool.append([{"n": 31}]) == 31
    spool.close()


def test_full_disk_stores_nothing_and_breaks_nothing(tmp_path):
    script = f"""
import resource, signal, sys
from pathlib import Path
from portal.hub_plugin.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool(Path({str(tmp_path)!r}))
spool.append([{{"n": 1}}])
resource.setrlimit(resource.RLIMIT_FSIZE, (spool._size + 10, resource.RLIM_INFINITY))
try:
    spool.append([{{"n": 2, "text": "x" * 50}}])
except OSError as error:
    print(error.errno, spool.last_offset)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(spool.append([{{"n": 3}}]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["27", "1", "2"]
    spool = Spool(tmp_path)
    assert [(observation["offset"], observation["n"]) for observation in spool.pending()] == [(1, 1), (2, 3)]
    spool.close()


def test_killed_in_the_middle_of_writing_keeps_what_was_counted(tmp_path):
    script = f"""
import sys
from pathlib import Path
from portal.hub_plugin.spool import Spool
spool = Spool(Path({str(tmp_path)!r}), rotate_bytes=2000)
n = 0
while True:
    n += 1
    print(spool.append([{{"n": n, "text": "x" * 100}}]), flush=True)
"""
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
            counted = 0
            for line in process.stdout:
                counted = int(line)
                if counted % 50 == 0:
                    break
            process.kill()
            counted = max([counted, *(int(line) for line in process.stdout.read().split("\n")[:-1])])
        spool = Spool(tmp_path)
        assert spool.last_offset - counted in {0, 1}, "one write may have been finished but not yet told"
        assert [observation["offset"] for observation in spool.pending(limit=10**6)] == list(range(1, spool.last_offset + 1))
        spool.close()


def test_one_process_at_a_time(tmp_path):
    spool = Spool(tmp_path)
    with pytest.raises(SpoolInUse, match="another hub uses"):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path).close()


def test_files_are_the_hubs_alone(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.append([{"n": 1}])
    spool.acknowledge(1)
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "spool").iterdir()} == {"0o600"}
    assert json.loads((tmp_path / "spool/acknowledged").read_text()) == {"offset": 1}
    spool.close()
