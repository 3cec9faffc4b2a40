"""How fresh a wallet's figures are: every comparison leaves its time and what it found, and the wallet says so."""

import logging
from datetime import datetime, timedelta

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.compute.hub_gateway import HubAway
from portal.core import jobs
from portal.credits import verify
from portal.credits.operations import reconciliations, seal
from portal.credits.queries.freshness import freshness
from portal.credits.states import Reconciliation
from tests.conftest import RunJobs
from tests.credits.access_matrix import make_wallet
from tests.factories import credits as make
from tests.factories import identity as people


def test_what_agreed_before_is_remembered_while_it_does_not(db: Session, now: datetime) -> None:
    assert freshness(db).metering is None
    for minute, answers, problems in ((0, True, 0), (1, False, 0), (2, True, 3)):
        reconciliations.note(db, Reconciliation.METERING, compared=5, problems=problems, did_answer=answers, now=now + timedelta(minutes=minute))
        found = freshness(db).metering
        assert found is not None
        assert (found.looked_at, found.agreed_at, found.problems) == (now + timedelta(minutes=minute), now, problems)
        assert found.agrees == (minute == 0)


def test_the_nightly_check_leaves_what_it_found(db: Session, run_jobs: RunJobs, now: datetime, caplog: pytest.LogCaptureFixture) -> None:
    wallet_id = make.wallet(db, now=now)
    make.lot(db, wallet_id, now=now)
    db.commit()
    with time_machine.travel(now + timedelta(hours=17), tick=False):
        jobs.enqueue(db, "credits.verify_ledger")
        db.commit()
        run_jobs(only="credits.verify_ledger")
    db.rollback()
    found = freshness(db).ledger
    assert found is not None
    assert found.agrees
    assert (found.compared, found.problems) == (10, 0)
    _change_balances(db, 1)
    with caplog.at_level(logging.CRITICAL), time_machine.travel(now + timedelta(hours=41), tick=False):
        jobs.enqueue(db, "credits.verify_ledger")
        db.commit()
        run_jobs(only="credits.verify_ledger")
    db.rollback()
    found = freshness(db).ledger
    assert found is not None
    assert not found.agrees
    assert found.problems >= 1
    assert "the ledger is not sound" in caplog.text
    _change_balances(db, -1)


def _change_balances(db: Session, by_ucr: int) -> None:
    """Do what only a person at the database could do."""
    db.execute(text("SET LOCAL ROLE NONE; SET LOCAL session_replication_role = replica"))
    db.execute(text("UPDATE ledger_account SET balance_ucr = balance_ucr + :by WHERE kind = 'lot_available'"), {"by": by_ucr})
    db.execute(text("RESET session_replication_role; RESET ROLE"))
    db.commit()


@pytest.mark.parametrize("lang", ["en", "fr", "ar"])
def test_the_wallet_says_it_in_every_language(client: FlaskClient, db: Session, now: datetime, lang: str) -> None:
    owner = people.person(db, now=now)
    ref = make_wallet(db, owner.id, now)["ref"]
    db.commit()
    client.set_cookie("lang", lang, domain="127.0.0.1")
    with time_machine.travel(now + timedelta(minutes=5), tick=False):
        people.sign_in(client, owner)
        bare = client.get(f"/wallets/{ref}")
        seal.seal_due(db, now=now + timedelta(minutes=4), everything=False)
        verify.run_and_note(db, now=now)
        reconciliations.note(db, Reconciliation.METERING, compared=3, problems=0, now=now)
        reconciliations.note(db, Reconciliation.PROVIDER, compared=3, problems=2, now=now)
        db.commit()
        good = client.get(f"/wallets/{ref}")
        reconciliations.note(db, Reconciliation.METERING, compared=0, problems=0, did_answer=False, now=now + timedelta(minutes=4))
        reconciliations.note(db, Reconciliation.LEDGER, compared=10, problems=1, now=now)
        db.commit()
        away = client.get(f"/wallets/{ref}")
    assert {bare.status_code, good.status_code, away.status_code} == {200}
    head = freshness(db).head
    assert head is not None
    assert head.short in good.text
    assert len({bare.text, good.text, away.text}) == 3


def test_the_minute_job_notes_the_hub(db: Session, run_jobs: RunJobs, now: datetime) -> None:
    class Hub:
        is_away = False

        def servers(self) -> list[object]:
            if self.is_away:
                raise HubAway("away")
            return []

    hub = Hub()
    for minute, away in ((0, False), (1, True)):
        hub.is_away = away
        with time_machine.travel(now + timedelta(minutes=minute), tick=False):
            jobs.enqueue(db, "compute.reconcile")
            db.commit()
            run_jobs(only="compute.reconcile", resources={"hub": hub})
        db.rollback()
        found = freshness(db).metering
        assert found is not None
        assert (found.looked_at, found.agreed_at) == (now + timedelta(minutes=minute), now)
