"""ledger: hold, capture and release cycles a second through our operations, against the same movements in bare SQL.

Eight clients, each a process with a wallet of its own, on one durable server. A cycle is two transactions, as in
life: a session is authorised, and later settled. The reference is bench/reference/ledger.sql. Rounds are interleaved.
"""

import multiprocessing
import re
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from sqlalchemy.orm import Session, sessionmaker

from bench.machine import VAR, private_postgres
from portal.core import clock, database
from portal.core.access import Actor
from portal.core.ids import new_id
from portal.core.quantities import charge_ucr, credits_ucr
from portal.credits import verify
from portal.credits.operations import journal, meters
from portal.factory import create_app, job_context
from tests.conftest import make_settings
from tests.factories import credits as make

CLIENTS = 8
ROUNDS = 5
SECONDS = 3.0
RATE = credits_ucr(4)
PROVEN_S = 600
WINDOW_S = 900
BENCH = Actor.process("bench")
SQL = Path(__file__).resolve().parent / "reference" / "ledger.sql"


def run() -> Iterator[dict[str, Any]]:
    """Yield one line."""
    with private_postgres() as server:
        server.drop_database("bench_ledger")
        server.ensure_database("bench_ledger")
        url = server.url("bench_ledger")
        wallets = _populate(url)
        ours, reference = _rounds(url, wallets)
        _check(url)
    ratio = median(mine / bare for mine, bare in zip(ours, reference, strict=True))
    yield {
        "name": "ledger",
        "ours": round(median(ours), 1),
        "reference": round(median(reference), 1),
        "ratio": round(ratio, 3),
        "unit": "hold-capture-release cycles/s",
        "n": ROUNDS,
        "clients": CLIENTS,
        "bound": 0.5,
        "met": ratio >= 0.5,
    }


def _populate(url: str) -> list[uuid.UUID]:
    app = create_app(make_settings(url, VAR / "var"))
    with app.app_context():
        app.extensions["alembic"].upgrade()
    now = clock.now()
    with database.transaction(job_context(app).sessions) as db:
        journal.usage_account(db, "bench")
        fund_id = make.fund(db, now=now, budget_ucr=credits_ucr(900_000_000))
        wallets = [make.wallet(db, now=now) for _ in range(CLIENTS)]
        for wallet_id in wallets:
            make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(10_000_000), fund_id=fund_id)
    return wallets


def _rounds(url: str, wallets: list[uuid.UUID]) -> tuple[list[float], list[float]]:
    """Return cycles a second of all clients together, round by round; the first is to warm up."""
    context = multiprocessing.get_context("spawn")
    gate, done = context.Barrier(CLIENTS), context.Queue()
    processes = [context.Process(target=_client, args=(url, wallet_id, gate, done)) for wallet_id in wallets]
    for process in processes:
        process.start()
    counts: dict[tuple[str, int], int] = {}
    for _ in range(CLIENTS * 2 * (ROUNDS + 1)):
        whose, place, count = done.get(timeout=180)
        counts[whose, place] = counts.get((whose, place), 0) + count
    for process in processes:
        process.join(30)
    ours, reference = ([counts[whose, place] / SECONDS for place in range(1, ROUNDS + 1)] for whose in ("ours", "bare"))
    return ours, reference


def _client(url: str, wallet_id: uuid.UUID, gate: Any, done: Any) -> None:
    """Run rounds of both kinds, each begun together with the other clients."""
    engine = database.make_engine(url, pool_size=1)
    sessions = database.make_sessions(engine)
    statements = {name: body.strip() for name, body in re.findall(r"-- name: (\w+)\n(.*?)(?=\n-- name:|\Z)", SQL.read_text(), re.DOTALL)}
    with psycopg.connect(url) as connection:
        usage = connection.execute("SELECT id FROM ledger_account WHERE name = 'usage:bench'").fetchone()
        connection.commit()
        bare = Bare(connection, statements, wallet_id, usage[0] if usage else wallet_id)
        for place in range(ROUNDS + 1):
            for whose, cycle in (("ours", lambda: _cycle(sessions, wallet_id)), ("bare", lambda: bare.cycle(clock.now()))):
                gate.wait(180)
                ends, count = time.monotonic() + SECONDS, 0
                while time.monotonic() < ends:
                    cycle()
                    count += 1
                done.put((whose, place, count))
    engine.dispose()


