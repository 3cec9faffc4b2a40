"""What finance changes by hand: corrections, write-offs, later ends; supplements of grants."""

import re
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core.access import Role
from portal.core.ids import new_id
from portal.core.quantities import charge_ucr, credits_ucr
from portal.core.states import WrongState
from portal.credits import queries
from portal.credits.operations import adjustments, corrections, debts, grants, meters, requests, revocations
from portal.credits.queries.adjustments import page_of_waiting
from portal.credits.states import AdjustmentState
from portal.projects.operations import members
from portal.projects.states import MemberRole
from tests.factories import credits as make
from tests.factories import identity as people
from tests.factories import payments as shop
from tests.queries import count_queries

RATE = credits_ucr(4)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _present(now: datetime):
    with time_machine.travel(now + HOUR, tick=False):
        yield


class Scene:
    """A led wallet with a settled session that owes nothing or something, and two people of finance."""

    def __init__(self, db: Session, now: datetime, *, lot_ucr: int = credits_ucr(100), rate_ucr: int = RATE) -> None:
        self.db, self.now = db, now + HOUR
        self.lead = people.person(db, now=now)
        self.one, self.two = (people.person(db, roles=[Role.FINANCE], now=now) for _ in range(2))
        self.wallet = shop.wallet(db, lead=self.lead.id, now=now, name="Saffron")
        self.lot = make.lot(db, self.wallet, now=now, amount_ucr=lot_ucr)
        self.session = make.meter(db, self.wallet, now=now, rate_ucr_per_hour=rate_ucr)
        meters.settle(db, session_id=self.session, generation=1, proven_s=2400, ended_at=now + timedelta(seconds=2400), now=self.now)

    def correct(self, from_s: int, *, by: people.PersonCard | None = None, id_: uuid.UUID | None = None, reason: str = "A fault of ours") -> AdjustmentState:
        what = {"session_id": self.session, "generation": 1, "from_s": from_s, "reason": reason, "by": (by or self.one).actor}
        return adjustments.correct(self.db, adjustment_id=id_ or new_id(), **what, now=self.now)

    def own(self, who: people.PersonCard) -> None:
        """Make somebody a member of the project."""
        project_id = self.db.execute(text("SELECT project_id FROM wallet WHERE id = :id"), {"id": self.wallet}).scalar_one()
        members.add(self.db, project_id=project_id, person_id=who.id, role=MemberRole.MEMBER, by=make.TESTS, now=self.now)

    def letters(self, kind: str = "credits.adjusted") -> list[dict[str, Any]]:
        found = self.db.execute(text("SELECT recipient_id, context FROM message WHERE kind = :kind"), {"kind": kind}).all()
        assert {row.recipient_id for row in found} <= {self.lead.id}
        return [row.context for row in found]

    @property
    def free_ucr(self) -> int:
        return queries.balance(self.db, self.wallet, now=self.now).free_ucr

    @property
    def meter_id(self) -> uuid.UUID:
        return uuid.UUID(str(self.db.execute(text("SELECT id FROM meter WHERE session_id = :id"), {"id": self.session}).scalar_one()))


def test_a_small_correction_is_booked_at_once_and_the_leads_read_why(db: Session, now: datetime) -> None:
    scene, id_ = Scene(db, now), new_id()
    before_ucr, back_ucr = scene.free_ucr, charge_ucr(RATE, 2400) - charge_ucr(RATE, 600)

    assert [scene.correct(600, id_=id_) for _ in range(3)] == [AdjustmentState.BOOKED] * 3

    assert scene.free_ucr == before_ucr + back_ucr
    assert [(letter["kind"], letter["amount_ucr"], letter["reason"]) for letter in scene.letters()] == [("correction", back_ucr, "A fault of ours")]
    assert db.execute(text("SELECT count(*) FROM audit_event WHERE action IN ('adjusted', 'corrected')")).scalar_one() == 2


