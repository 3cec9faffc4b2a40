"""Receive what the hub's plug-in saw: keep it, work out what it proves, and say which sessions still have credit.

Everything here may happen twice, late or in any order, and the result is the same.
"""

import json
import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, case, column, func, select, update, values
from sqlalchemy.dialects.postgresql import UUID, insert
from sqlalchemy.orm import Session

from portal.compute import protocol, rules
from portal.compute.models import ComputeSession, HubAgent, Observation, QuarantinedObservation, ServerProcess
from portal.compute.operations import endings
from portal.compute.protocol import MalformedObservation, Observed
from portal.compute.rules import Life, ProcessId, Span
from portal.compute.states import LIVE, SESSION, Failure, Quarantine, SessionState
from portal.core import jobs
from portal.core.access import Actor
from portal.core.errors import N_, Invalid
from portal.core.ids import new_id
from portal.credits import queries as ledger
from portal.credits.operations import meters
from portal.credits.operations.meters import Proven

logger = logging.getLogger(__name__)

_Key = tuple[uuid.UUID, int, ProcessId]


class MalformedDelivery(Invalid):
    """The delivery as a whole cannot be read, so nothing of it can be acknowledged."""

    text = N_("This delivery is not what the protocol says: %(where)s.")


@dataclass(frozen=True)
class Lease:
    """Until when a session's credit is held, and whether its server should stop now."""

    held_until: datetime
    stop: bool


@dataclass(frozen=True)
class Receipt:
    """The answer to a delivery."""

    acknowledged_offset: int
    leases: Mapping[uuid.UUID, Lease]


def receive(db: Session, *, agent: str, items: Sequence[Mapping[str, Any]], by: Actor, now: datetime) -> Receipt:
    """Store a delivery and settle what it decides. Raises MalformedDelivery."""
    if not protocol.is_agent(agent):
        raise MalformedDelivery(where="agent")
    if len(items) > protocol.MOST_OBSERVATIONS:
        raise MalformedDelivery(where="observations")
    try:
        offsets = [protocol.offset_of(item) for item in items]
    except MalformedObservation as error:
        raise MalformedDelivery(where="offset") from error
    acknowledged_offset = _acknowledge(db, agent, offsets, now=now)
    observed, aside = _read(zip(offsets, items, strict=True))
    rows = _locked(db, {item.session_id for item in observed})
    known = _known_spans(db, set(rows))
    believed = _believed(observed, rows, known, items=dict(zip(offsets, items, strict=True)), aside=aside, now=now)
    _keep_aside(db, agent, aside, now=now)
    fresh = _store(db, agent, believed, now=now)
    if fresh:
        _merge(db, agent, fresh)
        _book(db, {item.session_id: rows[item.session_id] for item in fresh}, exit_codes=_exit_codes(fresh), by=by, now=now)
    mentioned = {item.session_id for item in believed}
    return Receipt(acknowledged_offset, _leases(db, agent, mentioned, now=now))


def _read(items: Iterable[tuple[int, Mapping[str, Any]]]) -> tuple[list[Observed], list[tuple[int, Quarantine, Mapping[str, Any]]]]:
    observed: list[Observed] = []
    aside: list[tuple[int, Quarantine, Mapping[str, Any]]] = []
    for offset, raw in items:
        try:
            observed.append(protocol.parse(raw))
        except MalformedObservation:
            aside.append((offset, Quarantine.MALFORMED, raw))
    return observed, aside


def _locked(db: Session, session_ids: set[uuid.UUID]) -> dict[uuid.UUID, ComputeSession]:
    query = select(ComputeSession).where(ComputeSession.id.in_(session_ids)).order_by(ComputeSession.id).with_for_update()
    return {row.id: row for row in db.execute(query).scalars()}


def _known_spans(db: Session, session_ids: set[uuid.UUID]) -> dict[_Key, Span]:
    query = select(ServerProcess).where(ServerProcess.session_id.in_(session_ids))
    return {_key(row): _span(row) for row in db.execute(query).scalars()}


def _key(row: ServerProcess) -> _Key:
    return row.session_id, row.generation, ProcessId(row.boot_id, row.pid, row.started_ticks)


