"""An independent witness of a server's life: watches the process table and knows nothing of portal or hub.

A session's server is recognised by its name in the process's environment or command line; its life is from the
oldest matching process's start, read from the kernel, to the moment when none is left (to 20 ms).
"""

import os
import threading
import time
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Witness:
    """Watches until every process that mentions `mark` is gone."""

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode()
        self.first_start_s: float | None = None
        self.last_seen_s: float | None = None
        self.pids: set[int] = set()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def seconds(self, *, timeout_s: float = 60) -> float:
        """Return the life's length, once it is over."""
        if not self._is_over.wait(timeout_s) or self.first_start_s is None or self.last_seen_s is None:
            raise AssertionError(f"the witness saw no end (start {self.first_start_s}, last {self.last_seen_s})")
        return self.last_seen_s - self.first_start_s

    def _watch(self) -> None:
        while True:
            now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
            found = {pid: start for pid in _pids() if (start := self._start_of(pid)) is not None}
            if found:
                self.pids |= set(found)
                self.last_seen_s = now_s
                earliest = min(found.values())
                self.first_start_s = earliest if self.first_start_s is None else min(self.first_start_s, earliest)
            elif self.last_seen_s is not None:
                self._is_over.set()
                return
            time.sleep(0.02)

    def _start_of(self, pid: int) -> float | None:
        """Return when a process that mentions the mark started, in seconds since boot; None for any other."""
        try:
            folder = Path(f"/proc/{pid}")
            if self._mark not in (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes():
                return None
            return int((folder / "stat").read_text().rsplit(")", 1)[1].split()[19]) / _TICKS_PER_S
        except (FileNotFoundError, ProcessLookupError, PermissionError, IndexError):
            return None


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 -- the fastest way, every 20 ms