def test_a_correction_above_the_limit_takes_another_person(db: Session, now: datetime) -> None:
    scene, id_ = Scene(db, now, lot_ucr=credits_ucr(20_000), rate_ucr=credits_ucr(15_000)), new_id()
    before_ucr = scene.free_ucr
    assert scene.correct(0, id_=id_) is AdjustmentState.WAITING
    assert (scene.free_ucr, scene.letters()) == (before_ucr, [])
    with pytest.raises(adjustments.SamePerson):
        adjustments.approve(db, adjustment_id=id_, by=scene.one.actor, now=scene.now)
    adjustments.approve(db, adjustment_id=id_, by=scene.two.actor, now=scene.now)
    with pytest.raises(WrongState):
        adjustments.approve(db, adjustment_id=id_, by=scene.two.actor, now=scene.now)
    assert scene.free_ucr == before_ucr + charge_ucr(credits_ucr(15_000), 2400)
    assert len(scene.letters()) == 1


def test_exactly_the_limit_is_booked_alone_and_a_microcredit_more_is_not(db: Session, now: datetime) -> None:
    rate_ucr = credits_ucr(7500)
    scene = Scene(db, now, lot_ucr=credits_ucr(20_000), rate_ucr=rate_ucr)
    assert charge_ucr(rate_ucr, 2400) == grants.ALONE_UCR
    assert scene.correct(0) is AdjustmentState.BOOKED
    above = Scene(db, now, lot_ucr=credits_ucr(20_000), rate_ucr=rate_ucr + 2)
    assert above.correct(0) is AdjustmentState.WAITING


def test_what_changed_meanwhile_is_not_booked_unseen(db: Session, now: datetime) -> None:
    scene, id_ = Scene(db, now, lot_ucr=credits_ucr(20_000), rate_ucr=credits_ucr(15_000)), new_id()
    scene.correct(0, id_=id_)
    meters.settle(db, session_id=scene.session, generation=1, proven_s=2500, ended_at=scene.now, now=scene.now)
    with pytest.raises(adjustments.FiguresChanged), db.begin_nested():
        adjustments.approve(db, adjustment_id=id_, by=scene.two.actor, now=scene.now)
    adjustments.decline(db, adjustment_id=id_, by=scene.two.actor, now=scene.now)
    assert db.execute(text("SELECT state, takes_two FROM adjustment")).one() == ("declined", True)
    assert db.execute(text("SELECT corrected_ucr FROM meter")).scalar_one() == 0


def test_only_whoever_asked_withdraws(db: Session, now: datetime) -> None:
    scene, id_ = Scene(db, now, lot_ucr=credits_ucr(20_000), rate_ucr=credits_ucr(15_000)), new_id()
    scene.correct(0, id_=id_)
    with pytest.raises(adjustments.NotYours):
        adjustments.withdraw(db, adjustment_id=id_, by=scene.two.actor, now=scene.now)
    with pytest.raises(adjustments.SamePerson):
        adjustments.decline(db, adjustment_id=id_, by=scene.one.actor, now=scene.now)
    adjustments.withdraw(db, adjustment_id=id_, by=scene.one.actor, now=scene.now)
    with pytest.raises(WrongState):
        adjustments.approve(db, adjustment_id=id_, by=scene.two.actor, now=scene.now)


def test_a27_nobody_adjusts_a_project_of_their_own(db: Session, now: datetime) -> None:
    scene, id_ = Scene(db, now, lot_ucr=credits_ucr(20_000), rate_ucr=credits_ucr(15_000)), new_id()
    scene.correct(0, id_=id_)
    scene.own(scene.two)
    for refused in (
        lambda: scene.correct(0, by=scene.two),
        lambda: adjustments.approve(db, adjustment_id=id_, by=scene.two.actor, now=scene.now),
        lambda: adjustments.extend(
            db, adjustment_id=new_id(), lot_id=scene.lot, expires_at=now + timedelta(days=60), reason="x", by=scene.two.actor, now=scene.now
        ),
    ):
        with pytest.raises(grants.OwnProject):
            refused()


