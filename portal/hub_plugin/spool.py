"""The on-disk spool of observations: what the plug-in saw, kept until the portal has it, and 35 days.

Lines of JSON in files named after the offset of their first line. A line counts once it is synced to
disk: a half line at the end (the machine stopped while writing) was never counted and is cut off.
Offsets rise by one and are never used twice; the agent's name is made with the spool, so that a new
spool's offsets cannot be mistaken for an old one's. One process at a time, enforced by a lock.
"""

import fcntl
import itertools
import json
import os
import secrets
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

KEEP_DAYS = 35
ROTATE_BYTES = 1 << 20


class SpoolInUse(RuntimeError):
    """Another process holds the spool."""


class SpoolDamaged(RuntimeError):
    """A file of the spool says something impossible; the message names it."""


class Spool:
    """The spool in one folder. Its methods may be called from any thread and block on the disk."""

    def __init__(self, directory: Path, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        self._directory = directory
        self._rotate_bytes = rotate_bytes
        self._mutex = threading.Lock()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise SpoolInUse(f"another hub uses {directory}; stop it first") from error
        self.agent = self._read_agent()
        self._path, self.last_offset, self._size = self._recover()
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        _sync_folder(directory)
        self.acknowledged_offset = min(self._read_acknowledged(), self.last_offset)
        self._cursor: tuple[int, Path, int] | None = None

    @property
    def has_pending(self) -> bool:
        """Say whether the portal still lacks something."""
        return self.acknowledged_offset < self.last_offset

    def append(self, observations: Iterable[Mapping[str, Any]]) -> int:
        """Store observations durably, each with its offset, and return the last offset.

        Raises OSError with nothing stored when the disk refuses.
        """
        with self._mutex:
            offset = self.last_offset
            lines = []
            for observation in observations:
                offset += 1
                lines.append(json.dumps({"offset": offset, **observation}, separators=(",", ":")) + "\n")
            if not lines:
                return offset
            if self._size >= self._rotate_bytes:
                self._rotate()
            data = "".join(lines).encode()
            try:
                _write_all(self._file, data)
                os.fdatasync(self._file)
            except OSError:
                # What was written in part is taken back, so that the next line begins on a line of its own.
                with suppress(OSError):
                    os.ftruncate(self._file, self._size)
                raise
            self._size += len(data)
            self.last_offset = offset
            return offset

    def pending(self, limit: int = 500) -> list[dict[str, Any]]:
        """Return the oldest observations that the portal has not acknowledged, in offset order."""
        with self._mutex:
            wanted = self.acknowledged_offset + 1
            found: list[dict[str, Any]] = []
            path, position = self._locate(wanted)
            while path is not None and len(found) < limit:
                with path.open("rb") as file:
                    file.seek(position)
                    for line in file:
                        observation = json.loads(line)
                        if observation["offset"] < wanted:
                            continue
                        if observation["offset"] > self.last_offset or len(found) == limit:
                            break
                        found.append(observation)
                path, position = self._following(path), 0
            return found

    def acknowledge(self, offset: int) -> None:
        """Remember durably up to where the portal has everything; a lower offset rewinds to it."""
        with self._mutex:
            offset = max(0, min(offset, self.last_offset))
            if offset == self.acknowledged_offset:
                return
            write_durably(self._directory / "acknowledged", json.dumps({"offset": offset}).encode())
            self.acknowledged_offset = offset
            self._move_cursor()

    def prune(self, *, now: datetime) -> int:
        """Delete files that are acknowledged and older than 35 days; return how many."""
        with self._mutex:
            files, deleted = self._files(), 0
            for path, following in itertools.pairwise(files):
                newest = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                if int(following.stem) - 1 <= self.acknowledged_offset and now - newest > timedelta(days=KEEP_DAYS):
                    path.unlink()
                    deleted += 1
            if deleted:
                self._cursor = None
            return deleted

    def close(self) -> None:
        """Let go of the files and the lock."""
        with self._mutex:
            os.close(self._file)
            os.close(self._lock)

    def _files(self) -> list[Path]:
        return sorted(self._directory.glob("[0-9]*.jsonl"))

    def _following(self, path: Path) -> Path | None:
        return next((other for other in self._files() if other > path), None)

    def _file_named(self, first_offset: int) -> Path:
        return self._directory / f"{first_offset:015d}.jsonl"

    def _rotate(self) -> None:
        path = self._file_named(self.last_offset + 1)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.close(self._file)
        self._path, self._file, self._size = path, file, 0
        _sync_folder(self._directory)

    def _recover(self) -> tuple[Path, int, int]:
        """Return the file to write to, the last whole line's offset and the file's size, torn end cut off."""
        files = self._files()
        if not files:
            return self._file_named(1), 0, 0
        path = files[-1]
        offset, size = int(path.stem) - 1, 0
        raw = path.read_bytes()
        for line in raw.splitlines(keepends=True):
            try:
                found = json.loads(line)["offset"]
            except (ValueError, KeyError, TypeError) as error:
                if raw[size + len(line) :].strip(b"\0\n\r\t "):
                    raise SpoolDamaged(f"{path} is damaged after offset {offset}, before its end") from error
                break
            if not line.endswith(b"\n"):
                break
            if found != offset + 1:
                raise SpoolDamaged(f"{path} has offset {found} after {offset}")
            offset, size = found, size + len(line)
        if size < len(raw):
            with path.open("r+b") as file:
                file.truncate(size)
                os.fsync(file.fileno())
        return path, offset, size

    def _read_agent(self) -> str:
        path = self._directory / "agent"
        with suppress(FileNotFoundError):
            if name := path.read_text(encoding="ascii").strip():
                return name
        name = f"hub-{secrets.token_hex(4)}"
        write_durably(path, name.encode())
        return name

    def _read_acknowledged(self) -> int:
        try:
            return int(json.loads((self._directory / "acknowledged").read_bytes())["offset"])
        except FileNotFoundError:
            return 0
        except (ValueError, KeyError, TypeError):
            # Sending again is harmless, losing is not: begin where the oldest file begins.
            return 0

    def _locate(self, offset: int) -> tuple[Path | None, int]:
        if self._cursor is not None and self._cursor[0] == offset:
            return self._cursor[1], self._cursor[2]
        files = self._files()
        holding = [path for path in files if int(path.stem) <= offset]
        return (holding[-1] if holding else next(iter(files), None)), 0

    def _move_cursor(self) -> None:
        """Remember where the first line after the acknowledged one begins, so that no delivery reads a file twice."""
        wanted = self.acknowledged_offset + 1
        path, position = self._locate(wanted) if self._cursor is None or self._cursor[0] > wanted else self._cursor[1:]
        while path is not None:
            with path.open("rb") as file:
                file.seek(position)
                for line in file:
                    if json.loads(line)["offset"] >= wanted:
                        self._cursor = (wanted, path, position)
                        return
                    position += len(line)
            following = self._following(path)
            if following is None:
                self._cursor = (wanted, path, position)
                return
            path, position = following, 0


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file so that after a crash it holds either the old or the new content, whole."""
    new = path.with_name(f".{path.name}.new")
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)
    new.replace(path)
    _sync_folder(path.parent)


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
