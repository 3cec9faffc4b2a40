"""Running sessions: started behind the gate, watched to the instant of their end, stopped for good.

Every step that a bill rests on is on disk before the next is taken: the record and the `started`
observation before a session's first instruction, the `exited` observation before the record goes.
"""

import asyncio
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from logging import Logger
from pathlib import Path
from subprocess import Popen
from typing import Any

from portal.hub_plugin import launch
from portal.hub_plugin.cgroups import ControlGroups
from portal.hub_plugin.contract import Grant, ObservationKind, instant_text
from portal.hub_plugin.processes import ProcessIdentity, age_ns, boot_id, boottime_ns, identify, is_alive, pid_inside, send_signal, tree, wait_for_exit
from portal.hub_plugin.registry import Registry, SessionRecord, read_exit_note
from portal.hub_plugin.settings import Isolation
from portal.hub_plugin.spool import Spool

_RETRY_WRITE_S = 5.0
_AFTER_KILL_S = 10.0
_ENDED_REMEMBERED = 1000


class SessionNotStarted(RuntimeError):
    """A session could not be started; the message says why and may be shown to its owner."""


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Everything that one start needs beside its grant."""

    username: str
    server: str
    port: int
    command: Sequence[str]
    environment: Mapping[str, str]
    isolation: Isolation
    api_token: str


class Sessions:
    """The sessions of this hub. Lives in the hub's event loop; writes to disk synchronously and briefly."""

    def __init__(self, *, spool: Spool, registry: Registry, groups: ControlGroups | None, logs: Path, overrun_s: float, log: Logger) -> None:
        self._spool = spool
        self._registry = registry
        self._groups = groups
        self._logs = logs
        self._overrun = timedelta(seconds=overrun_s)
        self._log = log
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._exit_codes: dict[str, int] = {}
        self._aged: set[str] = set()
        self.when_spooled: Callable[[], None] = lambda: None
        self.when_ended: Callable[[SessionRecord], None] = lambda _: None

    def start(self, grant: Grant, request: StartRequest) -> SessionRecord:
        """Start a session and return its record. Raises SessionNotStarted or OSError with nothing running."""
        key = f"{grant.session_id}.{grant.generation}"
        if self._registry.get(key) is not None:
            raise SessionNotStarted("This session is running already.")
        note = self._registry.exit_note(key)
        note.unlink(missing_ok=True)
        gated = launch.start_gated(request.command, environment=request.environment, exit_note=note, log=self._logs / f"{key}.log")
        try:
            process = _identified(gated.popen.pid)
            launch.limit(process.pid)
            self._confine(key, process.pid, grant)
            record = self._record_of(grant, request, process)
            self._registry.save(record)
            self._observe([record], ObservationKind.STARTED)
        except BaseException:
            gated.abandon()
            self._registry.remove(key)
            self._release_groups(key)
            raise
        self._watchers[key] = asyncio.create_task(self._watch(record, gated.popen), name=f"watch {key}")
        with suppress(BrokenPipeError):
            # Gone in this instant: the watcher records its end like any other.
            gated.release()
        return record

    def restore(self, record: SessionRecord) -> None:
        """Take up a living session that only the hub's database still knew."""
        if self._registry.get(record.key) is None and is_alive(record.process):
            self._registry.save(record)
            self._watchers[record.key] = asyncio.create_task(self._watch(record, None), name=f"watch {record.key}")

    async def settle(self, record: SessionRecord) -> None:
        """Set the limits that need a standing sandbox."""
        if record.isolation == Isolation.SANDBOX and (self._groups is None or "pids" not in self._groups.folders):
            await asyncio.to_thread(launch.limit_processes, record.process)

    def adopt(self) -> None:
        """Watch again every session that an earlier hub left running, and record the end of those that ended."""
        for record in self._registry:
            self._watchers[record.key] = asyncio.create_task(self._watch(record, None), name=f"watch {record.key}")

    def observe_all(self) -> None:
        """Spool one `seen` for every living session. Raises OSError when the disk refuses."""
        living = [record for record in self._registry if is_alive(record.process)]
        if living:
            self._observe(living, ObservationKind.SEEN)

    def is_running(self, record: SessionRecord) -> bool:
        """Say whether a session's top process lives."""
        return is_alive(record.process)

    def exit_code(self, record: SessionRecord) -> int:
        """Return the exit code of an ended session, 0 when unknown."""
        return self._exit_codes.get(record.key, 0)

    def learn_lease(self, session_id: str, held_until: datetime) -> list[SessionRecord]:
        """Remember until when a session is paid, and return its records."""
        changed = [
            self._registry.update(record.key, held_until=held_until, stop_at_ns=self._stop_at_ns(held_until)) if record.held_until != held_until else record
            for record in self._registry.of_session(session_id)
        ]
        return [record for record in changed if record is not None]

    def overrun(self) -> list[SessionRecord]:
        """Return the sessions that have run too long past what is paid."""
        now_ns = boottime_ns()
        return [record for record in self._registry if record.process.boot_id == boot_id() and now_ns > record.stop_at_ns]

    async def stop(self, record: SessionRecord, *, patience_s: float) -> None:
        """End a session: politely first, then at once; return when nothing of it is left and its end is spooled."""
        members = await asyncio.to_thread(tree, record.process)
        for process in self._to_be_asked(record, members):
            send_signal(process, signal.SIGTERM)
        if not await self._is_recorded(record.key, patience_s):
            self._log.warning("Session %s did not end in %s s and is killed", record.key, patience_s)
            members += await asyncio.to_thread(tree, record.process)
            # With its top process the kernel ends the sandbox and all that is in it.
            send_signal(record.process, signal.SIGKILL)
            if not await self._is_recorded(record.key, _AFTER_KILL_S):
                self._log.error("Session %s was killed and still is not gone", record.key)
        await self._kill_leftovers(record, members)

    async def _watch(self, record: SessionRecord, popen: Popen[bytes] | None) -> None:
        was_seen_alive = popen is not None or is_alive(record.process)
        await wait_for_exit(record.process)
        ended_ns, ended_at = boottime_ns(), datetime.now(UTC)
        code = popen.wait() if popen is not None else None
        note = read_exit_note(self._registry.exit_note(record.key))
        latest = self._registry.get(record.key) or record
        if note is not None and latest.last_seen_ns <= note[1] <= ended_ns + 10**9:
            code, at_ns = note
        else:
            at_ns = ended_ns if was_seen_alive else latest.last_seen_ns
        if was_seen_alive:
            at = ended_at - timedelta(microseconds=(ended_ns - at_ns) / 1000)
        else:
            # It may have ended before the machine started anew: count from the last look, on that boot's clock.
            at = latest.last_seen_at + timedelta(microseconds=(at_ns - latest.last_seen_ns) / 1000)
        self._exit_codes[record.key] = code or 0
        while len(self._exit_codes) > _ENDED_REMEMBERED:
            del self._exit_codes[next(iter(self._exit_codes))]
        while True:
            try:
                self._spool.append([_observation(latest, ObservationKind.EXITED, at_ns=at_ns, at=at, exit_code=code)])
                break
            except OSError:
                self._log.exception("The end of session %s cannot be written; trying again", record.key)
                await asyncio.sleep(_RETRY_WRITE_S)
        self._registry.remove(record.key)
        self._aged.discard(record.key)
        self._log.info("Session %s of %s ended with %s", record.key, record.username, code)
        self.when_spooled()
        await asyncio.to_thread(self._release_groups, record.key)
        self._watchers.pop(record.key, None)
        self.when_ended(latest)

    async def _is_recorded(self, key: str, timeout_s: float) -> bool:
        watcher = self._watchers.get(key)
        if watcher is None:
            return True
        done, _ = await asyncio.wait({watcher}, timeout=timeout_s)
        return bool(done)

    def _to_be_asked(self, record: SessionRecord, members: Sequence[ProcessIdentity]) -> list[ProcessIdentity]:
        """Return the single-user server's process: the second of its namespace, or the shell's child without one."""
        below = list(members[1:])
        if record.isolation != Isolation.SANDBOX:
            return below[:1]
        return [process for process in below if pid_inside(process.pid) == launch.MAIN_PID_INSIDE] or below[-1:]

    async def _kill_leftovers(self, record: SessionRecord, members: Sequence[ProcessIdentity]) -> None:
        if self._groups is not None:
            grouped = [identify(pid) for pid in self._groups.processes(record.key)]
            members = [*members, *(process for process in grouped if process is not None)]
        for _ in range(50):
            left = [process for process in members if is_alive(process)]
            if not left:
                return
            for process in left:
                send_signal(process, signal.SIGKILL)
            await asyncio.sleep(0.02)
        self._log.error("Processes of session %s could not be killed: %s", record.key, [process.pid for process in left])

    def _observe(self, records: Iterable[SessionRecord], kind: ObservationKind) -> None:
        at_ns, at = boottime_ns(), datetime.now(UTC)
        records = list(records)
        self._spool.append(
            _observation(record, kind, at_ns=at_ns, at=at, has_age=kind is ObservationKind.STARTED or record.key not in self._aged) for record in records
        )
        try:
            self._registry.note_seen([record.key for record in records], at_ns=at_ns, at=at)
        except OSError:
            # The spool has it; this is only the shorter way to it after a crash.
            self._log.exception("The last look at the sessions cannot be written")
        if kind is ObservationKind.SEEN:
            self._aged.update(record.key for record in records)
        self.when_spooled()

    def _record_of(self, grant: Grant, request: StartRequest, process: ProcessIdentity) -> SessionRecord:
        return SessionRecord(
            session_id=grant.session_id,
            generation=grant.generation,
            username=request.username,
            server=request.server,
            home=grant.home,
            profile=grant.profile,
            port=request.port,
            process=process,
            isolation=request.isolation.value,
            devices=tuple(device.id for device in grant.devices),
            memory_limit_bytes=grant.memory_limit_bytes,
            cpu_limit=grant.cpu_limit,
            held_until=grant.held_until,
            stop_at_ns=self._stop_at_ns(grant.held_until),
            last_seen_ns=boottime_ns(),
            last_seen_at=datetime.now(UTC),
            api_token=request.api_token,
        )

    def _stop_at_ns(self, held_until: datetime) -> int:
        left = held_until - datetime.now(UTC) + self._overrun
        return boottime_ns() + int(left.total_seconds() * 1_000_000_000)

    def _confine(self, key: str, pid: int, grant: Grant) -> None:
        if self._groups is not None:
            self._groups.create(key, memory_bytes=grant.memory_limit_bytes, cpu_limit=grant.cpu_limit, processes=launch.PROCESSES_MAX)
            self._groups.add(key, pid)

    def _release_groups(self, key: str) -> None:
        if self._groups is not None:
            self._groups.remove(key)


def _identified(pid: int) -> ProcessIdentity:
    process = identify(pid)
    if process is None:
        raise SessionNotStarted("The session's first process ended at once.")
    return process


def _observation(
    record: SessionRecord, kind: ObservationKind, *, at_ns: int, at: datetime, exit_code: int | None = None, has_age: bool = False
) -> dict[str, Any]:
    observation: dict[str, Any] = {
        "session_id": record.session_id,
        "generation": record.generation,
        "kind": kind.value,
        "boot_id": record.process.boot_id,
        "pid": record.process.pid,
        "process_started_ticks": record.process.started_ticks,
        "monotonic_ns": at_ns,
        "observed_at": instant_text(at),
        "exit_code": exit_code,
    }
    if has_age:
        observation["process_age_ns"] = age_ns(record.process, at_ns=at_ns)
    return observation
