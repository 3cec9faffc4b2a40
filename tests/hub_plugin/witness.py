"""A witness of its own: looks at the machine's process table, knows nothing of the plug-in's records."""

import os
import threading
import time
from pathlib import Path

# In the environment of every session that these tests start: another test worker's sessions on this machine are not ours.
RUN = {"AIHUB_RUN": f"tests-{os.getpid()}-"}


def processes_with(marker):
    """Return the process ids of this test run's sessions whose environment or command line holds `marker`."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted
        if name.isdigit() and int(name) != os.getpid():
            try:
                environment = Path(f"/proc/{name}/environ").read_bytes()
                command = Path(f"/proc/{name}/cmdline").read_bytes()
                is_zombie = b") Z " in Path(f"/proc/{name}/stat").read_bytes()
            except OSError:
                continue
            if RUN["AIHUB_RUN"].encode() in environment and marker.encode() in environment + b"\0" + command and not is_zombie:
                found.append(int(name))
    return found


class Witness:
    """Notes the first and the last moment at which any process carries the marker."""

    def __init__(self, marker):
        self.marker = marker
        self.first = self.last = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    @property
    def seconds(self):
        return self.last - self.first

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _look(self):
        while not self._ended.is_set():
            if processes_with(self.marker):
                self.last = time.monotonic()
                self.first = self.first or self.last
            time.sleep(0.02)


def observed_seconds(observations):
    """Return how long a session's process lived according to what was observed of it."""
    started = next(observation for observation in observations if observation["kind"] == "started")
    exited = next(observation for observation in observations if observation["kind"] == "exited")
    begin_ns = started["monotonic_ns"] - started["process_age_ns"]
    return (exited["monotonic_ns"] - begin_ns) / 1e9
