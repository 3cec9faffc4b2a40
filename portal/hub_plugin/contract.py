"""What the hub and the portal say to each other, as values: grants, observations, leases (docs/hub-protocol.md).

Parsing is strict: an answer that is not exactly what the protocol says is `MalformedAnswer`, and the
caller then starts nothing. Pure; no network, no files.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

FILES_TOTAL_MAX_BYTES = 1_000_000
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9])){0,62}")
_SESSION_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
_OPEN_PATH = re.compile(r"/(?!/)[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")
_DEVICE_PATH = re.compile(r"/dev/(?:nvidia[a-z0-9-]*(?:/[a-z0-9-]+)?|dri/renderD[0-9]+)")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_RESERVED_VARIABLES = re.compile(
    r"(?:LD|JUPYTERHUB|JPY|DYLD|GLIBC|MALLOC|PYTHON|BASH|CONFIGPROXY|HUB)_.*|LD_.*|PYTHON.*|PATH|HOME|USER|LOGNAME|SHELL|ENV|IFS|TMPDIR|PS4|GCONV_PATH|LOCPATH"
)


class MalformedAnswer(ValueError):
    """The portal answered something that the protocol does not know."""


class DeviceKind(StrEnum):
    """What a granted device is made of."""

    SIMULATED = "simulated"
    NVIDIA = "nvidia"


class ObservationKind(StrEnum):
    """What the plug-in saw of a session's process."""

    STARTED = "started"
    SEEN = "seen"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Device:
    """One device that the portal granted; `paths` are the device files to bind."""

    id: str
    kind: DeviceKind
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HomeFile:
    """A file to place in the home before the start; `path` is relative to the home."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Grant:
    """The portal's answer to a redeemed ticket: everything a start may use."""

    session_id: str
    generation: int
    profile: str
    devices: tuple[Device, ...]
    cpu_limit: float
    memory_limit_bytes: int
    environment: Mapping[str, str]
    home: str
    files: tuple[HomeFile, ...]
    open_path: str
    held_until: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """Until when the portal holds credit for a session, and whether it wants it stopped now."""

    held_until: datetime
    stop: bool


@dataclass(frozen=True, slots=True)
class DeliveryAnswer:
    """The portal's answer to delivered observations."""

    acknowledged_offset: int
    leases: Mapping[str, Lease]


def parse_grant(raw: object) -> Grant:
    """Return the grant in the body of `POST /tickets/redeem`. Raises MalformedAnswer."""
    body = _object(raw, "the answer")
    files = tuple(_home_file(item) for item in _list(body, "files"))
    if sum(len(file.content) for file in files) > FILES_TOTAL_MAX_BYTES:
        raise MalformedAnswer("files are larger than 1 MB in all")
    cpu_limit = body.get("cpu_limit")
    if isinstance(cpu_limit, bool) or not isinstance(cpu_limit, int | float) or not 0 < cpu_limit <= 4096:
        raise MalformedAnswer(f"cpu_limit is {cpu_limit!r}")
    return Grant(
        session_id=_matching(body, "session_id", _SESSION_ID),
        generation=_whole(body, "generation", minimum=0),
        profile=_text(body, "profile"),
        devices=tuple(_device(item) for item in _list(body, "devices")),
        cpu_limit=float(cpu_limit),
        memory_limit_bytes=_whole(body, "memory_limit_bytes", minimum=1),
        environment=_environment(body.get("environment")),
        home=_matching(body, "home", _SLUG),
        files=files,
        open_path=_matching(body, "open_path", _OPEN_PATH),
        held_until=_instant(body, "held_until"),
    )


def parse_delivery_answer(raw: object) -> DeliveryAnswer:
    """Return the answer to `POST /observations`. Raises MalformedAnswer."""
    body = _object(raw, "the answer")
    leases: dict[str, Lease] = {}
    for session_id, item in _object(body.get("leases"), "leases").items():
        lease = _object(item, f"the lease of {session_id}")
        stop = lease.get("stop")
        if not isinstance(stop, bool):
            raise MalformedAnswer(f"stop of {session_id} is {stop!r}")
        leases[session_id] = Lease(held_until=_instant(lease, "held_until"), stop=stop)
    return DeliveryAnswer(acknowledged_offset=_whole(body, "acknowledged_offset", minimum=0), leases=leases)


def instant_text(at: datetime) -> str:
    """Return an instant as the protocol writes it: RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """Return the aware UTC instant that `text` names. Raises ValueError when it has no zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    return at.astimezone(UTC)


def _object(raw: object, what: str) -> Mapping[str, Any]:
    if not isinstance(raw, dict) or not all(isinstance(key, str) for key in raw):
        raise MalformedAnswer(f"{what} is no JSON object")
    return raw


def _list(body: Mapping[str, Any], key: str) -> list[Any]:
    value = body.get(key)
    if not isinstance(value, list):
        raise MalformedAnswer(f"{key} is no list")
    return value


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value or "\0" in value:
        raise MalformedAnswer(f"{key} is {value!r}")
    return value


def _matching(body: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    value = _text(body, key)
    if not pattern.fullmatch(value):
        raise MalformedAnswer(f"{key} is {value!r}")
    return value


def _whole(body: Mapping[str, Any], key: str, *, minimum: int) -> int:
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value < 2**63:
        raise MalformedAnswer(f"{key} is {value!r}")
    return value


def _instant(body: Mapping[str, Any], key: str) -> datetime:
    try:
        return parse_instant(_text(body, key))
    except ValueError as error:
        raise MalformedAnswer(f"{key}: {error}") from error


def _device(raw: object) -> Device:
    body = _object(raw, "a device")
    paths = _list(body, "paths")
    for path in paths:
        if not isinstance(path, str) or not _DEVICE_PATH.fullmatch(path):
            raise MalformedAnswer(f"device path {path!r}")
    try:
        kind = DeviceKind(_text(body, "kind"))
    except ValueError as error:
        raise MalformedAnswer(str(error)) from error
    if (kind is DeviceKind.SIMULATED) == bool(paths):
        raise MalformedAnswer(f"a {kind} device with paths {paths!r}")
    return Device(id=_text(body, "id"), kind=kind, paths=tuple(paths))


def _home_file(raw: object) -> HomeFile:
    body = _object(raw, "a file")
    path = _text(body, "path")
    parts = path.split("/")
    if any(part in {"", ".", ".."} or len(part.encode()) > 255 for part in parts) or len(parts) > 20:
        raise MalformedAnswer(f"file path {path!r}")
    content = body.get("content_base64")
    if not isinstance(content, str):
        raise MalformedAnswer(f"content of {path!r} is no text")
    try:
        return HomeFile(path=path, content=base64.b64decode(content, validate=True))
    except (binascii.Error, ValueError) as error:
        raise MalformedAnswer(f"content of {path!r} is no base64") from error


def _environment(raw: object) -> Mapping[str, str]:
    environment = _object(raw, "environment")
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name) or _RESERVED_VARIABLES.fullmatch(name):
            raise MalformedAnswer(f"the variable {name!r} is not the portal's to set")
        if not isinstance(value, str) or "\0" in value:
            raise MalformedAnswer(f"the variable {name!r} is no text")
    return dict(environment)
