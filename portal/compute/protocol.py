"""Observations as the hub's plug-in sends them (docs/hub-protocol.md), parsed strictly. Pure.

One that cannot be read is kept aside and acknowledged: refusing it would keep every later one from arriving.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from portal.compute.rules import ProcessId, Sight
from portal.compute.states import ObservationKind

MOST_OBSERVATIONS = 500
_BIGGEST = 2**63 - 1
_AGENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_BOOT_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}", re.ASCII)


class MalformedObservation(ValueError):
    """The observation is not what the protocol says; the message says where."""


@dataclass(frozen=True)
class Observed:
    """One observation, read."""

    offset: int
    session_id: uuid.UUID
    generation: int
    kind: ObservationKind
    sight: Sight
    exit_code: int | None

    @property
    def key(self) -> tuple[uuid.UUID, int, ProcessId]:
        """Return session, generation and process."""
        return self.session_id, self.generation, self.sight.process


def is_agent(name: object) -> bool:
    """Return whether a text can be an agent's name."""
    return isinstance(name, str) and _AGENT.fullmatch(name) is not None


def offset_of(raw: object) -> int:
    """Return an observation's offset. Raises MalformedObservation: without one nothing can be acknowledged."""
    if not isinstance(raw, Mapping):
        raise MalformedObservation("an observation is no object")
    return _whole(raw, "offset")


def parse(raw: Mapping[str, Any]) -> Observed:
    """Return the observation. Raises MalformedObservation."""
    try:
        session_id = uuid.UUID(_text(raw, "session_id"))
        kind = ObservationKind(_text(raw, "kind"))
        observed_at = datetime.fromisoformat(_text(raw, "observed_at"))
    except ValueError as error:
        raise MalformedObservation(str(error)) from error
    if observed_at.tzinfo is None:
        raise MalformedObservation("observed_at has no zone")
    boot_id = _text(raw, "boot_id")
    if not _BOOT_ID.fullmatch(boot_id):
        raise MalformedObservation("boot_id")
    process = ProcessId(boot_id, _whole(raw, "pid"), _whole(raw, "process_started_ticks"))
    at_ns = _whole(raw, "monotonic_ns")
    age_ns = None if raw.get("process_age_ns") is None else _whole(raw, "process_age_ns")
    if age_ns is not None and age_ns > at_ns:
        raise MalformedObservation("process_age_ns is longer than the machine runs")
    sight = Sight(process, at_ns, observed_at.astimezone(UTC), age_ns, is_end=kind is ObservationKind.EXITED)
    return Observed(_whole(raw, "offset"), session_id, _whole(raw, "generation", least=1), kind, sight, _exit_code(raw))


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or not value or len(value) > 200 or "\0" in value:
        raise MalformedObservation(key)
    return value


def _whole(raw: Mapping[str, Any], key: str, *, least: int = 0) -> int:
    value = raw.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _BIGGEST:
        raise MalformedObservation(key)
    return value


def _exit_code(raw: Mapping[str, Any]) -> int | None:
    value = raw.get("exit_code")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**31) <= value < 2**31:
        raise MalformedObservation("exit_code")
    return value
