"""Queued and periodic work of compute: the only part of the domain that talks to the hub, and never inside a transaction."""

import logging
import time
import uuid
from datetime import timedelta
from typing import cast

from portal.compute import queries, rules
from portal.compute.hub_gateway import Hub, HubAway, HubRefused, HubServer, Progress
from portal.compute.operations import incidents, prices, promises, sessions, starts, waiting, watch
from portal.compute.queries.waiting import classes_waited_for
from portal.compute.states import Failure, SessionState, StopCause
from portal.core import clock, jobs
from portal.core.access import Actor
from portal.core.jobs import JobContext, Queue, job, periodic
from portal.credits.operations import reconciliations
from portal.credits.states import Reconciliation

logger = logging.getLogger(__name__)
WORKER = Actor.process("worker")
LOOK_EVERY = timedelta(seconds=1)
MOST_BATCHES = 200
MOST_LOOKS = int(rules.START_GIVES_UP / LOOK_EVERY)


def _hub(ctx: JobContext) -> Hub:
    return cast("Hub", ctx.resources["hub"])


@job("compute.start_session", queue=Queue.START)
def start_session(ctx: JobContext, session_id: str) -> None:
    """Start a requested session's server; an absent hub is asked a few times more, then the credits go back."""
    hub, key = _hub(ctx), uuid.UUID(session_id)
    with ctx.transaction() as db:
        launch = starts.begin(db, session_id=key, by=WORKER, now=clock.now())
    if launch is None:
        return
    try:
        hub.ensure_user(launch.username)
        progress = hub.start(launch.username, launch.server, ticket=launch.ticket)
    except HubAway as error:
        logger.warning("the hub is away, start %s of %s: %s", launch.attempt, launch.server, error)
        _try_again(ctx, launch)
        return
    except HubRefused as error:
        logger.warning("the hub refused to start %s: %s", launch.server, error)
        _give_up(ctx, key, Failure.HUB_REFUSED)
        return
    with ctx.transaction() as db:
        if progress is Progress.DONE:
            starts.mark_ready(db, session_id=key, by=WORKER, now=clock.now())
        else:
            jobs.enqueue(db, "compute.watch_start", session_id=session_id, due_at=clock.now() + LOOK_EVERY)


@job("compute.watch_start", queue=Queue.START)
def watch_start(ctx: JobContext, session_id: str, look: int = 1) -> None:
    """See whether a server that needs longer answers by now; look again in a second, for three minutes."""
    key = uuid.UUID(session_id)
    with ctx.transaction() as db:
        waiting = starts.is_waiting(db, key)
    if waiting is None:
        return
    try:
        server = _hub(ctx).server(*waiting)
        is_gone = server is None
    except HubAway:
        server, is_gone = None, False
    if server is not None and server.is_ready:
        with ctx.transaction() as db:
            starts.mark_ready(db, session_id=key, by=WORKER, now=clock.now())
    elif is_gone or look >= MOST_LOOKS:
        _give_up(ctx, key, Failure.HUB_REFUSED if is_gone else Failure.HUB_AWAY)
    else:
        with ctx.transaction() as db:
            jobs.enqueue(db, "compute.watch_start", session_id=session_id, look=look + 1, due_at=clock.now() + LOOK_EVERY)


@job("compute.stop_servers", queue=Queue.START)
def stop_servers(ctx: JobContext, session_ids: list[str]) -> None:
    """Stop the servers of sessions; what the hub cannot be told now, its plug-in's lease and the next minute tell it."""
    hub = _hub(ctx)
    with ctx.transaction() as db:
        servers = queries.servers_to_stop(db, [uuid.UUID(session_id) for session_id in session_ids])
    for session_id, username, server in servers:
        try:
            progress = hub.stop(username, server)
        except HubAway as error:
            logger.warning("the hub is away, %s is stopped when it is back: %s", server, error)
            return
        except HubRefused as error:
            logger.warning("the hub refused to stop %s: %s", server, error)
            continue
        if progress is Progress.DONE:
            with ctx.transaction() as db:
                sessions.note_gone(db, session_id=session_id, by=WORKER, now=clock.now())


@job("compute.admit", queue=Queue.START)
def admit(ctx: JobContext, device_class: str) -> None:
    """Let whoever is next for a class of devices start."""
    with ctx.transaction() as db:
        waiting.admit(db, device_class, now=clock.now())


@job("compute.stop_due", queue=Queue.METER)
def stop_due(ctx: JobContext) -> None:
    """Ask for the end of sessions whose time or credit is over, to the second."""
    with ctx.transaction() as db:
        watch.stop_due(db, by=WORKER, now=clock.now())


