"""F17: ten thousand observations at once, after the portal was away from the hub, delivered by the plug-in's own spool and client."""

import asyncio
import threading
import time
import tracemalloc
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event, func, select, text
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.serving import make_server

from portal.compute.models import ComputeSession, Observation
from portal.compute.operations import watch
from portal.core import clock
from portal.core.quantities import charge_ucr, credits_ucr
from portal.credits import queries as ledger
from portal.credits import verify
from portal.factory import create_hub_api_app
from portal.hub_plugin.agent import BATCH_MAX
from portal.hub_plugin.portal_client import PortalClient
from portal.hub_plugin.spool import Spool
from portal.settings import Settings
from portal.web.database import sql
from tests.factories import compute as make

SESSIONS, MINUTES = 20, 500
LAUNCHES = 10
# Twenty batches of 500: what one batch needs, and room; a portal that kept them all would need several times as much.
MOST_BYTES = 24 * 2**20


@pytest.fixture
def hub_api(session_app: Flask, own_database: Engine) -> Iterator[tuple[str, Engine]]:
    """Serve the hub's API on a database of the test's own; give its address and its engine."""
    settings: Settings = session_app.extensions["portal_settings"]
    app = create_hub_api_app(replace(settings, database_url=own_database.url.render_as_string(hide_password=False)), PORTAL_HOST=None)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with app.app_context():
        engine = sql.engine
    yield f"http://127.0.0.1:{server.server_port}/hub-api/v1", engine
    server.shutdown()
    thread.join()
    server.server_close()
    engine.dispose()


class Backlog:
    """Sessions that ran on while the portal was away, and the spool that kept what was seen of them."""

    def __init__(self, sessions: sessionmaker[Session], directory: Path) -> None:
        self.began_at = clock.now() - timedelta(minutes=MINUTES + 5)
        with sessions() as db, db.begin():
            make.small_pool(db, now=self.began_at, slices=SESSIONS + 2 * LAUNCHES)
            made = [make.requested(db, make.spender(db, now=self.began_at), now=self.began_at, duration_s=12 * 3600) for _ in range(SESSIONS)]
            for session_id in made:
                make.started(db, session_id, now=self.began_at)
        self.plugins = [make.Plugin(session_id, begins_at=self.began_at) for session_id in made]
        self.spool = Spool(directory)
        for minute in range(MINUTES):
            self.spool.append([self._seen(plugin, minute) for plugin in self.plugins])

    def _seen(self, plugin: make.Plugin, minute: int) -> dict[str, Any]:
        seen = plugin.started() if minute == 0 else plugin.exited(minute * 60) if minute == MINUTES - 1 else plugin.seen(minute * 60)
        return {key: value for key, value in seen.items() if key != "offset"}

    def drain(self, url: str, key: str, notes: "Notes") -> None:
        """Deliver until nothing waits, batch after batch, as the plug-in does."""

        async def deliver() -> None:
            client = PortalClient(url, key)
            while self.spool.has_pending:
                items = self.spool.pending(BATCH_MAX)
                notes.begin(len(items))
                answer = await client.deliver(agent=self.spool.agent, observations=items)
                notes.end()
                assert answer.acknowledged_offset == items[-1]["offset"]
                self.spool.acknowledge(answer.acknowledged_offset)
            client.close()

        asyncio.run(deliver())


class Notes:
    """What each batch took: observations, statements of the hub's API, the most memory held, seconds."""

    def __init__(self, engine: Engine) -> None:
        self.sizes: list[int] = []
        self.statements: list[int] = []
        self.peaks: list[int] = []
        self.took_s: list[float] = []
        self._count = 0
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, *_: object) -> None:
        self._count += 1

    def begin(self, size: int) -> None:
        self.sizes.append(size)
        self._count, self._began = 0, time.monotonic()
        if tracemalloc.is_tracing():
            tracemalloc.reset_peak()
            self._base = tracemalloc.get_traced_memory()[0]

    def end(self) -> None:
        self.took_s.append(time.monotonic() - self._began)
        self.statements.append(self._count)
        if tracemalloc.is_tracing():
            self.peaks.append(tracemalloc.get_traced_memory()[1] - self._base)


