"""What time has ended is deleted, the rest stays."""

from datetime import timedelta

import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core import clock
from portal.core.jobs import JobContext
from portal.identity import jobs, rules
from portal.settings import Settings
from tests.factories import identity as people
from tests.identity.test_oidc import code_of, exchange


def test_ended_sessions_and_grants_are_deleted(app: Flask, client: FlaskClient, db: Session, session_maker, settings: Settings) -> None:
    begun = clock.now()
    ada = people.person(db, now=begun)
    people.sign_in(client, ada)
    exchange(app.test_client(use_cookies=False), code_of(client))
    context = JobContext(sessions=session_maker, settings=settings)

    def left() -> tuple[int, ...]:
        return tuple(db.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in ("sign_in_session", "oidc_grant", "oidc_code", "oidc_token"))

    with time_machine.travel(begun + timedelta(hours=47)):
        jobs.forget_expired(context)
        assert left() == (1, 1, 1, 2)
    with time_machine.travel(begun + timedelta(hours=49)):
        jobs.forget_expired(context)
        assert left() == (1, 0, 0, 0)
    with time_machine.travel(begun + rules.SESSION_IDLE + timedelta(minutes=1)):
        jobs.forget_expired(context)
        assert left() == (0, 0, 0, 0)
