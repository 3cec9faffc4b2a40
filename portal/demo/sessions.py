"""A little history of compute sessions: requested, started, observed and settled by the operations of every day."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count

from sqlalchemy.orm import Session

from portal.compute.operations import observations, starts, tickets, watch
from portal.compute.operations import sessions as compute
from portal.core.access import Actor
from portal.demo import people
from portal.demo.people import Cast

HUB = Actor.process("demo hub")
Past = tuple[int, int, str, int, str]
# Days ago, hour of the day (UTC), profile, minutes, what it was for.
HISTORY = (
    (21, 9, "cpu-notebook", 44, "Cleaning of call recordings"),
    (17, 14, "h100-slice-10", 57, "Tokeniser training"),
    (12, 10, "h100-slice-40", 35, "Baseline acoustic model"),
    (6, 15, "h100-slice-10", 26, "Error analysis"),
    (2, 9, "h100-slice-40", 71, "Fine-tuning, run 2"),
)
# A trial that has almost used up its credits.
TRIAL = tuple((days, 11, "h100-slice-10", minutes, "Counting flowers") for days, minutes in ((9, 62), (8, 48), (6, 55), (5, 58), (3, 50), (2, 46), (1, 30)))


def build(db: Session, cast: Cast, *, project_id: uuid.UUID, trial_id: uuid.UUID, now: datetime) -> None:
    """Run the founders' sessions of the last weeks."""
    offsets = count(1)
    _run_all(db, cast[people.FOUNDER], project_id, HISTORY, first=1, offsets=offsets, now=now)
    _run_all(db, cast[people.SECOND_FOUNDER], trial_id, TRIAL, first=1 + len(HISTORY), offsets=offsets, now=now)


def _run_all(db: Session, person: Actor, project_id: uuid.UUID, history: Sequence[Past], *, first: int, offsets: Iterator[int], now: datetime) -> None:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for number, (days, hour, profile, minutes, label) in enumerate(history, start=first):
        starts_at = midnight - timedelta(days=days) + timedelta(hours=hour, minutes=7 * number)
        _run(
            db,
            person,
            project_id,
            profile=profile,
            label=label,
            starts_at=starts_at,
            length=timedelta(minutes=minutes, seconds=11 * number),
            number=number,
            offsets=offsets,
        )


def _run(
    db: Session, person: Actor, project_id: uuid.UUID, *, profile: str, label: str, starts_at: datetime, length: timedelta, number: int, offsets: Iterator[int]
) -> None:
    session_id = compute.request(db, project_id=project_id, profile_slug=profile, duration_s=2 * 3600, label=label, by=person, now=starts_at)
    launch = starts.begin(db, session_id=session_id, by=HUB, now=starts_at)
    if launch is None:
        raise RuntimeError(f"the demo session {label!r} did not start")
    tickets.redeem(db, token=launch.ticket, username=launch.username, server=launch.server, now=starts_at + timedelta(seconds=1))
    up_at, ends_at = starts_at + timedelta(seconds=2), starts_at + timedelta(seconds=2) + length
    _observe(db, session_id, number, "started", offset=next(offsets), at=up_at, up_at=up_at)
    starts.mark_ready(db, session_id=session_id, by=HUB, now=up_at + timedelta(seconds=4))
    minute = up_at + timedelta(minutes=1)
    while minute < ends_at:
        # The hub's minute and the worker's minute, as on any day.
        if (minute - up_at) // timedelta(minutes=1) % 5 == 0:
            _observe(db, session_id, number, "seen", offset=next(offsets), at=minute, up_at=up_at)
            watch.roll(db, by=HUB, now=minute)
            watch.stop_over(db, by=HUB, now=minute)
        minute += timedelta(minutes=1)
    _observe(db, session_id, number, "exited", offset=next(offsets), at=ends_at, up_at=up_at)


def _observe(db: Session, session_id: uuid.UUID, number: int, kind: str, *, offset: int, at: datetime, up_at: datetime) -> None:
    age_ns = int((at - up_at).total_seconds() * 1_000_000_000)
    item = {
        "offset": offset,
        "session_id": str(session_id),
        "generation": 1,
        "kind": kind,
        "boot_id": "demo",
        "pid": 4000 + number,
        "process_started_ticks": 1000 * number,
        "monotonic_ns": number * 10**15 + age_ns,
        "observed_at": at.isoformat().replace("+00:00", "Z"),
        "process_age_ns": age_ns,
        "exit_code": 0 if kind == "exited" else None,
    }
    observations.receive(db, agent="demo-hub", items=[item], by=HUB, now=at + timedelta(seconds=1))