def _cycle(sessions: sessionmaker[Session], wallet_id: uuid.UUID) -> None:
    now, session_id = clock.now(), new_id()
    terms = {"wallet_id": wallet_id, "charge_class": "bench", "rate_ucr_per_hour": RATE, "label": "bench"}
    with database.transaction(sessions) as db:
        meters.authorise(db, session_id=session_id, generation=1, by=BENCH, now=now, **terms)  # type: ignore[arg-type]
    with database.transaction(sessions) as db:
        ended_at = now + timedelta(seconds=PROVEN_S)
        meters.settle(db, session_id=session_id, generation=1, proven_s=PROVEN_S, ended_at=ended_at, now=ended_at, by=BENCH)


class Bare:
    """The reference's client: prepared statements, in the order that the movements need."""

    def __init__(self, connection: psycopg.Connection[Any], statements: dict[str, str], wallet_id: uuid.UUID, usage_id: uuid.UUID) -> None:
        self.connection, self.statements, self.wallet_id, self.usage_id = connection, statements, wallet_id, usage_id

    def do(self, name: str, **values: object) -> Any:
        """Run a prepared statement and return its first row, None where it has none."""
        cursor = self.connection.execute(self.statements[name], values, prepare=True)
        return cursor.fetchone() if cursor.description else None

    def cycle(self, now: datetime) -> None:
        """Hold, and in a transaction of its own capture and release."""
        session, meter, hold = new_id(), new_id(), new_id()
        amount, captured = charge_ucr(RATE, WINDOW_S), charge_ucr(RATE, PROVEN_S)
        about = {"wallet": self.wallet_id, "now": now, "meter": meter, "session": session, "hold": hold, "ends": now + timedelta(seconds=WINDOW_S)}
        with self.connection.transaction():
            debt = self.do("lock_wallet", **about)[0]
            lot, available, held = self.do("lot", **about)
            self.do("widen", room=amount, debt=debt)
            self.do("insert_meter", **about, usage=self.usage_id, room=amount)
            self.do("insert_segment", meter=meter, rate=RATE)
            self.do("insert_hold", **about, amount=amount)
            self.do("insert_share", **about, lot=lot, amount=amount)
            self._book("insert_transaction", about, f"hold:{session}", (available, -amount), (held, amount), operation="hold")
        about["now"] = ended_at = now + timedelta(seconds=PROVEN_S)
        with self.connection.transaction():
            self.do("lock_wallet", **about)
            self.do("meter", session=session)
            self._book("insert_capture", about, f"cap:{session}", (held, -captured), (self.usage_id, captured), seconds=PROVEN_S)
            self._book("insert_transaction", about, f"rel:{hold}", (held, captured - amount), (available, amount - captured), operation="release")
            closed = {"hold": hold, "captured": captured, "released": amount - captured, "meter": meter, "began": now, "now": ended_at, "seconds": PROVEN_S}
            self.do("close_hold", **closed)
            self.do("close_share", **closed)
            self.do("close_meter", **closed)
            self.do("widen", room=-amount, debt=debt)

    def _book(self, statement: str, about: dict[str, Any], key: str, one: tuple[Any, int], two: tuple[Any, int], **more: object) -> None:
        id_ = new_id()
        self.do(statement, **about, id=id_, key=key, **more)
        sides: dict[str, object] = {"id": id_}
        for name, (account, amount) in (("one", one), ("two", two)):
            version, after = (None, None) if account == self.usage_id else self.do("move", account=account, amount=amount)
            sides |= {name: account, f"{name}_amount": amount, f"{name}_version": version, f"{name}_after": after}
        self.do("insert_two", **sides)


def _check(url: str) -> None:
    """Fail when either side left something wrong: a fast wrong ledger would be no ledger."""
    engine = database.make_engine(url)
    with database.transaction(database.make_sessions(engine)) as db:
        bad = [f"{result.number}: {result.first_bad}" for result in verify.run(db) if not result.holds]
    engine.dispose()
    if bad:
        raise RuntimeError(f"the ledger does not verify: {bad}")
