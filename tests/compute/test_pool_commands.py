"""The commands of the pool, run as an operator runs them."""

import os
import subprocess
import sys
from datetime import datetime

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from tests.conftest import ROOT, TEST_ENVIRONMENT
from tests.factories import compute as make

SPAN = ("--from", "2030-01-01T00:00+01:00", "--until", "2030-01-01T02:00+01:00", "--note", "New fans")


def test_commands_of_the_pool_change_it_and_refuse_what_cannot_be(own_sessions: sessionmaker[Session], own_database: Engine, now: datetime) -> None:
    with own_sessions.begin() as db:
        make.small_pool(db, now=now)
        db.execute(text("UPDATE compute_device SET is_open = false, set_aside_at = :now WHERE name = 'seat-0'"), {"now": now})
    environment = TEST_ENVIRONMENT | {"PATH": os.environ["PATH"], "DATABASE_URL": own_database.url.render_as_string(hide_password=False)}

    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "portal.cli", "pool", *arguments]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout.strip()

    assert run("node", "local", "drain") == (0, "local: draining")
    assert run("node", "local", "drain") == (1, "")
    assert run("reopen", "seat-0") == (0, "seat-0: open")
    assert run("reopen", "seat-0") == (1, "")
    assert run("window", "maintenance", "local", *SPAN) == (0, "window 1: maintenance of local, 0 told")
    assert run("window", "maintenance", "local", *SPAN) == (1, "")
    assert run("windows") == (0, "1  maintenance local  2029-12-31T23:00:00+00:00 to 2030-01-01T01:00:00+00:00  New fans")
    assert run("cancel", "1") == (0, "window 1: cancelled")
    assert run("windows") == (0, "")
    assert run("quota", "h100-10", "--people", "--borrowable", "2") == (0, "h100-10: set")
    assert run("quota", "h100-10", "--guaranteed", "2") == (1, "")
    assert run("quotas") == (0, "h100-10  every person: guaranteed 0, borrowable 2, lendable 0, held 0")
