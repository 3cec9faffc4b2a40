"""The portal's answers are taken as the protocol says or not at all."""

import base64
from datetime import UTC, datetime

import pytest

from portal.hub_plugin.contract import Device, DeviceKind, HomeFile, Lease, MalformedAnswer, parse_delivery_answer, parse_grant
from tests.hub_plugin.fake_portal import grant

EXAMPLE = {
    "session_id": "0199a2b4-1111-7abc-8def-0123456789ab",
    "generation": 1,
    "profile": "h100-slice-10",
    "devices": [{"id": "sim-0", "kind": "simulated", "paths": []}],
    "cpu_limit": 2.0,
    "memory_limit_bytes": 4294967296,
    "environment": {"AIHUB_SESSION": "s-57"},
    "home": "u-1042",
    "files": [{"path": "courses/gpu-zero/lab-1.ipynb", "content_base64": "e30="}],
    "open_path": "/lab/tree/courses/gpu-zero/lab-1.ipynb",
    "held_until": "2026-11-23T15:20:00Z",
}


def test_the_protocols_example_is_read():
    read = parse_grant(EXAMPLE)
    assert read.devices == (Device("sim-0", DeviceKind.SIMULATED, ()),)
    assert read.files == (HomeFile("courses/gpu-zero/lab-1.ipynb", b"{}"),)
    assert read.held_until == datetime(2026, 11, 23, 15, 20, tzinfo=UTC)
    assert (read.cpu_limit, read.memory_limit_bytes, read.home, read.generation) == (2.0, 4294967296, "u-1042", 1)


@pytest.mark.parametrize("key", sorted(EXAMPLE))
@pytest.mark.parametrize("value", [None, [], {}, True, -1, "", 1.5, "\0"])
def test_no_field_takes_something_else(key, value):
    fits = {("devices", "[]"), ("files", "[]"), ("environment", "{}"), ("cpu_limit", "1.5")}
    if (key, repr(value)) in fits:
        parse_grant(EXAMPLE | {key: value})
        return
    with pytest.raises(MalformedAnswer):
        parse_grant(EXAMPLE | {key: value})


@pytest.mark.parametrize(
    "changes",
    [
        {"home": "../u-1"},
        {"home": "u-1/.."},
        {"home": "-u"},
        {"home": "U-1"},
        {"session_id": "../../x"},
        {"session_id": "x" * 65},
        {"open_path": "//evil.example/"},
        {"open_path": "https://evil.example/"},
        {"open_path": "/lab/{username}"},
        {"open_path": "/lab\r\nX: y"},
        {"held_until": "2026-11-23T15:20:00"},
        {"held_until": "soon"},
        {"cpu_limit": 0},
        {"cpu_limit": float("nan")},
        {"cpu_limit": float("inf")},
        {"memory_limit_bytes": 2**63},
        {"generation": True},
        {"files": [{"path": "../x", "content_base64": ""}]},
        {"files": [{"path": "/x", "content_base64": ""}]},
        {"files": [{"path": "a//x", "content_base64": ""}]},
        {"files": [{"path": "a/\0", "content_base64": ""}]},
        {"files": [{"path": "x" * 256, "content_base64": ""}]},
        {"files": [{"path": "x", "content_base64": "not base64!"}]},
        {"files": [{"path": "x", "content_base64": base64.b64encode(b"x" * 600_000).decode()}] * 2},
        {"devices": [{"id": "d", "kind": "nvidia", "paths": ["/dev/sda"]}]},
        {"devices": [{"id": "d", "kind": "nvidia", "paths": ["/dev/nvidia0/../sda"]}]},
        {"devices": [{"id": "d", "kind": "nvidia", "paths": []}]},
        {"devices": [{"id": "d", "kind": "simulated", "paths": ["/dev/nvidia0"]}]},
        {"devices": [{"id": "d", "kind": "quantum", "paths": []}]},
        {"environment": {"LD_PRELOAD": "x"}},
        {"environment": {"PATH": "x"}},
        {"environment": {"PYTHONPATH": "x"}},
        {"environment": {"JUPYTERHUB_API_TOKEN": "x"}},
        {"environment": {"BASH_ENV": "x"}},
        {"environment": {"lower": "x"}},
        {"environment": {"A": 1}},
        {"environment": {"A": "x\0"}},
    ],
)
def test_what_could_do_harm_is_no_answer(changes):
    with pytest.raises(MalformedAnswer):
        parse_grant(grant("0199") | changes)


def test_granted_gpus_name_their_files():
    devices = [{"id": "MIG-1", "kind": "nvidia", "paths": ["/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap21"]}]
    assert parse_grant(EXAMPLE | {"devices": devices}).devices[0].paths == ("/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap21")


def test_leases_are_read():
    read = parse_delivery_answer({"acknowledged_offset": 181, "leases": {"0199": {"held_until": "2026-11-23T16:20:00+01:00", "stop": True}}})
    assert (read.acknowledged_offset, read.leases) == (181, {"0199": Lease(datetime(2026, 11, 23, 15, 20, tzinfo=UTC), stop=True)})


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"acknowledged_offset": -1, "leases": {}},
        {"acknowledged_offset": 1},
        {"acknowledged_offset": 1, "leases": {"a": {"held_until": "2026-11-23T15:20:00Z", "stop": 1}}},
    ],
)
def test_other_delivery_answers_are_refused(answer):
    with pytest.raises(MalformedAnswer):
        parse_delivery_answer(answer)