def test_a_correction_says_why_and_names_a_second_that_is_charged(db: Session, now: datetime) -> None:
    scene = Scene(db, now)
    with pytest.raises(adjustments.NoReason):
        scene.correct(0, reason="  ")
    with pytest.raises(corrections.BadSecond):
        scene.correct(2401)
    with pytest.raises(adjustments.NothingToGive):
        scene.correct(2400)


def test_evidence_after_a_correction_gives_nothing_to_pay(db: Session, now: datetime) -> None:
    """Late proof of a corrected session is charged and given back: what is forgiven from a second on stays forgiven."""
    scene = Scene(db, now)
    scene.correct(600)
    before_ucr = scene.free_ucr
    meters.record_proven(db, [make.proven(scene.session, started_at=now, proven_s=3000)], now=scene.now)
    assert meters.roll_due(db, now=scene.now).booked_late == [scene.session]
    meters.settle(db, session_id=scene.session, generation=1, proven_s=3300, ended_at=scene.now, now=scene.now)
    assert scene.free_ucr == before_ucr
    found = db.execute(text("SELECT booked_ucr - corrected_ucr AS left_ucr, proven_s FROM meter")).one()
    assert tuple(found) == (charge_ucr(RATE, 600), 3300)


def test_a_debt_is_written_off_by_two(db: Session, now: datetime) -> None:
    scene, id_ = Scene(db, now, lot_ucr=credits_ucr(2)), new_id()
    owed_ucr = debts.of_wallet(db, scene.wallet).usage_ucr
    assert owed_ucr > 0
    terms = {"wallet_id": scene.wallet, "reason": "Our outage", "by": scene.one.actor, "now": scene.now}
    with pytest.raises(debts.NoDebt):
        adjustments.write_off(db, adjustment_id=new_id(), amount_ucr=owed_ucr + 1, **terms)
    with pytest.raises(grants.BadAmount):
        adjustments.write_off(db, adjustment_id=new_id(), amount_ucr=0, **terms)
    for _ in range(2):
        assert adjustments.write_off(db, adjustment_id=id_, amount_ucr=owed_ucr - 1, **terms) is AdjustmentState.WAITING
    with pytest.raises(adjustments.SamePerson):
        adjustments.approve(db, adjustment_id=id_, by=scene.one.actor, now=scene.now)
    adjustments.approve(db, adjustment_id=id_, by=scene.two.actor, now=scene.now)
    assert debts.of_wallet(db, scene.wallet).usage_ucr == 1
    assert [letter["kind"] for letter in scene.letters()] == ["write_off"]


def test_a_later_end_above_the_limit_takes_two_and_moves_what_was_asked(db: Session, now: datetime) -> None:
    scene, id_, later = Scene(db, now, lot_ucr=credits_ucr(9000)), new_id(), now + timedelta(days=60)
    free_ucr = scene.free_ucr
    terms = {"lot_id": scene.lot, "expires_at": later, "reason": "The course moved", "by": scene.one.actor, "now": scene.now}
    assert adjustments.extend(db, adjustment_id=id_, **terms) is AdjustmentState.WAITING
    session_id = make.meter(db, scene.wallet, now=scene.now)
    adjustments.approve(db, adjustment_id=id_, by=scene.two.actor, now=scene.now)
    moved = db.execute(text("SELECT issued_ucr, expires_at FROM lot WHERE origin = 'extension'")).one()
    assert tuple(moved) == (free_ucr - credits_ucr(1), later), "what the new session holds keeps its end"
    assert db.execute(text("SELECT amount_ucr FROM adjustment")).scalar_one() == free_ucr - credits_ucr(1)
    meters.void(db, session_id=session_id, generation=1, reason="failed", now=scene.now)