def _span(row: ServerProcess) -> Span:
    return Span(ProcessId(row.boot_id, row.pid, row.started_ticks), row.begins_ns, row.ends_ns, row.anchor_ns, row.anchor_at, row.has_ended)


def _believed(
    observed: Sequence[Observed],
    rows: Mapping[uuid.UUID, ComputeSession],
    known: Mapping[_Key, Span],
    *,
    items: Mapping[int, Mapping[str, Any]],
    aside: list[tuple[int, Quarantine, Mapping[str, Any]]],
    now: datetime,
) -> list[Observed]:
    """Return what may count, and put the rest aside with its reason."""
    believed: list[Observed] = []
    anchors = dict(known)
    for item in sorted(observed, key=lambda one: (one.sight.process.boot_id, one.sight.at_ns, one.offset)):
        span = anchors.get(item.key)
        at = item.sight.observed_at if span is None else span.at(item.sight.at_ns)
        reason = None
        if item.session_id not in rows:
            reason = Quarantine.UNKNOWN_SESSION
        elif rules.is_future(at, now=now):
            reason = Quarantine.FUTURE
        elif rules.is_too_old(at, now=now):
            reason = Quarantine.TOO_OLD
        if reason is not None:
            aside.append((item.offset, reason, items[item.offset]))
            continue
        if abs(at - item.sight.observed_at) > rules.FUTURE_LIMIT:
            logger.warning("the clock of the hub's machine jumped: session %s is billed by the boot's clock", item.session_id)
        anchors.setdefault(item.key, rules.sight_span(item.sight))
        believed.append(item)
    return believed


def _keep_aside(db: Session, agent: str, aside: Sequence[tuple[int, Quarantine, Mapping[str, Any]]], *, now: datetime) -> None:
    if not aside:
        return
    rows = [
        # As text within JSON: what could not be read may hold what PostgreSQL's JSON does not take.
        {"id": new_id(), "agent": agent, "agent_offset": offset, "reason": reason.value, "raw": {"text": json.dumps(raw)[:4000]}, "received_at": now}
        for offset, reason, raw in aside
    ]
    stored = db.execute(insert(QuarantinedObservation).values(rows).on_conflict_do_nothing().returning(QuarantinedObservation.agent_offset)).scalars().all()
    if stored:
        logger.warning("%s observations of %s are kept aside, first offset %s: %s", len(stored), agent, min(stored), aside[0][1])


def _store(db: Session, agent: str, believed: Sequence[Observed], *, now: datetime) -> list[Observed]:
    """Insert what is new and return it: a repeated sight changes nothing, under whatever offset it comes."""
    if not believed:
        return []
    rows = [
        {
            "id": new_id(),
            "agent": agent,
            "agent_offset": item.offset,
            "session_id": item.session_id,
            "generation": item.generation,
            "kind": item.kind.value,
            "boot_id": item.sight.process.boot_id,
            "pid": item.sight.process.pid,
            "process_started_ticks": item.sight.process.started_ticks,
            "monotonic_ns": item.sight.at_ns,
            "process_age_ns": item.sight.age_ns,
            "observed_at": item.sight.observed_at,
            "received_at": now,
            "exit_code": item.exit_code,
        }
        for item in believed
    ]
    stored = set(db.execute(insert(Observation).values(rows).on_conflict_do_nothing().returning(Observation.agent_offset)).scalars())
    return [item for item in believed if item.offset in stored]


