"""A pool, people who may pay, sessions and what a plug-in would see of them, made by the real operations.

ada = spender(db, now=now)                         person, project, wallet with credits
session_id = requested(db, ada, now=now)
grant = started(db, session_id, now=now)           the hub redeemed the ticket
seen = Plugin(session_id)                          builds observations of one process
deliver(db, [seen.started(), seen.seen(60)], now=now)
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.compute.models import ComputeSession, HubAgent
from portal.compute.operations import observations, pool, sessions, starts, tickets
from portal.compute.operations.observations import Receipt
from portal.compute.operations.pool import GIB, LocalPlan, PlannedDevice
from portal.compute.operations.tickets import Grant
from portal.compute.states import DeviceKind
from portal.core.access import Actor
from portal.core.quantities import credits_ucr
from portal.credits.operations import wallets
from portal.identity.queries import PersonCard
from portal.projects.operations import members, projects
from portal.projects.states import MemberRole, ProjectKind
from tests.factories import credits as ledger
from tests.factories import identity as people

TESTS = Actor.process("tests")
HUB = Actor.process("hub")
_offsets = count(1)
_pids = count(4000)


@dataclass(frozen=True)
class Spender:
    """Somebody with a project that has credits."""

    person: PersonCard
    project_id: uuid.UUID
    wallet_id: uuid.UUID

    @property
    def actor(self) -> Actor:
        return self.person.actor


def small_pool(db: Session, *, now: datetime, seats: int = 2, slices: int = 2, full: int = 1) -> None:
    """Register a pool with a few devices of each class."""
    devices = [PlannedDevice(f"seat-{n}", DeviceKind.SEAT, pool.SEAT, "CPU") for n in range(seats)]
    devices += [PlannedDevice(f"sim-10-{n}", DeviceKind.SIMULATED, pool.SLICE_10, "H100, simulated") for n in range(slices)]
    devices += [PlannedDevice(f"sim-80-{n}", DeviceKind.SIMULATED, pool.FULL_80, "H100, simulated") for n in range(full)]
    pool.ensure_local_pool(db, by=TESTS, now=now, plan=LocalPlan(2 * GIB, 4 * GIB, 2000, devices))


def spender(db: Session, *, now: datetime, balance: int = 100, role: MemberRole = MemberRole.LEAD, name: str = "Darija speech") -> Spender:
    """Make a person with a project whose wallet has credits; the project has another lead."""
    person = people.person(db, now=now)
    project_id = projects.open(db, kind=ProjectKind.VENTURE, name=name, by=TESTS, now=now)
    members.add(db, project_id=project_id, person_id=person.id, role=role, by=TESTS, now=now)
    wallet_id = wallets.open(db, project_id=project_id, by=TESTS, now=now)
    if balance:
        ledger.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(balance))
    return Spender(person, project_id, wallet_id)


def requested(db: Session, by: Spender, *, now: datetime, profile: str = "h100-slice-10", duration_s: int = 3600, label: str = "", **more: Any) -> uuid.UUID:
    """Request a session; the pool is there or made."""
    small_pool(db, now=now)
    return sessions.request(db, project_id=by.project_id, profile_slug=profile, duration_s=duration_s, label=label, by=by.actor, now=now, **more)


def row_of(db: Session, session_id: uuid.UUID) -> ComputeSession:
    """Return the session's row as it is in the database."""
    return db.execute(select(ComputeSession).where(ComputeSession.id == session_id).execution_options(populate_existing=True)).scalar_one()


def launched(db: Session, session_id: uuid.UUID, *, now: datetime) -> starts.Launch:
    """Do what the start job does before it calls the hub."""
    launch = starts.begin(db, session_id=session_id, by=TESTS, now=now)
    assert launch is not None
    return launch


def started(db: Session, session_id: uuid.UUID, *, now: datetime, is_ready: bool = True) -> Grant:
    """Let the hub redeem the ticket, and by default its server answer."""
    launch = launched(db, session_id, now=now)
    grant = tickets.redeem(db, token=launch.ticket, username=launch.username, server=launch.server, now=now)
    if is_ready:
        starts.mark_ready(db, session_id=session_id, by=TESTS, now=now)
    return grant


def running(db: Session, by: Spender, *, now: datetime, **more: Any) -> tuple[uuid.UUID, "Plugin"]:
    """Request and start a session, and let the plug-in see its process start."""
    session_id = requested(db, by, now=now, **more)
    started(db, session_id, now=now)
    plugin = Plugin(session_id, begins_at=now)
    deliver(db, [plugin.started()], now=now)
    return session_id, plugin


@dataclass
class Plugin:
    """What a plug-in sees of one process; times are seconds of the process's life."""

    session_id: uuid.UUID
    begins_at: datetime = field(default_factory=lambda: datetime.fromisoformat("2026-11-23T10:00:00+00:00"))
    generation: int = 1
    boot_id: str = "5c1d-boot"
    pid: int = field(default_factory=lambda: next(_pids))
    begins_ns: int = 77_120 * 10**9

    def started(self, at_s: float = 0, **more: Any) -> dict[str, Any]:
        """See it begin; its age says how long before the look."""
        return self._observation("started", at_s, process_age_ns=int(at_s * 10**9), **more)

    def seen(self, at_s: float, **more: Any) -> dict[str, Any]:
        """See it alive."""
        return self._observation("seen", at_s, **more)

    def exited(self, at_s: float, exit_code: int | None = 0, **more: Any) -> dict[str, Any]:
        """See it end."""
        return self._observation("exited", at_s, exit_code=exit_code, **more)

    def _observation(self, kind: str, at_s: float, **more: Any) -> dict[str, Any]:
        fields = {
            "offset": next(_offsets),
            "session_id": str(self.session_id),
            "generation": self.generation,
            "kind": kind,
            "boot_id": self.boot_id,
            "pid": self.pid,
            "process_started_ticks": self.begins_ns // 10**7,
            "monotonic_ns": self.begins_ns + int(at_s * 10**9),
            "observed_at": (self.begins_at + timedelta(seconds=at_s)).isoformat(),
            "exit_code": None,
        }
        return fields | more


def deliver(db: Session, items: Sequence[Mapping[str, Any]], *, now: datetime, agent: str = "hub-1", has_gap: bool = False) -> Receipt:
    """Deliver observations as the plug-in does; the offsets of these tests count over all agents, which is no gap."""
    offsets = [item["offset"] for item in items if isinstance(item.get("offset"), int)]
    if offsets and not has_gap:
        row = insert(HubAgent).values(agent=agent, contiguous_offset=min(offsets) - 1, received_at=now)
        furthest = func.greatest(HubAgent.contiguous_offset, row.excluded.contiguous_offset)
        db.execute(row.on_conflict_do_update(index_elements=["agent"], set_={"contiguous_offset": furthest}))
    receipt = observations.receive(db, agent=agent, items=items, by=HUB, now=now)
    db.flush()
    return receipt
