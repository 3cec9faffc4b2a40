"""After every test of the ledger, the ledger verifies."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.credits import verify


@pytest.fixture(autouse=True)
def _ledger_verifies(request: pytest.FixtureRequest) -> Iterator[None]:
    if "db" not in request.fixturenames:
        yield
        return
    db, now = request.getfixturevalue("db"), request.getfixturevalue("now")
    yield
    if "corrupts" not in request.function.__name__:
        check(db, now=now)


def check(db: Session, *, now: datetime) -> None:
    """Fail with the first bad row of each invariant that does not hold."""
    db.flush()
    db.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
    bad = [f"{result.number}: {result.first_bad}" for result in verify.run(db, now=now) if not result.holds]
    assert bad == []
    db.execute(text("SET CONSTRAINTS ALL DEFERRED"))