def test_a_supplement_keeps_fund_purpose_machines_and_place(db: Session, now: datetime) -> None:
    wallet_id = make.wallet(db, now=now)
    first = make.lot(db, wallet_id, now=now, classes=frozenset({"cpu"}), priority=7)
    officer = people.person(db, roles=[Role.FINANCE], now=now)
    terms = {"lot_id": first, "expires_at": now + timedelta(days=90), "by": officer.actor, "now": now}
    grant_id = new_id()
    more = {requests.supplement(db, grant_id=grant_id, amount_ucr=credits_ucr(5), **terms) for _ in range(2)}
    assert len(more) == 1
    query = "SELECT fund_id, purpose, classes, priority, wallet_id FROM lot WHERE id = :id"
    assert db.execute(text(query), {"id": more.pop()}).one() == db.execute(text(query), {"id": first}).one()
    assert db.execute(text("SELECT count(*) FROM lot WHERE supplements_lot_id = :id"), {"id": first}).scalar_one() == 1

    waits = new_id()
    assert requests.supplement(db, grant_id=waits, amount_ucr=credits_ucr(5001), **terms) is None
    requests.approve(db, request_id=waits, by=people.person(db, roles=[Role.FINANCE], now=now).actor, now=now)
    assert db.execute(text("SELECT sum(issued_ucr) FROM lot WHERE supplements_lot_id = :id"), {"id": first}).scalar_one() == credits_ucr(5006)


def test_a_supplement_of_other_terms_is_refused(db: Session, now: datetime) -> None:
    one, two = make.wallet(db, now=now), make.wallet(db, now=now)
    first = make.lot(db, one, now=now)
    fund_id = db.execute(text("SELECT fund_id FROM lot WHERE id = :id"), {"id": first}).scalar_one()
    terms = {"classes": None, "effective_at": now, "expires_at": now + timedelta(days=9), "by": make.TESTS, "now": now, "amount_ucr": 1}
    for wallet_id, fund, purpose in ((two, fund_id, "Incubation tranche 1"), (one, make.fund(db, now=now), "Incubation tranche 1"), (one, fund_id, "Other")):
        with pytest.raises(grants.OtherTerms):
            grants.give(db, grant_id=new_id(), wallet_id=wallet_id, fund_id=fund, purpose=purpose, supplements_lot_id=first, **terms)
    revocations.revoke(db, lot_id=first, reason="Ended", by=make.TESTS, now=now)


def test_finance_corrects_in_the_browser_after_a_look_at_the_amount(client: FlaskClient, db: Session, now: datetime) -> None:
    scene = Scene(db, now)
    before_ucr, url = scene.free_ucr, f"/wallets/{scene.wallet}/charges/{scene.meter_id}/correct"
    db.commit()
    people.sign_in(client, scene.one)
    assert f"/charges/{scene.meter_id}/correct" in client.get(f"/wallets/{scene.wallet}").text
    sent = people.csrf(client) | {"kept": "600", "reason": "The disk was slow"}
    look = client.post(url, data=sent)
    seen = re.search(r'name="seen" value="([^"]+)"', look.text)
    assert (look.status_code, scene.free_ucr) == (200, before_ucr)
    assert seen is not None
    assert "The disk was slow" in look.text
    assert client.post(url, data=sent | {"kept": "700", "seen": seen[1]}).status_code == 200, "another second is looked at first"
    for _ in range(2):
        assert client.post(url, data=sent | {"seen": seen[1]}).status_code == 303
    db.expire_all()
    assert scene.free_ucr == before_ucr + charge_ucr(RATE, 2400) - charge_ucr(RATE, 600)


@pytest.mark.parametrize("kept", ["", "-1", "1.5", "NaN", "1e30", "１２", "2401"])
def test_f37_seconds_that_are_none_are_said_and_nothing_is_booked(client: FlaskClient, db: Session, now: datetime, kept: str) -> None:
    scene = Scene(db, now)
    db.commit()
    people.sign_in(client, scene.one)
    answer = client.post(f"/wallets/{scene.wallet}/charges/{scene.meter_id}/correct", data=people.csrf(client) | {"kept": kept, "reason": "Typed"})
    assert (answer.status_code, "Typed" in answer.text) == (422, True)
    assert db.execute(text("SELECT count(*) FROM adjustment")).scalar_one() == 0