@job("compute.follow_prices", queue=Queue.METER)
def follow_prices(ctx: JobContext) -> None:
    """Tell of a published price, and let it hold from the next windows on once it has begun."""
    _follow_prices(ctx)


@job("compute.stop_sessions_of_person", queue=Queue.START)
def stop_sessions_of_person(ctx: JobContext, subject_id: str, **_: object) -> None:
    """Ask for the end of all sessions of somebody who was suspended; a reaction to that fact."""
    with ctx.transaction() as db:
        sessions.stop_all_of_person(db, person_id=uuid.UUID(subject_id), by=WORKER, now=clock.now(), cause=StopCause.SUSPENDED)


@job("compute.make_good_end", queue=Queue.BULK)
def make_good_end(ctx: JobContext, subject_id: str, state: str, **_: object) -> None:
    """Make good what the hub's fault took from a session that ended by it, and a start later than promised; a reaction to that fact."""
    with ctx.transaction() as db:
        promises.make_late_good(db, session_id=uuid.UUID(subject_id), now=clock.now())
    if state in {SessionState.LOST, SessionState.FAILED}:
        with ctx.transaction() as db:
            incidents.note_end(db, session_id=uuid.UUID(subject_id), now=clock.now())


@job("compute.make_good_incident", queue=Queue.BULK)
def make_good_incident(ctx: JobContext, incident_id: str) -> None:
    """Give the sessions of a confirmed incident what they get, a transaction each; killed in between, it goes on there."""
    has_more = True
    while has_more:
        with ctx.transaction() as db:
            has_more = incidents.give_next(db, incident_id=uuid.UUID(incident_id), now=clock.now())


@periodic("compute.reconcile", cron="* * * * *", queue=Queue.METER)
def reconcile(ctx: JobContext) -> None:
    """Each minute: follow prices, roll windows, stop what is over, compare with the hub."""
    _follow_prices(ctx)
    _roll(ctx)
    _admit(ctx)
    with ctx.transaction() as db:
        watch.stop_over(db, by=WORKER, now=clock.now())
    try:
        servers: list[HubServer] | None = _hub(ctx).servers()
    except (HubAway, HubRefused) as error:
        logger.warning("the hub could not be compared with: %s", error)
        servers = None
    with ctx.transaction() as db:
        watch.note_look(db, did_answer=servers is not None, now=clock.now())
        reconciliations.note(db, Reconciliation.METERING, compared=len(servers or ()), problems=0, did_answer=servers is not None, now=clock.now())
        if servers is None:
            watch.settle_unseen(db, by=WORKER, now=clock.now())
            return
        seen = [watch.SeenServer(server.username, server.server, server.is_ready) for server in servers]
        unwanted = watch.compare(db, seen, by=WORKER, now=clock.now())
    for server in unwanted:
        logger.warning("the hub has a server without a session: %s of %s is stopped", server.server or "the default one", server.username)
        try:
            _hub(ctx).stop(server.username, server.server)
        except (HubAway, HubRefused) as error:
            logger.warning("a server without a session could not be stopped: %s", error)


def _follow_prices(ctx: JobContext) -> None:
    for _ in range(MOST_BATCHES):
        with ctx.transaction() as db:
            has_more = prices.tell(db, now=clock.now())
        if not has_more:
            break
    with ctx.transaction() as db:
        prices.bring(db, by=WORKER, now=clock.now())


def _admit(ctx: JobContext) -> None:
    """Look at every class that somebody waits for: what a lost job would have admitted is admitted here."""
    with ctx.transaction() as db:
        classes = classes_waited_for(db)
    for device_class in classes:
        with ctx.transaction() as db:
            waiting.admit(db, device_class, now=clock.now())


def _roll(ctx: JobContext) -> None:
    """Roll what is due, batch by batch, a transaction each; what is skipped now is due again in a minute."""
    for _ in range(MOST_BATCHES):
        with ctx.transaction() as db:
            rest_s = watch.roll(db, by=WORKER, now=clock.now())
        if rest_s is None:
            return
        time.sleep(rest_s)


def _try_again(ctx: JobContext, launch: starts.Launch) -> None:
    if not starts.may_try_again(launch.attempt):
        _give_up(ctx, launch.session_id, Failure.HUB_AWAY)
        return
    with ctx.transaction() as db:
        due_at = clock.now() + timedelta(seconds=rules.start_wait_s(launch.attempt))
        jobs.enqueue(db, "compute.start_session", session_id=str(launch.session_id), due_at=due_at)


def _give_up(ctx: JobContext, session_id: uuid.UUID, failure: Failure) -> None:
    with ctx.transaction() as db:
        starts.give_up(db, session_id=session_id, failure=failure, by=WORKER, now=clock.now())
