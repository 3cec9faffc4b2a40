"""What the plug-in knows of each running session, on disk, whatever happens to the hub.

A record is written before a session's first instruction runs and removed after its end is in the spool.
So a hub that was killed at any moment finds every process it may have left behind. The hub's own
database knows a server only after its start has finished.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from portal.hub_plugin.contract import instant_text, parse_instant
from portal.hub_plugin.processes import ProcessIdentity
from portal.hub_plugin.spool import write_durably


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One running session: whose, which process, with what, and until when it is paid.

    `stop_at_ns` is the instant of CLOCK_BOOTTIME after which the plug-in stops it by itself; it is
    computed when `held_until` is learnt, so that a wall clock that jumps later stops nobody.
    `last_seen_ns` and `last_seen_at` are one look at the process, on both clocks.
    """

    session_id: str
    generation: int
    username: str
    server: str
    home: str
    profile: str
    port: int
    process: ProcessIdentity
    isolation: str
    devices: tuple[str, ...]
    memory_limit_bytes: int
    cpu_limit: float
    held_until: datetime
    stop_at_ns: int
    last_seen_ns: int
    last_seen_at: datetime
    api_token: str = field(repr=False, default="")

    @property
    def key(self) -> str:
        """Return what tells this start of this session from all others."""
        return f"{self.session_id}.{self.generation}"

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return {**asdict(self), "held_until": instant_text(self.held_until), "last_seen_at": instant_text(self.last_seen_at)}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "SessionRecord":
        """Return the record that `as_json` wrote. Raises ValueError, KeyError or TypeError on anything else."""
        return cls(
            **{
                **raw,
                "process": ProcessIdentity(**raw["process"]),
                "devices": tuple(raw["devices"]),
                "held_until": parse_instant(raw["held_until"]),
                "last_seen_at": parse_instant(raw["last_seen_at"]),
            }
        )


class Registry:
    """The records in one folder, held in memory too. Writing blocks on the disk."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._records: dict[str, SessionRecord] = {}
        self.unreadable: list[Path] = []
        for path in sorted(directory.glob("*.session")):
            try:
                record = SessionRecord.from_json(json.loads(path.read_bytes()))
            except (ValueError, KeyError, TypeError):
                # Kept for a person to look at; a broken record must not keep the others from being found.
                self.unreadable.append(path.rename(path.with_suffix(".unreadable")))
                continue
            self._records[record.key] = record
        self._read_seen()

    def __iter__(self) -> Iterator[SessionRecord]:
        return iter(list(self._records.values()))

    def get(self, key: str) -> SessionRecord | None:
        """Return the record with this key as it is now, or None."""
        return self._records.get(key)

    def find(self, *, username: str, server: str) -> SessionRecord | None:
        """Return the latest start of this server, or None."""
        found = [record for record in self._records.values() if record.username == username and record.server == server]
        return max(found, key=lambda record: (record.last_seen_at, record.generation), default=None)

    def of_session(self, session_id: str) -> list[SessionRecord]:
        """Return the records of a session, any generation."""
        return [record for record in self._records.values() if record.session_id == session_id]

    def save(self, record: SessionRecord) -> None:
        """Write a record durably."""
        write_durably(self._directory / f"{record.key}.session", json.dumps(record.as_json()).encode())
        self._records[record.key] = record

    def update(self, key: str, **changes: Any) -> SessionRecord | None:
        """Change fields of a record durably; None when it is gone by now."""
        record = self._records.get(key)
        if record is None:
            return None
        changed = replace(record, **changes)
        if changed != record:
            self.save(changed)
        return changed

    def note_seen(self, keys: Iterable[str], *, at_ns: int, at: datetime) -> None:
        """Remember that these processes lived at an instant: one write for all of them."""
        for key in keys:
            if (record := self._records.get(key)) is not None:
                self._records[key] = replace(record, last_seen_ns=at_ns, last_seen_at=at)
        seen = {record.key: [record.last_seen_ns, instant_text(record.last_seen_at)] for record in self}
        write_durably(self._directory / "seen.json", json.dumps(seen).encode())

    def remove(self, key: str) -> None:
        """Forget a record, in memory and on disk, and what its process noted of its end."""
        self._records.pop(key, None)
        for path in (self._directory / f"{key}.session", self.exit_note(key)):
            with suppress(FileNotFoundError):
                path.unlink()

    def _read_seen(self) -> None:
        with suppress(FileNotFoundError, ValueError, TypeError):
            for key, (at_ns, at) in json.loads((self._directory / "seen.json").read_bytes()).items():
                record = self._records.get(key)
                if record is not None and at_ns > record.last_seen_ns:
                    self._records[key] = replace(record, last_seen_ns=int(at_ns), last_seen_at=parse_instant(at))

    def exit_note(self, key: str) -> Path:
        """Return the file in which a session's top process notes its exit code and the second of its end."""
        return self._directory / f"{key}.exit"


def read_exit_note(path: Path) -> tuple[int, int] | None:
    """Return (exit code, CLOCK_BOOTTIME in ns) from an exit note, or None when there is none or half of one."""
    try:
        code, uptime_s = path.read_text(encoding="ascii").split()
        seconds, _, fraction = uptime_s.partition(".")
        return int(code), int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9])
    except (FileNotFoundError, ValueError):
        return None
