"""The plug-in's long-lived part: looks at every session each minute, delivers, and obeys leases.

One for each hub, made by the authenticator. It outlives every portal outage: observations wait in the
spool, sessions run on for at most two hours past what is paid.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from logging import Logger
from pathlib import Path
from typing import Any

from portal.hub_plugin import cgroups, limits, sandbox
from portal.hub_plugin.contract import DeliveryAnswer
from portal.hub_plugin.portal_client import PortalClient, PortalUnavailable
from portal.hub_plugin.processes import own_memory_bytes, tree
from portal.hub_plugin.registry import Registry, SessionRecord
from portal.hub_plugin.sessions import Sessions
from portal.hub_plugin.settings import HubSettings, Isolation
from portal.hub_plugin.spool import KEEP_DAYS, Spool

BATCH_MAX = 500
_MEMORY_LOOK_S = 5.0
_MEMORY_TOLERANCE = 1.05
_BACK_OFF_MAX_S = 60.0
_STOP_PATIENCE_S = 10.0
_ORPHAN_LOOKS = 2


class Agent:
    """Everything of the plug-in that is one for each hub."""

    def __init__(self, settings: HubSettings, *, log: Logger, observe_interval_s: float = 60.0, overrun_s: float = 7200.0) -> None:
        self.settings = settings
        self.log = log
        self._observe_interval_s = observe_interval_s
        state = settings.state_dir
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.homes = state / "homes"
        self.logs = state / "logs"
        self.logs.mkdir(mode=0o700, exist_ok=True)
        self.spool = Spool(state / "spool")
        self.registry = Registry(state / "sessions")
        for path in self.registry.unreadable:
            log.error("A session's record could not be read and was put aside: %s", path)
        self.portal = PortalClient(settings.hub_api_url, settings.plugin_key)
        self.groups = cgroups.detect(state)
        self.sandbox_problem = self._try_limits()
        self.sessions = Sessions(spool=self.spool, registry=self.registry, groups=self.groups, logs=self.logs, overrun_s=overrun_s, log=log)
        self._spawners: dict[str, Any] = {}
        self._unattached: dict[str, int] = {}
        self._stopping: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._has_news = asyncio.Event()

    def begin(self) -> None:
        """Take up the sessions of an earlier hub and start the loops; needs a running event loop."""
        self.sessions.when_spooled = self._has_news.set
        self.sessions.when_ended = self._tell_hub
        self.sessions.adopt()
        self._run(self._forever(self._observe, self._observe_interval_s))
        self._run(self._deliver_forever())
        if self.groups is None or "memory" not in self.groups.folders:
            self._run(self._forever(self._watch_memory, _MEMORY_LOOK_S))
        self._has_news.set()

    def attach(self, record: SessionRecord, spawner: Any) -> None:
        """Remember which spawner of the hub's stands for a session."""
        self._spawners[record.key] = spawner

    async def stop(self, record: SessionRecord, *, patience_s: float = _STOP_PATIENCE_S) -> None:
        """Stop a session; returns when its end is spooled."""
        self._stopping.add(record.key)
        try:
            await self.sessions.stop(record, patience_s=patience_s)
        finally:
            self._stopping.discard(record.key)

    async def _observe(self) -> None:
        try:
            self.sessions.observe_all()
        except OSError:
            # A full disk must not keep unpaid sessions running.
            self.log.exception("The look at the sessions cannot be written")
        for record in self.sessions.overrun():
            self._stop_soon(record, "it has run for too long past what is paid, with no word from the portal")
        for record in self.registry:
            if self._is_orphan(record):
                self._stop_soon(record, "the hub has no server for it")
        await asyncio.to_thread(self._tidy)

    def _is_orphan(self, record: SessionRecord) -> bool:
        spawner = self._spawners.get(record.key)
        if spawner is not None and spawner.active:
            self._unattached.pop(record.key, None)
            return False
        self._unattached[record.key] = self._unattached.get(record.key, 0) + 1
        return self._unattached[record.key] > _ORPHAN_LOOKS

    async def _watch_memory(self) -> None:
        for record in self.registry:
            used = await asyncio.to_thread(_tree_memory_bytes, record)
            if used > record.memory_limit_bytes * _MEMORY_TOLERANCE:
                self._stop_soon(record, f"it holds {used} bytes of memory and may hold {record.memory_limit_bytes}")

    async def _deliver_forever(self) -> None:
        delay_s = 0.0
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            while self.spool.has_pending:
                try:
                    await self._deliver_once()
                    delay_s = 0.0
                except (PortalUnavailable, OSError) as error:
                    delay_s = min(_BACK_OFF_MAX_S, max(1.0, delay_s * 2))
                    self.log.warning("Observations up to %s wait, next try in %.0f s: %s", self.spool.last_offset, delay_s, error)
                    await asyncio.sleep(delay_s * random.uniform(0.7, 1.0))  # noqa: S311 - spreads calls, no secret

    async def _deliver_once(self) -> None:
        observations = await asyncio.to_thread(self.spool.pending, BATCH_MAX)
        answer = await self.portal.deliver(agent=self.spool.agent, observations=observations)
        last = observations[-1]["offset"] if observations else self.spool.last_offset
        if answer.acknowledged_offset > last:
            raise PortalUnavailable(f"the portal acknowledged {answer.acknowledged_offset} of {last}")
        is_progress = answer.acknowledged_offset > self.spool.acknowledged_offset
        # A portal that was restored from a backup acknowledges less than before: it gets everything again from there.
        await asyncio.to_thread(self.spool.acknowledge, answer.acknowledged_offset)
        self._apply_leases(answer)
        if not is_progress:
            raise PortalUnavailable(f"the portal acknowledged {answer.acknowledged_offset} again")

    def _apply_leases(self, answer: DeliveryAnswer) -> None:
        for session_id, lease in answer.leases.items():
            for record in self.sessions.learn_lease(session_id, lease.held_until):
                if lease.stop:
                    self._stop_soon(record, "the portal asks for it")

    def _stop_soon(self, record: SessionRecord, why: str) -> None:
        if record.key not in self._stopping:
            self.log.warning("Stopping session %s of %s: %s", record.key, record.username, why)
            self._stopping.add(record.key)
            self._run(self.stop(record))

    def _tell_hub(self, record: SessionRecord) -> None:
        """Let the hub see at once that a server is gone; its own look comes every half minute."""
        self._unattached.pop(record.key, None)
        spawner = self._spawners.pop(record.key, None)
        if spawner is not None and spawner.ready and not spawner.pending:
            self._run(spawner.poll_and_notify())

    def _tidy(self) -> None:
        self.spool.prune(now=datetime.now(UTC))
        oldest = time.time() - timedelta(days=KEEP_DAYS).total_seconds()
        for path in self.logs.glob("*.log"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest and self.registry.get(path.stem) is None:
                    path.unlink()

    def _try_limits(self) -> str:
        """Try the walls and limits, write down what held, and return why sessions cannot start ('' when they can)."""
        state, has_sandbox = self.settings.state_dir, self.settings.isolation is Isolation.SANDBOX
        (state / "trial").mkdir(mode=0o700, exist_ok=True)
        probe, trial = None, None
        if has_sandbox:
            trial = sandbox.Sandbox(
                username="trial",
                hostname="trial",
                home=state / "trial",
                environment=self.settings.session_environment,
                synthetic_etc=sandbox.write_synthetic_etc(state / "etc", "trial"),
            )
            probe = sandbox.probe(trial, [state, Path("/etc/shadow"), Path(__file__)])
        else:
            self.log.warning("SESSION_ISOLATION=%s: sessions run without a sandbox and can read each other and this hub", self.settings.isolation)
        problem = probe.problem if probe is not None else ""
        process_limit = "" if problem else limits.measure_process_limit(trial, self.groups, state / "trial")
        limits.write(state / "limits.json", limits.limits_in_force(probe=probe, groups=self.groups, process_limit=process_limit))
        if problem:
            self.log.error("No session can start: bubblewrap does not work here (are user namespaces forbidden?): %s", problem)
        return problem

    async def _forever(self, work: Callable[[], Awaitable[None]], interval_s: float) -> None:
        while True:
            try:
                await work()
            except Exception:
                # The loop that bills rest on must not end for one bad turn.
                self.log.exception("A turn of %s failed; the next one comes in %s s", getattr(work, "__name__", work), interval_s)
            await asyncio.sleep(interval_s)

    def _run(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error("A task of the agent failed", exc_info=error)


def _tree_memory_bytes(record: SessionRecord) -> int:
    return sum(own_memory_bytes(process.pid) for process in tree(record.process))