def _merge(db: Session, agent: str, fresh: Sequence[Observed]) -> None:
    """Widen the spans of the processes seen, in one statement."""
    grouped: dict[_Key, list[Observed]] = defaultdict(list)
    for item in fresh:
        grouped[item.key].append(item)
    rows = []
    for (session_id, generation, process), items in sorted(grouped.items(), key=lambda entry: str(entry[0])):
        span = rules.spans(item.sight for item in items)[process]
        rows.append(
            {
                "session_id": session_id,
                "generation": generation,
                "boot_id": process.boot_id,
                "pid": process.pid,
                "started_ticks": process.started_ticks,
                "agent": agent,
                "begins_ns": span.begins_ns,
                "ends_ns": span.ends_ns,
                "anchor_ns": span.anchor_ns,
                "anchor_at": span.anchor_at,
                "has_ended": span.has_ended,
                "exit_code": next((item.exit_code for item in items if item.exit_code is not None), None),
            }
        )
    statement = insert(ServerProcess).values(rows)
    new, old = statement.excluded, ServerProcess
    is_earlier = (new.anchor_ns < old.anchor_ns) | ((new.anchor_ns == old.anchor_ns) & (new.anchor_at < old.anchor_at))
    db.execute(
        statement.on_conflict_do_update(
            index_elements=["session_id", "generation", "boot_id", "pid", "started_ticks"],
            set_={
                "begins_ns": func.least(old.begins_ns, new.begins_ns),
                "ends_ns": func.greatest(old.ends_ns, new.ends_ns),
                "anchor_ns": func.least(old.anchor_ns, new.anchor_ns),
                "anchor_at": case((is_earlier, new.anchor_at), else_=old.anchor_at),
                "has_ended": old.has_ended | new.has_ended,
                "exit_code": func.coalesce(old.exit_code, new.exit_code),
            },
        ).execution_options(synchronize_session=False, populate_existing=True)
    )


def _exit_codes(fresh: Sequence[Observed]) -> dict[uuid.UUID, int]:
    return {item.session_id: item.exit_code for item in fresh if item.exit_code is not None}


def lives(db: Session, rows: Mapping[uuid.UUID, ComputeSession]) -> dict[uuid.UUID, Life]:
    """Return what is proven of each session, in its present generation."""
    query = select(ServerProcess).where(ServerProcess.session_id.in_(list(rows))).execution_options(populate_existing=True)
    spans: dict[uuid.UUID, list[Span]] = defaultdict(list)
    for process in db.execute(query).scalars():
        if process.generation == rows[process.session_id].generation:
            spans[process.session_id].append(_span(process))
    found = {session_id: rules.proven(of_session) for session_id, of_session in spans.items()}
    return {session_id: life for session_id, life in found.items() if life is not None}


def _is_billable(row: ComputeSession) -> bool:
    """Return whether proof counts: not for a start that failed, nor for a session that was given back unused."""
    return row.state in {SessionState.STARTING, SessionState.RUNNING, SessionState.STOPPING, SessionState.LOST} or (
        row.state == SessionState.STOPPED and row.started_at is not None
    )


def _book(db: Session, rows: Mapping[uuid.UUID, ComputeSession], *, exit_codes: Mapping[uuid.UUID, int], by: Actor, now: datetime) -> None:
    proven = {session_id: life for session_id, life in lives(db, rows).items() if _is_billable(rows[session_id])}
    live = {session_id: life for session_id, life in proven.items() if rows[session_id].state in LIVE}
    if live:
        begun = [session_id for session_id in live if rows[session_id].started_at is None]
        _advance(db, live)
        plan_stops(db, [(rows[session_id], live[session_id]) for session_id in begun])
        record(db, [(rows[session_id], life) for session_id, life in sorted(live.items())], now=now)
    for session_id, life in sorted(proven.items()):
        _end(db, rows[session_id], life, exit_code=exit_codes.get(session_id), by=by, now=now)


def record(db: Session, proven: Sequence[tuple[ComputeSession, Life]], *, now: datetime) -> None:
    """Tell the meters what is proven, of sessions that came up: a start that fails is not charged, so it is not told."""
    came_up = [
        (row, life)
        for row, life in proven
        if not rules.failed_to_start(is_ready_known=row.ready_at is not None, proven_s=life.proven_s, was_asked_to_stop=row.stop_cause is not None)
    ]
    meters.record_proven(db, [Proven(row.id, row.generation, life.started_at, life.proven_s, life.last_seen_at) for row, life in came_up], now=now)


