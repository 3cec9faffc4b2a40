"""Limits are counted in PostgreSQL, apart from the request, and forgotten later."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from portal.core import limits, once
from portal.core.errors import TooMany
from tests.conftest import RunJobs

MINUTE = timedelta(minutes=1)


def test_hit_refuses_past_the_most_and_opens_with_the_next_window(session_maker: sessionmaker[Session], now: datetime) -> None:
    for _ in range(3):
        limits.hit(session_maker, "door", most=3, window=MINUTE, now=now)

    with pytest.raises(TooMany) as refused:
        limits.hit(session_maker, "door", most=3, window=MINUTE, now=now)
    assert refused.value.params == {"minutes": 1}
    limits.hit(session_maker, "door", most=3, window=MINUTE, now=now + MINUTE)
    limits.hit(session_maker, "another door", most=3, window=MINUTE, now=now)


def test_tidy_forgets_old_counters_and_once_tokens_alone(session_maker: sessionmaker[Session], db: Session, run_jobs: RunJobs) -> None:
    from portal.core import clock, jobs

    present = clock.now()
    for age in (timedelta(days=3), timedelta(hours=1)):
        limits.hit(session_maker, f"door {age.days}", most=9, window=MINUTE, now=present - age)
        once.claim(db, f"token-{age.days}" * 5, actor_id=None, now=present - age)
    db.commit()
    jobs.enqueue(db, "desk.tidy")
    db.commit()

    assert "desk.tidy" in run_jobs()
    assert db.execute(text("SELECT key FROM limit_window")).scalars().all() == ["door 0"]
    assert db.execute(text("SELECT count(*) FROM once_token")).scalar_one() == 1
