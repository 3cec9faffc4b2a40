"""roll: extending and booking the windows of 10,000 running sessions, against bare SQL that writes the same rows.

200 of the sessions share one lot, the rest have twenty to a wallet. What our two rolls wrote (the next windows at
minute 11, the first ones' use at minute 16) is copied into staging tables of a clone and written there by INSERT and
UPDATE from them, under the same constraints, triggers and durability. Also printed: the time at 10,000 sessions against
1,000 (median of three), and how long a launch takes meanwhile, with the roll resting between its batches as it does
while others write, against an idle server.
"""

import multiprocessing
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from statistics import median, quantiles
from typing import Any

import psycopg
from sqlalchemy.orm import Session, sessionmaker

from bench.machine import VAR, private_postgres
from portal.core import clock, database
from portal.core.access import Actor
from portal.core.ids import new_id
from portal.core.local_postgres import LocalPostgres
from portal.core.quantities import credits_ucr
from portal.credits import verify
from portal.credits.operations import journal, meters
from portal.factory import create_app
from tests.conftest import make_settings
from tests.factories import credits as make

MANY, FEW, ON_ONE_LOT, IN_ONE_WALLET = 10_000, 1000, 200, 20
RATE = credits_ucr(4)
BENCH = Actor.process("bench")
LAUNCHES = 150
KEYS = {
    "ledger_account": ("id",),
    "meter": ("id",),
    "hold": ("id",),
    "hold_share": ("hold_id", "position"),
    "ledger_transaction": ("id",),
    "ledger_entry": ("id",),
}
Sessions = sessionmaker[Session]


def run() -> Iterator[dict[str, Any]]:
    """Yield one line."""
    with private_postgres() as server:
        few_s = median(_rolled(server, FEW)[0] for _ in range(3))
        ours_s, bare_s, launches = _rolled(server, MANY, is_full=True)
    ratio, growth, slowed = ours_s / bare_s, ours_s / few_s, launches[1] / launches[0]
    yield {
        "name": "roll",
        "ours": round(ours_s, 2),
        "reference": round(bare_s, 2),
        "ratio": round(ratio, 2),
        "unit": "s to extend and book every session once",
        "sessions": MANY,
        "times_of_1000_sessions": round(growth, 2),
        "launch_p95_idle_ms": round(launches[0] * 1000, 1),
        "launch_p95_meanwhile_ms": round(launches[1] * 1000, 1),
        "launch_ratio": round(slowed, 2),
        "bounds": {"ratio": 3, "times_of_1000_sessions": 12, "launch_ratio": 2},
        "met": ratio <= 3 and growth <= 12 and slowed <= 2,
    }


def _rolled(server: LocalPostgres, count: int, *, is_full: bool = False) -> tuple[float, float, tuple[float, float]]:
    """Return seconds of our two rolls, of the bare writes, and a launch's p95 idle and meanwhile."""
    name = f"bench_roll_{count}"
    for one in (f"{name}_bare", f"{name}_watched", name):
        server.drop_database(one)
    server.ensure_database(name)
    url, began = server.url(name), clock.now() - timedelta(hours=1)
    engine = database.make_engine(url, pool_size=4)
    running, spare = _populate(url, database.make_sessions(engine), count, began)
    engine.dispose()
    launches = (0.0, 1.0)
    if is_full:
        server.ensure_database(f"{name}_bare", template=name)
        server.ensure_database(f"{name}_watched", template=name)
        launches = _watched(server.url(f"{name}_watched"), running, spare, began)
    sessions = database.make_sessions(engine)
    ours_s, bare_s = 0.0, 0.0
    for minute in (11, 16):
        at = began + timedelta(minutes=minute)
        _prove(sessions, running, began, minute, at)
        _snapshot(url)
        ours_s += _roll(sessions, at)
        if is_full:
            bare_s += _bare(url, server.url(f"{name}_bare"))
    with database.transaction(sessions) as db:
        bad = [f"{result.number}: {result.first_bad}" for result in verify.run(db, now=began + timedelta(minutes=17)) if not result.holds]
    engine.dispose()
    if bad:
        raise RuntimeError(f"the ledger does not verify: {bad}")
    return ours_s, bare_s, launches


def _watched(url: str, running: list[uuid.UUID], spare: uuid.UUID, began: datetime) -> tuple[float, float]:
    """Return a launch's p95 on the idle server, and while all sessions roll."""
    engine = database.make_engine(url, pool_size=4)
    sessions = database.make_sessions(engine)
    meanwhile: list[float] = []
    context = multiprocessing.get_context("spawn")
    begin, is_over, taken = context.Event(), context.Event(), context.Queue()
    # A process of its own, as launches and rolls are in life.
    watcher = context.Process(target=_watch, args=(url, spare, begin, is_over, taken))
    watcher.start()
    idle = taken.get(timeout=120)
    for minute in (11, 16):
        at = began + timedelta(minutes=minute)
        _prove(sessions, running, began, minute, at)
        begin.set()
        _roll(sessions, at)
        is_over.set()
        meanwhile += taken.get(timeout=60)
    watcher.join(30)
    engine.dispose()
    return _p95(idle), _p95(meanwhile)


