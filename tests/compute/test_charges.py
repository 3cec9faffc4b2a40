"""A charge opened up: its sum, who paid, its bookings; for whoever may see the wallet."""

import re
import uuid
from datetime import datetime, timedelta

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from portal.compute import queries
from portal.compute.operations import watch
from portal.core.access import Role
from portal.core.errors import NotFound
from portal.core.quantities import credits_ucr
from portal.credits import verify
from portal.credits.operations import corrections
from portal.credits.queries.charges import Charge, charge_of_session, page_of_bookings
from portal.projects.operations import members
from portal.projects.states import MemberRole
from tests.compute.test_prices import follow, publish
from tests.factories import compute as make
from tests.factories import credits as ledger
from tests.factories import identity as people
from tests.queries import count_queries

FULL = "h100-full"
OLD, NEW = credits_ucr(28), credits_ucr(36)


def lived(db: Session, ada: make.Spender, now: datetime, minutes: int, *, ends: bool = True) -> uuid.UUID:
    """Let a session run under two prices, and end."""
    make.small_pool(db, now=now)
    session_id, plugin = make.running(db, ada, now=now, profile=FULL)
    publish(db, NEW, starts_at=now + timedelta(minutes=10), now=now)
    for minute in range(1, minutes + 1):
        at = now + timedelta(minutes=minute)
        is_last = ends and minute == minutes
        make.deliver(db, [plugin.exited(minute * 60) if is_last else plugin.seen(minute * 60)], now=at)
        follow(db, at)
        watch.roll(db, by=make.TESTS, now=at)
    return session_id


def adds_up(charge: Charge) -> None:
    assert charge.booked_ucr - charge.corrected_ucr == sum(payer.amount_ucr for payer in charge.payers) + charge.debt_ucr + charge.written_off_ucr
    if not charge.is_running:
        assert charge.used_ucr == charge.booked_ucr


def test_a_charge_is_written_out_by_price_and_by_lot(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now, balance=0)
    ledger.lot(db, ada.wallet_id, now=now, amount_ucr=credits_ucr(5), days=3)
    ledger.lot(db, ada.wallet_id, now=now, amount_ucr=credits_ucr(90), days=30)
    session_id = lived(db, ada, now, 40)
    charge = charge_of_session(db, session_id, actor=ada.actor, now=now + timedelta(hours=2))
    assert [(stretch.from_s, stretch.until_s, stretch.rate_ucr_per_hour) for stretch in charge.stretches] == [(0, 900, OLD), (900, 2400, NEW)]
    assert [stretch.amount_ucr for stretch in charge.stretches] == [credits_ucr(7), credits_ucr(15)]
    assert (charge.used_ucr, charge.used_s, charge.proven_s) == (credits_ucr(22), 2400, 2400)
    assert [payer.amount_ucr for payer in charge.payers] == [credits_ucr(5), credits_ucr(17)]
    assert charge.payers[0].fund_name
    adds_up(charge)
    bookings = page_of_bookings(db, session_id, mark=None).rows
    assert [row.key for row in bookings if row.operation == "capture"] == [f"cap:{session_id}:1:{n}" for n in (1, 2, 3)]
    assert sum(row.amount_ucr for row in bookings if row.operation == "capture") == charge.booked_ucr
    assert all(result.holds for result in verify.run(db, now=now + timedelta(hours=2)))


def test_what_is_given_back_is_taken_off_the_lot_that_paid_last(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now, balance=0)
    ledger.lot(db, ada.wallet_id, now=now, amount_ucr=credits_ucr(5), days=3)
    ledger.lot(db, ada.wallet_id, now=now, amount_ucr=credits_ucr(90), days=30)
    session_id = lived(db, ada, now, 40)
    later = now + timedelta(hours=1)
    corrections.forgive_from(db, session_id=session_id, generation=1, from_s=900, reason="Idle", by=make.TESTS, now=later)
    charge = charge_of_session(db, session_id, actor=ada.actor, now=later)
    assert (charge.corrected_ucr, charge.charged_ucr) == (credits_ucr(15), credits_ucr(7))
    assert [payer.amount_ucr for payer in charge.payers] == [credits_ucr(5), credits_ucr(2)]
    adds_up(charge)


