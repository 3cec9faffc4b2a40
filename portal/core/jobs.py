"""Queued and periodic work: Procrastinate, with its queue in our PostgreSQL.

A job is enqueued by name, in the transaction of the change that needs it. A domain's `jobs.py` registers its
functions with `@job` or `@periodic`; they receive a `JobContext` and open their own transactions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

import procrastinate
from procrastinate.exceptions import AlreadyEnqueued
from sqlalchemy.orm import Session, sessionmaker

from portal.core import database
from portal.settings import Settings


class Queue(StrEnum):
    """Queues have processes of their own: 300 gradings, or a payment service that hangs, never delay metering or a start."""

    METER = "meter"
    START = "start"
    PAY = "pay"
    BULK = "bulk"


@dataclass(frozen=True)
class JobContext:
    """What a job may use: transactions, settings, and what the composition root hands in by name."""

    sessions: sessionmaker[Session]
    settings: Settings
    resources: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session committed at the end. Never call the network inside: record, commit, call, record."""
        with database.transaction(self.sessions) as db:
            yield db


JobFunction = Callable[..., None]


@dataclass(frozen=True)
class JobSpec:
    """One registered job: retried `attempts` times with exponential waits; `cron` for periodic ones."""

    name: str
    function: JobFunction
    queue: Queue
    attempts: int
    cron: str | None = None


@dataclass(frozen=True)
class Call:
    """One of many jobs that are enqueued at once; fields as in `enqueue`."""

    arguments: Mapping[str, Any] = field(default_factory=dict)
    lock: str | None = None
    due_at: datetime | None = None


REGISTRY: dict[str, JobSpec] = {}


class UnknownJob(LookupError):
    """No `jobs.py` registers this name."""


def job(name: str, *, queue: Queue = Queue.BULK, attempts: int = 8) -> Callable[[JobFunction], JobFunction]:
    """Register `function(ctx, **arguments)` as the job "domain.verb_noun"; arguments are JSON values."""
    return lambda function: _register(JobSpec(name, function, queue, attempts))


def periodic(name: str, *, cron: str, queue: Queue = Queue.METER) -> Callable[[JobFunction], JobFunction]:
    """Register `function(ctx)` to run on a crontab schedule in UTC, once for all workers together."""
    return lambda function: _register(JobSpec(name, function, queue, attempts=1, cron=cron))


def _register(spec: JobSpec) -> JobFunction:
    REGISTRY[spec.name] = spec
    return spec.function


_deferrer = procrastinate.App(connector=procrastinate.SyncPsycopgConnector())


def enqueue(db: Session, name: str, *, once_as: str | None = None, lock: str | None = None, due_at: datetime | None = None, **arguments: Any) -> None:
    """Enqueue a registered job in the session's transaction.

    once_as: while a job with this key waits, another is not added. lock: jobs of one lock run one after another.
    Raises UnknownJob.
    """
    if name not in REGISTRY:
        raise UnknownJob(name)
    try:
        # A savepoint takes in only connections asked for inside it, so the connection is asked for here.
        with db.begin_nested():
            connection = db.connection().connection.driver_connection
            deferrer = _deferrer.configure_task(
                name, allow_unknown=True, queue=REGISTRY[name].queue, connection=connection, queueing_lock=once_as, lock=lock, schedule_at=due_at
            )
            deferrer.defer(**arguments)
    except AlreadyEnqueued:
        return


def enqueue_each(db: Session, name: str, calls: Iterable[Call]) -> None:
    """Enqueue a registered job many times in the session's transaction, in one statement. Raises UnknownJob."""
    if name not in REGISTRY:
        raise UnknownJob(name)
    db.flush()
    connection = db.connection().connection.driver_connection
    deferrer = _deferrer.configure_task(name, allow_unknown=True, queue=REGISTRY[name].queue, connection=connection)
    many = [deferrer.make_new_job(**call.arguments).evolve(lock=call.lock, scheduled_at=call.due_at) for call in calls]
    if many:
        deferrer.job_manager.batch_defer_jobs(jobs=many, connection=connection)


def make_worker(context: JobContext, url: str) -> procrastinate.App:
    """Return the Procrastinate app that runs every registered job with this context."""
    conninfo = url.replace("postgresql+psycopg://", "postgresql://")
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=conninfo, max_size=4))
    for spec in REGISTRY.values():
        _add_task(app, spec, context)
    return app


def _add_task(app: procrastinate.App, spec: JobSpec, context: JobContext) -> None:
    def run(**arguments: Any) -> None:
        arguments.pop("timestamp", None)
        spec.function(context, **arguments)

    retry = procrastinate.RetryStrategy(max_attempts=spec.attempts, exponential_wait=3) if spec.attempts > 1 else False
    task = app.task(name=spec.name, queue=spec.queue, retry=retry)(run)
    if spec.cron:
        app.periodic(cron=spec.cron)(cast("Any", task))
