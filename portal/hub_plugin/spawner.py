"""The spawner of the hub's local GPU pool: one session, one sandbox, nothing without a grant.

Of what a start may use it knows only what the portal granted when the ticket was redeemed; nothing
comes from `user_options`. A second lock beside `tickets.py`: without a grant `start` refuses.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from jupyterhub.spawner import Spawner, SpawnException
from jupyterhub.traitlets import Command
from jupyterhub.utils import random_port
from traitlets import Float, List, Unicode, default

from portal.hub_plugin import homes, launch, sandbox
from portal.hub_plugin.agent import Agent
from portal.hub_plugin.contract import DeviceKind, Grant
from portal.hub_plugin.processes import owns_listener
from portal.hub_plugin.refusals import refusal
from portal.hub_plugin.registry import SessionRecord
from portal.hub_plugin.sessions import SessionNotStarted, StartRequest
from portal.hub_plugin.settings import Isolation

_LOOK_S = 0.03
_SCRATCH_SHARE = 2
_KEPT_VARIABLES = ("JUPYTERHUB_",)


class SessionSpawner(Spawner):  # type: ignore[misc]
    """Runs a single-user server as a local process in a sandbox of its own."""

    cmd = Command(help="The single-user server's program and arguments, as seen from inside the sandbox.").tag(config=True)
    read_only_paths = List(Unicode(), help="Further files and folders that every session may read, at the same path.").tag(config=True)
    jupyter_config_dir = Unicode("", help="A folder that sessions find as /etc/jupyter.").tag(config=True)
    stop_patience_s = Float(10.0, help="How long a server may take to end by itself before it is killed.").tag(config=True)

    _grant: Grant | None = None
    _record: SessionRecord | None = None
    _is_preparing = False
    _step = (0, "")

    @default("cmd")
    def _default_cmd(self) -> list[str]:
        programs = self._agent.settings.session_environment / "bin"
        return [str(programs / "python"), str(programs / "jupyterhub-singleuser")]

    @default("env_keep")
    def _default_env_keep(self) -> list[str]:
        return []

    @property
    def _agent(self) -> Agent:
        agent: Agent = self.authenticator.agent
        return agent

    def accept(self, grant: Grant) -> None:
        """Take the portal's grant for the start that follows."""
        self._grant = grant
        self._step = (20, "Ticket accepted")
        self.mem_limit = grant.memory_limit_bytes
        self.cpu_limit = grant.cpu_limit
        self.default_url = grant.open_path

    async def start(self) -> tuple[str, int]:
        """Start the granted session and return its address. Raises SpawnException."""
        grant, self._grant = self._grant, None
        if grant is None:
            raise self._refused("not_granted", 403)
        if self._agent.sandbox_problem:
            raise self._refused("no_sandbox", 503)
        self.port = random_port()
        self._is_preparing = True
        try:
            request = await self._prepare(grant)
            record = self._agent.sessions.start(grant, request)
        except (SessionNotStarted, homes.UnusableHome, OSError) as error:
            self.log.exception("Session %s was not started", grant.session_id)
            raise self._refused("not_started", 503) from error
        finally:
            self._is_preparing = False
        self._record = record
        self._agent.attach(record, self)
        self._step = (60, "Server starting")
        await self._agent.sessions.settle(record)
        await self._wait_until_listening(record)
        return "127.0.0.1", self.port

    async def stop(self, now: bool = False) -> None:
        """Stop the session and return once nothing of it runs and its end is on record."""
        if self._record is not None:
            await self._agent.stop(self._record, patience_s=0.0 if now else self.stop_patience_s)

    async def poll(self) -> int | None:
        """Return None while the session runs (or is being prepared), else its exit code."""
        if self._record is None:
            return None if self._is_preparing else 0
        if self._agent.sessions.is_running(self._record):
            return None
        return self._agent.sessions.exit_code(self._record)

    async def get_url(self) -> str:
        """Return the server's address; the hub may have been killed before it wrote it down."""
        if self._record is not None:
            return f"http://127.0.0.1:{self._record.port}{self.server.base_url}"
        url: str = await super().get_url()
        return url

    def get_state(self) -> dict[str, Any]:
        """Return what the hub keeps of this server in its database; the token stays out of it."""
        state: dict[str, Any] = super().get_state()
        if self._record is not None:
            state["session"] = {key: value for key, value in self._record.as_json().items() if key != "api_token"}
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Find the session again after a restart of the hub: on the plug-in's own disk first, which knows it from its first instant."""
        super().load_state(state)
        record = self._agent.registry.find(username=self.user.name, server=self.name)
        if record is None and "session" in state:
            with contextlib.suppress(KeyError, TypeError, ValueError):
                record = SessionRecord.from_json({"api_token": "", **state["session"]})
        if record is not None:
            self._record = record
            self.port = record.port
            # With its token known, the hub withdraws it when the session ends.
            self.api_token = record.api_token
            self._agent.sessions.restore(record)
            self._agent.attach(record, self)

    def clear_state(self) -> None:
        """Forget the last session; JupyterHub calls this before each start and after each stop."""
        super().clear_state()
        self._record = None
        self._grant = None
        self._step = (0, "")

    def get_env(self) -> dict[str, str]:
        """Return the session's whole environment: the hub's words for it and ours, nothing of the hub's own."""
        inherited = {
            name: str(value)
            for name, value in super().get_env().items()
            if value is not None and (name.startswith(_KEPT_VARIABLES) or name in self.environment)
        }
        programs = self._agent.settings.session_environment / "bin"
        return inherited | {
            "HOME": self._home_inside(),
            "USER": self.user.name,
            "LOGNAME": self.user.name,
            "SHELL": "/bin/bash",
            "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TMPDIR": "/tmp",  # noqa: S108 - the session's own
            "JUPYTER_RUNTIME_DIR": "/tmp/jupyter-runtime",  # noqa: S108 - the session's own; two sessions may share a home
            "MEM_LIMIT": str(self.mem_limit or 0),
            "CPU_LIMIT": str(self.cpu_limit or 0),
        }

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield where the start is, for the portal's page."""
        sent = (0, "")
        while True:
            if self._step != sent:
                sent = self._step
                yield {"progress": sent[0], "message": sent[1]}
            await asyncio.sleep(0.1)

    async def _prepare(self, grant: Grant) -> StartRequest:
        home = await asyncio.to_thread(homes.prepare, self._agent.homes, grant.home)
        if skipped := await asyncio.to_thread(homes.place, home, grant.files):
            self.log.info("Left alone in the home of %s: %s", self.user.name, ", ".join(skipped))
        paths = sandbox.device_files([path for device in grant.devices for path in device.paths])
        if missing := sandbox.missing(paths):
            raise SessionNotStarted(f"granted devices are missing on this machine: {missing}")
        settings = self._agent.settings
        environment = self.get_env() | _device_environment(grant) | dict(grant.environment)
        program = [*self.cmd, *self.get_args()]
        if settings.isolation is Isolation.SANDBOX:
            program = sandbox.command(self._sandbox(grant, home, paths), program)
        else:
            environment |= {"HOME": str(home), "JUPYTER_RUNTIME_DIR": str(home / ".runtime")}
        return StartRequest(
            username=self.user.name,
            server=self.name,
            port=self.port,
            command=program,
            environment=environment,
            isolation=settings.isolation,
            api_token=self.api_token,
        )

    def _sandbox(self, grant: Grant, home: Path, devices: tuple[str, ...]) -> sandbox.Sandbox:
        state = self._agent.settings.state_dir
        return sandbox.Sandbox(
            username=self.user.name,
            hostname=self.name,
            home=home,
            environment=self._agent.settings.session_environment,
            synthetic_etc=sandbox.write_synthetic_etc(state / "etc", self.user.name),
            read_only=tuple(Path(path) for path in self.read_only_paths),
            hidden=self._hidden(),
            jupyter_config=Path(self.jupyter_config_dir) if self.jupyter_config_dir else None,
            devices=devices,
            scratch_bytes=grant.memory_limit_bytes // _SCRATCH_SHARE,
        )

    def _hidden(self) -> tuple[Path, ...]:
        """Return what of the environment sessions must not have.

        The notebook debugger listens on the machine's loopback, which all sessions share, and asks nobody
        who they are: whoever connects runs code in the session.
        """
        return tuple(self._agent.settings.session_environment.glob("lib/python3*/site-packages/debugpy"))

    def _home_inside(self) -> str:
        return f"/home/{self.user.name}"

    async def _wait_until_listening(self, record: SessionRecord) -> None:
        """Return once the session's own server accepts connections: seen sooner than by the hub's growing waits."""
        while self._agent.sessions.is_running(record):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", record.port)
            except OSError:
                await asyncio.sleep(_LOOK_S)
                continue
            writer.close()
            if not await asyncio.to_thread(owns_listener, record.process, record.port):
                self.log.error("Port %s of session %s is held by another process", record.port, record.key)
                await self._agent.stop(record, patience_s=0.0)
                raise self._refused("port_taken", 503)
            await asyncio.to_thread(launch.lower_priority, record.process)
            self._step = (80, "Server answers")
            return
        log = self._agent.logs / f"{record.key}.log"
        self.log.error("Session %s ended before it answered; its last words are in %s", record.key, log)
        raise self._refused("ended_early", 503)

    def _refused(self, reason: str, status: int) -> SpawnException:
        return refusal(reason, status=status, portal_url=self._agent.settings.portal_url)


def _device_environment(grant: Grant) -> dict[str, str]:
    """Tell programs which devices they have; a simulated one is none to CUDA."""
    environment = {"AIHUB_DEVICES": ",".join(device.id for device in grant.devices)}
    named = [device.id for device in grant.devices if device.kind is DeviceKind.NVIDIA and device.id.startswith(("GPU-", "MIG-"))]
    if named:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(named)
    elif not any(device.kind is DeviceKind.NVIDIA for device in grant.devices):
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return environment