def _watch(url: str, spare: uuid.UUID, begin: Any, is_over: Any, taken: Any) -> None:
    engine = database.make_engine(url, pool_size=1)
    sessions = database.make_sessions(engine)
    _launches(sessions, spare, stop=lambda done: done >= 30)
    taken.put(_launches(sessions, spare, stop=lambda done: done >= LAUNCHES))
    for _ in range(2):
        begin.wait()
        begin.clear()
        found = _launches(sessions, spare, stop=lambda _: is_over.is_set())
        is_over.clear()
        taken.put(found)
    engine.dispose()


def _populate(url: str, sessions: Sessions, count: int, began: datetime) -> tuple[list[uuid.UUID], uuid.UUID]:
    app = create_app(make_settings(url, VAR / "var"))
    with app.app_context():
        app.extensions["alembic"].upgrade()
    sizes = [ON_ONE_LOT] + [IN_ONE_WALLET] * ((count - ON_ONE_LOT) // IN_ONE_WALLET)
    running: list[uuid.UUID] = []
    with database.transaction(sessions) as db:
        fund_id = make.fund(db, now=began, budget_ucr=credits_ucr(900_000_000))
        journal.usage_account(db, "h100-slice-10")
        spare = make.wallet(db, now=began)
        make.lot(db, spare, now=began, amount_ucr=credits_ucr(1_000_000), fund_id=fund_id)
    for size in sizes:
        with database.transaction(sessions) as db:
            wallet_id = make.wallet(db, now=began)
            make.lot(db, wallet_id, now=began, amount_ucr=credits_ucr(10_000), fund_id=fund_id)
            running += [make.meter(db, wallet_id, now=began, rate_ucr_per_hour=RATE, started=False) for _ in range(size)]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return running, spare


def _prove(sessions: Sessions, running: list[uuid.UUID], began: datetime, minute: int, at: datetime) -> None:
    for place in range(0, len(running), 2000):
        with database.transaction(sessions) as db:
            meters.record_proven(db, [make.proven(id_, started_at=began, proven_s=60 * minute) for id_ in running[place : place + 2000]], now=at)


def _roll(sessions: Sessions, at: datetime) -> float:
    """Roll until nothing is due, as compute's minute job does; return the seconds."""
    started = time.monotonic()
    has_more = True
    while has_more:
        with database.transaction(sessions) as db:
            rolled = meters.roll_due(db, now=at)
        has_more = rolled.has_more
        time.sleep(rolled.rest_s)
    return time.monotonic() - started


def _launches(sessions: Sessions, wallet_id: uuid.UUID, *, stop: Callable[[int], bool]) -> list[float]:
    """Authorise sessions one after another, and return the seconds of each."""
    taken: list[float] = []
    while not stop(len(taken)):
        started = time.monotonic()
        with database.transaction(sessions) as db:
            terms = {"wallet_id": wallet_id, "charge_class": "h100-slice-10", "rate_ucr_per_hour": RATE, "label": "bench"}
            meters.authorise(db, session_id=new_id(), generation=1, by=BENCH, now=clock.now(), **terms)  # type: ignore[arg-type]
        taken.append(time.monotonic() - started)
        time.sleep(0.01)
    return taken


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]


def _snapshot(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for table in KEYS:
            connection.execute(f"DROP TABLE IF EXISTS snap_{table}")
            connection.execute(f"CREATE UNLOGGED TABLE snap_{table} AS TABLE {table}")


def _bare(url: str, clone_url: str) -> float:
    """Copy what a roll changed into the clone's staging tables, write it from there, and return the seconds of the writing."""
    with psycopg.connect(url) as source, psycopg.connect(clone_url) as target:
        writes = []
        for table, keys in KEYS.items():
            columns = [row[0] for row in source.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", (table,))]
            _stage(source, target, table, keys)
            found = " AND ".join(f"t.{key} = s.{key}" for key in keys)
            names = ", ".join(columns)
            moving = ("balance_ucr", "version", "lower_bound_ucr") if table == "ledger_account" else [name for name in columns if name not in keys]
            changes = ", ".join(f"{name} = s.{name}" for name in moving)
            if table not in {"ledger_transaction", "ledger_entry"}:
                writes.append(f"UPDATE {table} t SET {changes} FROM changed_{table} s WHERE {found}")
            if table not in {"ledger_account", "meter"}:
                writes.append(f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM fresh_{table}")
        target.commit()
        started = time.monotonic()
        for write in writes:
            target.execute(write)
        target.commit()
        return time.monotonic() - started


def _stage(source: psycopg.Connection[Any], target: psycopg.Connection[Any], table: str, keys: tuple[str, ...]) -> None:
    for name in (f"fresh_{table}", f"changed_{table}"):
        target.execute(f"DROP TABLE IF EXISTS {name}")
        target.execute(f"CREATE TABLE {name} (LIKE {table})")
    same = " AND ".join(f"o.{key} = t.{key}" for key in keys)
    fresh = f"SELECT t.* FROM {table} t WHERE NOT EXISTS (SELECT 1 FROM snap_{table} o WHERE {same})"
    changed = f"SELECT t.* FROM {table} t JOIN snap_{table} o ON {same} WHERE o IS DISTINCT FROM t"
    for name, query in ((f"fresh_{table}", fresh), (f"changed_{table}", changed)):
        with source.cursor().copy(f"COPY ({query}) TO STDOUT") as out, target.cursor().copy(f"COPY {name} FROM STDIN") as into:
            for block in out:
                into.write(block)
    target.execute(f"ANALYZE fresh_{table}")
    target.execute(f"ANALYZE changed_{table}")
