"""One-time tickets: the portal's job gets one, the hub's plug-in spends it before it spawns. No ticket, no server."""

import base64
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from portal.compute import rules
from portal.compute.models import ComputeSession, Device, DeviceHold, Profile, SessionFile, Ticket
from portal.compute.states import DeviceKind, SessionState
from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Refused
from portal.core.ids import digest, new_secret
from portal.credits import queries as ledger
from portal.identity import relations as identity

HUB = Actor.process("hub")


class TicketUnknown(Refused):
    """No such ticket was ever issued."""

    text = N_("This ticket was never issued.")


class TicketUsed(Refused):
    """A ticket starts a session once."""

    text = N_("This ticket was used already.")


class TicketExpired(Refused):
    """A ticket is good for two minutes."""

    text = N_("This ticket has expired.")


class TicketNotYours(Refused):
    """The ticket was issued for another user or another server."""

    text = N_("This ticket belongs to another user or server.")


class SessionNotStarting(Conflict):
    """The session is not waiting to start, or its person or its credit is gone."""

    text = N_("This session is not waiting to start.")


@dataclass(frozen=True)
class GrantedDevice:
    """A device that the session may use."""

    id: str
    kind: str
    paths: list[str]


@dataclass(frozen=True)
class Grant:
    """Everything that a start may use; nothing else counts."""

    session_id: uuid.UUID
    generation: int
    profile: str
    devices: list[GrantedDevice]
    cpu_limit: float
    memory_limit_bytes: int
    environment: Mapping[str, str]
    home: str
    open_path: str
    held_until: datetime
    files: list[tuple[str, bytes]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the answer of the protocol."""
        return {
            "session_id": str(self.session_id),
            "generation": self.generation,
            "profile": self.profile,
            "devices": [{"id": device.id, "kind": device.kind, "paths": device.paths} for device in self.devices],
            "cpu_limit": self.cpu_limit,
            "memory_limit_bytes": self.memory_limit_bytes,
            "environment": dict(self.environment),
            "home": self.home,
            "files": [{"path": path, "content_base64": base64.b64encode(content).decode()} for path, content in self.files],
            "open_path": self.open_path,
            "held_until": self.held_until.isoformat().replace("+00:00", "Z"),
        }


def issue(db: Session, row: ComputeSession, *, username: str, now: datetime) -> str:
    """Return a new ticket for a session; those issued before and not spent are void."""
    db.execute(delete(Ticket).where(Ticket.session_id == row.id, Ticket.used_at.is_(None)))
    token = new_secret()
    db.add(
        Ticket(
            token_digest=digest(token),
            session_id=row.id,
            generation=row.generation,
            username=username,
            server=row.slug,
            issued_at=now,
            expires_at=now + rules.TICKET_LIFE,
            used_at=None,
        )
    )
    db.flush()
    return token


def redeem(db: Session, *, token: str, username: str, server: str, now: datetime) -> Grant:
    """Spend a ticket and return what the start may use.

    Raises TicketUnknown, TicketUsed, TicketExpired, TicketNotYours, SessionNotStarting; a refused ticket is not spent.
    """
    # The session's lock comes first everywhere: of two that race for the ticket the second waits here, then finds it used.
    of_ticket = select(ComputeSession).join(Ticket, Ticket.session_id == ComputeSession.id).where(Ticket.token_digest == digest(token))
    row = db.execute(of_ticket.with_for_update(of=ComputeSession)).scalar_one_or_none()
    person = identity.person.c
    spend = (
        update(Ticket)
        .where(
            Ticket.token_digest == digest(token),
            Ticket.used_at.is_(None),
            Ticket.expires_at > now,
            Ticket.username == username,
            Ticket.server == server,
            exists().where(
                ComputeSession.id == Ticket.session_id,
                ComputeSession.generation == Ticket.generation,
                ComputeSession.state == SessionState.STARTING,
                person.id == ComputeSession.person_id,
                person.is_active,
            ),
        )
        .values(used_at=now)
        .returning(Ticket.session_id)
        .execution_options(synchronize_session=False)
    )
    if row is None or db.execute(spend).scalar_one_or_none() is None:
        raise _refusal(db, token=token, username=username, server=server, now=now)
    cost = ledger.session_costs(db, [row.id], now=now).get(row.id)
    if cost is None or cost.window_ends_at <= now:
        raise SessionNotStarting
    row.redeemed_at = now
    audit.record(db, "redeemed", "compute_session", row.id, by=HUB, now=now, server=server)
    return _grant(db, row, username=username, held_until=cost.window_ends_at)


def _refusal(db: Session, *, token: str, username: str, server: str, now: datetime) -> Refused | Conflict:
    ticket = db.execute(select(Ticket).where(Ticket.token_digest == digest(token))).scalar_one_or_none()
    if ticket is None:
        return TicketUnknown()
    if ticket.username != username or ticket.server != server:
        return TicketNotYours()
    if ticket.used_at is not None:
        return TicketUsed()
    return TicketExpired() if ticket.expires_at <= now else SessionNotStarting()


def _grant(db: Session, row: ComputeSession, *, username: str, held_until: datetime) -> Grant:
    profile = db.execute(select(Profile).where(Profile.id == row.profile_id)).scalar_one()
    held = select(Device).join(DeviceHold, DeviceHold.device_id == Device.id).where(DeviceHold.session_id == row.id, DeviceHold.released_at.is_(None))
    devices = db.execute(held).scalars().all()
    files = db.execute(select(SessionFile.path, SessionFile.content).where(SessionFile.session_id == row.id).order_by(SessionFile.path)).all()
    return Grant(
        session_id=row.id,
        generation=row.generation,
        profile=profile.slug,
        devices=[GrantedDevice(device.name, device.kind, list(device.paths)) for device in devices if device.kind != DeviceKind.SEAT],
        cpu_limit=profile.cpu_millicores / 1000,
        memory_limit_bytes=profile.memory_limit_bytes,
        environment={"AIHUB_SESSION": row.slug, "AIHUB_PROFILE": profile.slug},
        home=username,
        open_path=row.open_path,
        held_until=held_until,
        files=[(path, bytes(content)) for path, content in files],
    )