def test_use_that_outlived_its_credits_is_a_debt_or_borne_by_the_hub(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now, balance=8)
    make.small_pool(db, now=now)
    session_id, plugin = make.running(db, ada, now=now, profile=FULL)
    later = now + timedelta(hours=1)
    make.deliver(db, [plugin.exited(3600)], now=later)
    charge = charge_of_session(db, session_id, actor=ada.actor, now=later)
    assert charge.used_ucr == credits_ucr(28)
    assert sum(payer.amount_ucr for payer in charge.payers) == credits_ucr(8)
    assert charge.debt_ucr == credits_ucr(7)
    assert charge.written_off_ucr == credits_ucr(13)
    adds_up(charge)


def test_a_running_charge_grows_to_the_second_and_says_what_is_booked(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id = lived(db, ada, now, 20, ends=False)
    charge = charge_of_session(db, session_id, actor=ada.actor, now=now + timedelta(minutes=20, seconds=30))
    assert charge.is_running
    assert charge.used_s == 1230
    assert charge.booked_ucr == credits_ucr(7)
    assert charge.used_ucr == credits_ucr(7) + NEW * 330 // 3600
    adds_up(charge)


def test_whoever_may_not_see_the_wallet_finds_no_charge(db: Session, now: datetime) -> None:
    ada, eve = make.spender(db, now=now), make.spender(db, now=now, name="Elsewhere")
    session_id = lived(db, ada, now, 5)
    learner, member = people.person(db, now=now), people.person(db, now=now)
    members.add(db, project_id=ada.project_id, person_id=learner.id, role=MemberRole.LEARNER, by=make.TESTS, now=now)
    members.add(db, project_id=ada.project_id, person_id=member.id, role=MemberRole.MEMBER, by=make.TESTS, now=now)
    for stranger in (eve.actor, learner.actor):
        with pytest.raises(NotFound):
            charge_of_session(db, session_id, actor=stranger, now=now)
    with pytest.raises(NotFound):
        charge_of_session(db, uuid.uuid4(), actor=ada.actor, now=now)
    assert charge_of_session(db, session_id, actor=member.actor, now=now).used_s == 300
    assert not queries.charged_session(db, session_id, actor=member.actor).is_visible
    assert queries.charged_session(db, session_id, actor=ada.actor).is_visible


@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
def test_the_page_says_it_in_every_language(client: FlaskClient, db: Session, now: datetime, lang: str) -> None:
    ada = make.spender(db, now=now)
    session_id = lived(db, ada, now, 40)
    db.commit()
    client.set_cookie("lang", lang, domain="127.0.0.1")
    with time_machine.travel(now + timedelta(hours=1), tick=False):
        people.sign_in(client, ada.person)
        with count_queries() as statements:
            page = client.get(f"/sessions/charges/{session_id}")
        listed = client.get(f"/wallets/{ada.wallet_id}")
        on_statement = client.get(f"/wallets/{ada.wallet_id}/statement")
    assert page.status_code == 200
    assert len(statements) <= 10
    text = re.sub("<[^>]+>|[\u2066\u2069\u202f\u00a0]", "", page.text)
    assert re.search(r"(?<![\d.,])22(?![\d])", text)
    assert f"cap:{session_id}:1:1" in text
    for place in (listed, on_statement):
        assert f"/sessions/charges/{session_id}" in place.text


def test_finance_may_open_every_charge(client: FlaskClient, db: Session, now: datetime) -> None:
    ada, finance = make.spender(db, now=now), people.person(db, roles=[Role.FINANCE], now=now)
    session_id = lived(db, ada, now, 5)
    db.commit()
    with time_machine.travel(now + timedelta(hours=1), tick=False):
        people.sign_in(client, finance)
        assert client.get(f"/sessions/charges/{session_id}").status_code == 200
