"""Jobs are enqueued in the transaction of their change, and every name that is enqueued resolves."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core import jobs
from tests.conftest import ROOT, RunJobs


@pytest.fixture
def seen() -> Iterator[list[str]]:
    """Register a job for the test, and take it away again."""
    calls: list[str] = []

    @jobs.job("test.note", queue=jobs.Queue.BULK)
    def note(ctx: jobs.JobContext, *, word: str) -> None:
        calls.append(word)

    yield calls
    del jobs.REGISTRY["test.note"]


def test_enqueue_commits_with_its_change(db: Session, run_jobs: RunJobs, seen: list[str]) -> None:
    jobs.enqueue(db, "test.note", word="kept")
    db.commit()
    jobs.enqueue(db, "test.note", word="undone")
    db.rollback()

    assert run_jobs() == ["test.note"]
    assert seen == ["kept"]


def test_enqueue_once_as_adds_no_second_waiting_job(db: Session, seen: list[str]) -> None:
    for _ in range(3):
        jobs.enqueue(db, "test.note", once_as="note-1", word="x")
    db.commit()

    assert db.execute(text("SELECT count(*) FROM procrastinate_jobs")).scalar_one() == 1


def test_enqueue_unknown_name_is_refused(db: Session) -> None:
    with pytest.raises(jobs.UnknownJob):
        jobs.enqueue(db, "test.nobody")


def test_every_enqueued_name_is_registered(session_app: object) -> None:
    names = set()
    for path in Path(ROOT / "portal").rglob("*.py"):
        names |= set(re.findall(r"enqueue\(\s*\w+,\s*\"([a-z_.]+)\"", path.read_text()))

    assert names - set(jobs.REGISTRY) - {"desk.react"} == set()
    assert names
