"""One-time tickets."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from portal.compute.models import Ticket
from portal.compute.operations import sessions, tickets
from portal.compute.operations.sessions import SessionFile
from portal.compute.operations.tickets import SessionNotStarting, TicketExpired, TicketNotYours, TicketUnknown, TicketUsed
from portal.compute.states import StopCause
from portal.core.ids import digest
from portal.identity.operations import people as people_operations
from tests.factories import compute as make


def redeem(db: Session, launch, now: datetime, **change: str):
    given = {"token": launch.ticket, "username": launch.username, "server": launch.server} | change
    return tickets.redeem(db, **given, now=now)


def test_a_ticket_gives_everything_that_the_start_may_use(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now, files=[SessionFile("courses/lab-1.ipynb", b"{}")], open_path="/lab/tree/courses/lab-1.ipynb")
    launch = make.launched(db, session_id, now=now)

    answer = redeem(db, launch, now).as_json()

    assert answer == {
        "session_id": str(session_id),
        "generation": 1,
        "profile": "h100-slice-10",
        "devices": [{"id": "sim-10-0", "kind": "simulated", "paths": []}],
        "cpu_limit": 2.0,
        "memory_limit_bytes": 4 * 2**30,
        "environment": {"AIHUB_SESSION": launch.server, "AIHUB_PROFILE": "h100-slice-10"},
        "home": ada.person.slug,
        "files": [{"path": "courses/lab-1.ipynb", "content_base64": "e30="}],
        "open_path": "/lab/tree/courses/lab-1.ipynb",
        "held_until": "2026-11-23T10:15:00Z",
    }


def test_a_seat_is_no_device_for_the_hub(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)

    assert make.started(db, make.requested(db, ada, now=now, profile="cpu-notebook"), now=now).devices == []


def test_only_the_digest_of_a_ticket_is_kept(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    launch = make.launched(db, make.requested(db, ada, now=now), now=now)

    assert db.execute(select(Ticket.token_digest)).scalars().all() == [digest(launch.ticket)]
    assert launch.ticket not in repr(launch)
    assert len(launch.ticket) == 43


def test_a_ticket_is_spent_once(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    launch = make.launched(db, make.requested(db, ada, now=now), now=now)
    redeem(db, launch, now)

    with pytest.raises(TicketUsed):
        redeem(db, launch, now)


@pytest.mark.parametrize(
    ("change", "later", "error"),
    [
        ({"token": "x" * 43}, 0, TicketUnknown),
        ({"username": "u-99999"}, 0, TicketNotYours),
        ({"server": "s-99999"}, 0, TicketNotYours),
        ({}, 121, TicketExpired),
    ],
)
def test_a_ticket_that_is_not_good_is_refused_and_not_spent(db: Session, now: datetime, change: dict[str, str], later: int, error: type[Exception]) -> None:
    ada = make.spender(db, now=now)
    launch = make.launched(db, make.requested(db, ada, now=now), now=now)

    with pytest.raises(error):
        redeem(db, launch, now + timedelta(seconds=later), **change)

    assert db.execute(select(Ticket.used_at)).scalars().all() == [None]


def test_a_new_ticket_voids_the_one_before(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    first, second = make.launched(db, session_id, now=now), make.launched(db, session_id, now=now)

    with pytest.raises(TicketUnknown):
        redeem(db, first, now)
    assert redeem(db, second, now).session_id == session_id


def test_a_stopped_session_does_not_start(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id = make.requested(db, ada, now=now)
    launch = make.launched(db, session_id, now=now)
    sessions.stop(db, session_id=session_id, by=ada.actor, now=now, cause=StopCause.PERSON)

    with pytest.raises(SessionNotStarting):
        redeem(db, launch, now)


def test_a_suspended_person_starts_nothing(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    launch = make.launched(db, make.requested(db, ada, now=now), now=now)
    people_operations.suspend(db, person_id=ada.person.id, by=make.TESTS, now=now)

    with pytest.raises(SessionNotStarting):
        redeem(db, launch, now)


def test_parallel_redemptions_spend_a_ticket_once(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with own_sessions() as db, db.begin():
        ada = make.spender(db, now=now)
        launch = make.launched(db, make.requested(db, ada, now=now), now=now)
    barrier, answers = threading.Barrier(6), []

    def go() -> None:
        barrier.wait()
        try:
            with own_sessions() as db, db.begin():
                answers.append(redeem(db, launch, now).session_id)
        except TicketUsed:
            answers.append(None)

    threads = [threading.Thread(target=go) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    assert sorted(answer is None for answer in answers) == [False, True, True, True, True, True]
    with own_sessions() as db:
        assert db.execute(select(func.count()).select_from(Ticket).where(Ticket.used_at.is_not(None))).scalar_one() == 1