def test_a_charge_of_another_wallet_is_not_found(client: FlaskClient, db: Session, now: datetime) -> None:
    scene, other = Scene(db, now), Scene(db, now)
    db.commit()
    people.sign_in(client, scene.one)
    assert client.get(f"/wallets/{other.wallet}/charges/{scene.meter_id}/correct").status_code == 404


def test_a_write_off_and_a_later_end_wait_on_one_page_with_grants(client: FlaskClient, db: Session, now: datetime) -> None:
    scene, rich = Scene(db, now, lot_ucr=credits_ucr(2)), Scene(db, now, lot_ucr=credits_ucr(9000))
    fund_id, later = make.fund(db, now=now), (now + timedelta(days=80)).date().isoformat()
    ask = {"purpose": "Big tranche", "classes": None, "effective_at": now, "expires_at": now + timedelta(days=9), "by": scene.one.actor, "now": scene.now}
    requests.ask(db, grant_id=new_id(), wallet_id=scene.wallet, fund_id=fund_id, amount_ucr=credits_ucr(6000), **ask)
    number = db.execute(text("SELECT number FROM lot WHERE id = :id"), {"id": rich.lot}).scalar_one()
    db.commit()
    people.sign_in(client, scene.one)
    assert client.post(f"/wallets/{scene.wallet}/write-off", data=people.csrf(client) | {"amount": "0.5", "reason": "Ours"}).status_code == 303
    extended = client.post(f"/wallets/{rich.wallet}/lots/{number}/extend", data=people.csrf(client) | {"expires_on": later, "reason": "Moved"})
    assert extended.status_code == 303
    assert client.get("/grant-requests").text.count("Withdraw") == 3

    people.sign_in(client, scene.two)
    page = client.get("/grant-requests").text
    ids = re.findall(r"/adjustments/([0-9a-f-]{36})/approve", page)
    assert (len(ids), page.count("Approve and grant")) == (2, 1)
    assert client.post(f"/adjustments/{ids[0]}/approve", data=people.csrf(client)).status_code == 303
    assert client.post(f"/adjustments/{ids[1]}/decline", data=people.csrf(client)).status_code == 303
    db.expire_all()
    assert db.execute(text("SELECT kind, state FROM adjustment ORDER BY id")).all() == [("write_off", "booked"), ("extension", "declined")]


def test_the_page_of_what_waits_takes_as_many_statements_for_three_as_for_one(db: Session, now: datetime) -> None:
    scene = Scene(db, now, lot_ucr=credits_ucr(2))
    terms = {"wallet_id": scene.wallet, "amount_ucr": 1, "reason": "Ours", "by": scene.one.actor, "now": scene.now}
    counts = []
    for rows in (1, 3):
        while len(page_of_waiting(db, mark=None).rows) < rows:
            adjustments.write_off(db, adjustment_id=new_id(), **terms)
        with count_queries() as counted:
            assert len(page_of_waiting(db, mark=None).rows) == rows
        counts.append(counted.statements)
    assert [len(statements) for statements in counts] == [3, 3]


@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
def test_the_pages_and_letters_speak_every_language(client: FlaskClient, db: Session, now: datetime, lang: str) -> None:
    scene = Scene(db, now)
    number = db.execute(text("SELECT number FROM lot WHERE id = :id"), {"id": scene.lot}).scalar_one()
    db.commit()
    client.set_cookie("lang", lang, domain="127.0.0.1")
    people.sign_in(client, scene.one)
    for path in (f"charges/{scene.meter_id}/correct", "write-off", f"lots/{number}", f"lots/{number}/extend", f"lots/{number}/supplement"):
        assert client.get(f"/wallets/{scene.wallet}/{path}").status_code == 200, path
