"""balance: the wallet page with 1,000,000 entries in the journal, 100,000 of them in this wallet, against one with 1,000.

Both are the same page of the same portal, on a database each; rounds are interleaved. What the figure says is whether a
wallet's page grows with what was ever booked.
"""

import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from statistics import median
from typing import Any

import psycopg
from flask.testing import FlaskClient

from bench.machine import VAR, private_postgres
from portal.core import clock, database
from portal.core.access import Role
from portal.core.local_postgres import LocalPostgres
from portal.core.quantities import credits_ucr
from portal.credits import verify
from portal.credits.operations import days, meters
from portal.factory import create_app, job_context
from tests.conftest import make_settings
from tests.factories import bulk_charges
from tests.factories import credits as make
from tests.factories import identity as people

ENTRIES, IN_WALLET, FEW = 1_000_000, 100_000, 1000
ENTRIES_A_CHARGE = 6
ROUNDS = 40


def run() -> Iterator[dict[str, Any]]:
    """Yield one line."""
    with private_postgres() as server:
        small, small_rows = _portal(server, "bench_balance_few", FEW, others=0)
        large, large_rows = _portal(server, "bench_balance_many", IN_WALLET, others=(ENTRIES - IN_WALLET) // IN_WALLET)
        few, many = [], []
        for place in range(ROUNDS + 5):
            less, more = _seconds(*small), _seconds(*large)
            if place >= 5:
                few.append(less)
                many.append(more)
    ratio = median(many) / median(few)
    yield {
        "name": "balance",
        "ours": round(median(many) * 1000, 1),
        "reference": round(median(few) * 1000, 1),
        "ratio": round(ratio, 3),
        "unit": "ms for the wallet page",
        "n": ROUNDS,
        "entries": large_rows,
        "entries_of_reference": small_rows,
        "bound": 1.5,
        "met": ratio <= 1.5,
    }


def _seconds(client: FlaskClient, path: str) -> float:
    started = time.monotonic()
    answer = client.get(path, base_url="http://127.0.0.1")
    if answer.status_code != 200:
        raise RuntimeError(f"{path} answered {answer.status_code}")
    return time.monotonic() - started


def _portal(server: LocalPostgres, name: str, entries: int, *, others: int) -> tuple[tuple[FlaskClient, str], int]:
    """Return a browser of finance and the path of a wallet with many entries; `others` are wallets with as many."""
    server.drop_database(name)
    server.ensure_database(name)
    app = create_app(make_settings(server.url(name), VAR / "var"), PORTAL_HOST=None)
    with app.app_context():
        app.extensions["alembic"].upgrade()
    now = clock.now()
    with database.transaction(job_context(app).sessions) as db:
        officer = people.person(db, roles=[Role.FINANCE], now=now)
        fund_id = make.fund(db, now=now, budget_ucr=credits_ucr(900_000_000))
        wallet_id = _busy(db, fund_id, entries)
    for _ in range(others):
        with database.transaction(job_context(app).sessions) as db:
            _busy(db, fund_id, entries)
    with database.transaction(job_context(app).sessions) as db:
        while days.sum_due(db, now=now):
            pass
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        rows = connection.execute("SELECT count(*) FROM ledger_entry").fetchone()
    client = app.test_client()
    people.sign_in(client, officer)
    with database.transaction(job_context(app).sessions) as db:
        bad = [f"{result.number}: {result.first_bad}" for result in verify.run(db) if not result.holds] if not others else []
    if bad:
        raise RuntimeError(f"the ledger does not verify: {bad}")
    return (client, f"/wallets/{wallet_id}"), int(rows[0]) if rows else 0


def _busy(db: Any, fund_id: uuid.UUID, entries: int) -> uuid.UUID:
    """Open a wallet whose journal has that many entries, over the last sixty days."""
    began = clock.now() - timedelta(days=60)
    wallet_id = make.wallet(db, now=began)
    make.lot(db, wallet_id, now=began, amount_ucr=credits_ucr(1_000_000), fund_id=fund_id, days=300)
    session_id = make.meter(db, wallet_id, now=began)
    meters.settle(db, session_id=session_id, generation=1, proven_s=60, ended_at=began + timedelta(seconds=60), now=began + timedelta(seconds=61))
    copies = entries // ENTRIES_A_CHARGE
    # Spread over the days: a copy follows the one before by so much.
    bulk_charges.copy(db, session_id, copies, apart=timedelta(days=59) / copies)
    return wallet_id