def assert_drained(sessions: sessionmaker[Session], backlog: Backlog) -> None:
    """Everything is there once, every second is proven and charged, and the ledger adds up."""
    proven_s = (MINUTES - 1) * 60
    now = clock.now()
    with sessions() as db, db.begin():
        assert db.execute(select(func.count()).select_from(Observation)).scalar_one() == SESSIONS * MINUTES
        ids = [plugin.session_id for plugin in backlog.plugins]
        rows = db.execute(select(ComputeSession.state, ComputeSession.proven_s).where(ComputeSession.id.in_(ids))).all()
        assert rows == [("stopped", proven_s)] * SESSIONS
        costs = ledger.session_costs(db, ids, now=now)
        assert {cost.cost_ucr for cost in costs.values()} == {charge_ucr(credits_ucr(4), proven_s)}
        assert [result.first_bad for result in verify.run(db, now=now) if not result.holds] == []


def launch(sessions: sessionmaker[Session]) -> tuple[uuid.UUID, float]:
    """Start a session as the launch page does, and say how long its transaction took."""
    with sessions() as db, db.begin():
        now = clock.now()
        ada = make.spender(db, now=now)
    began = time.monotonic()
    with sessions() as db, db.begin():
        return make.requested(db, ada, now=clock.now()), time.monotonic() - began


def test_f17_a_backlog_of_10_000_observations_drains_in_bounded_batches(
    own_sessions: sessionmaker[Session], hub_api: tuple[str, Engine], settings: Settings, tmp_path: Path
) -> None:
    backlog, notes = Backlog(own_sessions, tmp_path / "spool"), Notes(hub_api[1])

    tracemalloc.start()
    try:
        backlog.drain(hub_api[0], settings.hub.plugin_key, notes)
    finally:
        tracemalloc.stop()

    assert notes.sizes == [BATCH_MAX] * (SESSIONS * MINUTES // BATCH_MAX)
    # The first batch makes starting sessions running ones, the last settles those that ended; between them nothing grows.
    assert len(set(notes.statements[1:-1])) == 1
    assert max(notes.peaks) < MOST_BYTES, notes.peaks
    assert_drained(own_sessions, backlog)
    print(f"F17: statements a batch {notes.statements}, peaks {[peak // 1024 for peak in notes.peaks]} KiB")


def test_f17_launches_start_while_a_backlog_drains(
    own_sessions: sessionmaker[Session], hub_api: tuple[str, Engine], settings: Settings, tmp_path: Path
) -> None:
    backlog, notes = Backlog(own_sessions, tmp_path / "spool"), Notes(hub_api[1])
    idle = [launch(own_sessions) for _ in range(LAUNCHES)]
    drain = threading.Thread(target=backlog.drain, args=[hub_api[0], settings.hub.plugin_key, notes])
    drain.start()
    busy = []
    while drain.is_alive() and len(busy) < LAUNCHES:
        busy.append(launch(own_sessions))
    while_draining = len(busy) - (not drain.is_alive())
    drain.join()

    assert while_draining > 0
    with own_sessions() as db, db.begin():
        started = [session_id for session_id, _ in [*idle, *busy]]
        assert db.execute(select(ComputeSession.state).where(ComputeSession.id.in_(started))).scalars().all() == ["requested"] * len(started)
        held = db.execute(text("SELECT count(*) FROM hold JOIN meter ON meter.id = hold.meter_id WHERE session_id = ANY(:ids)"), {"ids": started}).scalar_one()
        assert held == len(started)
    with own_sessions() as db, db.begin():
        watch.roll(db, by=make.TESTS, now=clock.now())
    assert_drained(own_sessions, backlog)
    idle_ms, busy_ms = (sorted(round(took * 1000) for _, took in some) for some in (idle, busy))
    print(f"F17: {len(notes.sizes)} batches in {sum(notes.took_s):.1f} s; a launch idle {idle_ms} ms, meanwhile {busy_ms} ms")