def _advance(db: Session, live: Mapping[uuid.UUID, Life]) -> None:
    """Write what is proven into all sessions in one statement; the first proof makes a starting session a running one."""
    new = values(
        column("id", UUID(as_uuid=True)),
        column("proven_s", BigInteger),
        column("started_at", DateTime(timezone=True)),
        column("last_seen_at", DateTime(timezone=True)),
        name="new",
    ).data([(sid, life.proven_s, life.started_at, life.last_seen_at) for sid, life in sorted(live.items())])
    statement = (
        update(ComputeSession)
        .where(ComputeSession.id == new.c.id)
        .values(
            proven_s=new.c.proven_s,
            started_at=new.c.started_at,
            last_seen_at=new.c.last_seen_at,
            state=case((ComputeSession.state == SessionState.STARTING.value, SessionState.RUNNING.value), else_=ComputeSession.state),
        )
        .execution_options(synchronize_session=False)
    )
    db.execute(statement)
    # The rows in hand are read again: the statement above passed them by.
    db.execute(select(ComputeSession).where(ComputeSession.id.in_(list(live))).execution_options(populate_existing=True)).scalars().all()


def plan_stops(db: Session, begun: Sequence[tuple[ComputeSession, Life]]) -> None:
    """Have sessions looked at when their time is over; each minute's look would be up to a minute late."""
    ends = [life.started_at + timedelta(seconds=row.duration_s) - rules.STOP_MARGIN for row, life in begun]
    jobs.enqueue_each(db, "compute.stop_due", [jobs.Call(due_at=at) for at in ends])


def _end(db: Session, row: ComputeSession, life: Life, *, exit_code: int | None, by: Actor, now: datetime) -> None:
    if not life.ended:
        if row.state in {SessionState.LOST, SessionState.STOPPED} and life.proven_s > row.proven_s:
            endings.correct(db, row, life, now=now)
        return
    is_failed_start = rules.failed_to_start(is_ready_known=row.ready_at is not None, proven_s=life.proven_s, was_asked_to_stop=row.stop_cause is not None)
    if row.state == SessionState.STOPPED:
        if life.proven_s > row.proven_s:
            endings.correct(db, row, life, now=now)
    elif is_failed_start and row.state in SESSION.sources("fail"):
        endings.fail(db, row, Failure.DID_NOT_START, by=by, now=now)
    else:
        endings.finish(db, row, life, by=by, now=now, exit_code=exit_code)


def _acknowledge(db: Session, agent: str, offsets: Sequence[int], *, now: datetime) -> int:
    """Return up to where everything of an agent is known; deliveries of one agent wait for each other here.

    After a gap (this database was restored from a backup) the agent is asked once to send again from there; what its
    spool no longer has is then passed over. What came with the gap is kept all the same.
    """
    row = insert(HubAgent).values(agent=agent, contiguous_offset=0, asked_offset=None, received_at=now)
    kept = row.on_conflict_do_update(index_elements=["agent"], set_={"received_at": now}).returning(HubAgent.contiguous_offset, HubAgent.asked_offset)
    known, asked = db.execute(kept.execution_options(synchronize_session=False)).one()
    if not offsets:
        return int(known)
    has_gap = min(offsets) > known + 1 and asked != known
    if has_gap:
        logger.warning("%s is asked to send its observations again from %s: those up to %s are not known", agent, known, min(offsets) - 1)
    changes = {"asked_offset": known} if has_gap else {"contiguous_offset": max(known, *offsets), "asked_offset": None}
    db.execute(update(HubAgent).where(HubAgent.agent == agent).values(changes).execution_options(synchronize_session=False))
    return int(known) if has_gap else max(offsets)


def _leases(db: Session, agent: str, mentioned: set[uuid.UUID], *, now: datetime) -> dict[uuid.UUID, Lease]:
    """Return a lease for each session that this agent reported and that runs, and a stop for each that should not."""
    of_agent = select(ServerProcess.session_id).where(ServerProcess.agent == agent)
    is_named = (ComputeSession.id.in_(of_agent) & ComputeSession.state.in_(LIVE)) | ComputeSession.id.in_(mentioned)
    states = {row.id: row.state for row in db.execute(select(ComputeSession.id, ComputeSession.state).where(is_named))}
    costs = ledger.session_costs(db, list(states), now=now)
    leases: dict[uuid.UUID, Lease] = {}
    for session_id, state in states.items():
        held_until = costs[session_id].window_ends_at if session_id in costs else now
        leases[session_id] = Lease(held_until, stop=state not in {SessionState.STARTING, SessionState.RUNNING})
    return leases
