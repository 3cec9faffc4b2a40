"""A session that goes on for longer: priced, paid, and never at the cost of somebody who was promised the machine."""

from datetime import datetime, timedelta

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from portal.compute.operations import allowances, extensions, sessions, watch
from portal.compute.operations.allowances import AllowanceSpent
from portal.compute.operations.extensions import KeptForOthers, LongestReached, NoSuchExtension, NotExtendable, NothingLeft
from portal.compute.states import SessionState, StopCause
from portal.core.errors import NotFound
from portal.core.quantities import credits_ucr
from portal.credits import queries as ledger
from portal.credits import verify
from portal.projects.operations import members
from portal.projects.states import MemberRole
from tests.factories import compute as make
from tests.factories import identity as people

FULL = "h100-full"
HOUR = timedelta(hours=1)


def test_an_extended_session_is_paid_beyond_its_first_end_and_stops_at_the_new_one(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now, balance=200)
    session_id, plugin = make.running(db, ada, now=now, profile=FULL, duration_s=3600)
    at = now + timedelta(minutes=50)
    make.deliver(db, [plugin.seen(3000)], now=at)
    watch.roll(db, by=make.TESTS, now=at)
    assert extensions.extend(db, session_id=session_id, more_s=3600, by=ada.actor, now=at) == now + 2 * HOUR
    for minute in range(51, 121, 5):
        at = now + timedelta(minutes=minute)
        make.deliver(db, [plugin.seen(minute * 60)], now=at)
        watch.roll(db, by=make.TESTS, now=at)
        watch.stop_over(db, by=make.TESTS, now=at)
        assert make.row_of(db, session_id).state == SessionState.RUNNING, minute
    watch.stop_over(db, by=make.TESTS, now=now + 2 * HOUR)
    row = make.row_of(db, session_id)
    assert (row.state, row.stop_cause) == (SessionState.STOPPING, StopCause.DURATION)
    make.deliver(db, [plugin.exited(7200)], now=now + 2 * HOUR)
    cost = ledger.session_costs(db, [session_id], now=now + 3 * HOUR)[session_id]
    assert (cost.booked_ucr, cost.debt_ucr) == (credits_ucr(56), 0)
    assert [result.first_bad for result in verify.run(db, now=now + 3 * HOUR) if not result.holds] == []


def test_it_is_refused_with_the_reason(db: Session, now: datetime) -> None:
    ada, other = make.spender(db, now=now, balance=1000), make.spender(db, now=now)
    session_id, _ = make.running(db, ada, now=now, profile="cpu-notebook", duration_s=8 * 3600)
    at = now + timedelta(minutes=1)
    with pytest.raises(NotFound):
        extensions.extend(db, session_id=session_id, more_s=3600, by=other.actor, now=at)
    with pytest.raises(NoSuchExtension):
        extensions.extend(db, session_id=session_id, more_s=60, by=ada.actor, now=at)
    for more_s in (7200, 7200):
        extensions.extend(db, session_id=session_id, more_s=more_s, by=ada.actor, now=at)
    with pytest.raises(LongestReached):
        extensions.extend(db, session_id=session_id, more_s=3600, by=ada.actor, now=at)
    sessions.stop(db, session_id=session_id, by=ada.actor, now=at, cause=StopCause.PERSON)
    with pytest.raises(NotExtendable):
        extensions.extend(db, session_id=session_id, more_s=3600, by=ada.actor, now=at)


def test_it_is_refused_where_the_credits_end_before(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now, balance=7)
    session_id, _ = make.running(db, ada, now=now, profile=FULL, duration_s=3600)
    with pytest.raises(NothingLeft):
        extensions.extend(db, session_id=session_id, more_s=3600, by=ada.actor, now=now + timedelta(minutes=1))


def test_it_is_refused_beyond_the_weekly_allowance(db: Session, now: datetime) -> None:
    lead = make.spender(db, now=now, balance=500)
    person = people.person(db, now=now)
    members.add(db, project_id=lead.project_id, person_id=person.id, role=MemberRole.MEMBER, by=make.TESTS, now=now)
    allowances.set_weekly(db, project_id=lead.project_id, person_id=None, weekly_ucr=credits_ucr(30), by=lead.actor, now=now)
    ada = make.Spender(person, lead.project_id, lead.wallet_id)
    session_id, _ = make.running(db, ada, now=now, profile=FULL, duration_s=3600)
    with pytest.raises(AllowanceSpent):
        extensions.extend(db, session_id=session_id, more_s=3600, by=ada.actor, now=now + timedelta(minutes=1))


def test_it_never_delays_whoever_is_first_in_the_queue(db: Session, now: datetime) -> None:
    ada, ben, eve = (make.spender(db, now=now, balance=500) for _ in range(3))
    make.small_pool(db, now=now, full=2)
    first, _ = make.running(db, ada, now=now, profile=FULL, duration_s=3600)
    second, _ = make.running(db, ben, now=now, profile=FULL, duration_s=2 * 3600)
    make.requested(db, eve, now=now + timedelta(minutes=1), profile=FULL)
    at = now + timedelta(minutes=2)
    with pytest.raises(KeptForOthers):
        extensions.extend(db, session_id=first, more_s=3600, by=ada.actor, now=at)
    assert extensions.extend(db, session_id=second, more_s=3600, by=ben.actor, now=at) == now + 3 * HOUR


@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
def test_the_button_shows_price_and_end_and_the_refusal_beside_it(client: FlaskClient, db: Session, now: datetime, lang: str) -> None:
    ada, eve = make.spender(db, now=now, balance=500), make.spender(db, now=now)
    session_id, _ = make.running(db, ada, now=now, profile=FULL, duration_s=3600)
    db.commit()
    number = make.row_of(db, session_id).number
    client.set_cookie("lang", lang, domain="127.0.0.1")
    with time_machine.travel(now + timedelta(minutes=5), tick=False):
        people.sign_in(client, ada.person)
        page = client.get(f"/sessions/{number}")
        assert f"/sessions/{number}/extend" in page.text
        assert "28.00" in page.text or "28,00" in page.text
        with client.application.app_context():
            done = client.post(f"/sessions/{number}/extend", data=people.csrf(client) | {"hours": "1"})
        assert done.status_code == 303
        make.requested(db, eve, now=now + timedelta(minutes=5), profile=FULL)
        db.commit()
        with client.application.app_context():
            refused = client.post(f"/sessions/{number}/extend", data=people.csrf(client) | {"hours": "1"})
            empty = client.post(f"/sessions/{number}/extend", data=people.csrf(client))
        assert empty.status_code == 422
        assert refused.status_code in {403, 409, 422}
        assert "data-error-summary" in refused.text
    assert make.row_of(db, session_id).duration_s == 7200
