"""Labs: opened on the run's credits, by those who are enrolled, with their notebook in place; nothing else is."""

import json
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.compute.operations import sessions
from portal.core.errors import Conflict, NotFound, Refused
from portal.core.quantities import credits_ucr
from portal.credits import queries as credit_queries
from portal.learning import queries
from portal.learning.operations import enrolments, labs
from tests.factories import learning
from tests.factories.identity import person


@pytest.fixture
def pooled(db: Session, now: datetime) -> None:
    learning.local_pool(db, now=now)


def launch(db: Session, enrolment_id, amina, now: datetime, language: str = "ar"):
    return labs.launch(db, enrolment_id=enrolment_id, course=learning.course(), lab_slug=learning.LAB, language=language, by=amina.actor, now=now)


@pytest.mark.usefixtures("pooled")
def test_launch_asks_compute_for_the_lab_s_machine_time_and_notebook(db: Session, now: datetime) -> None:
    run, amina = learning.run(db, now=now), person(db, now=now)
    enrolment_id = learning.learner(db, run.id, amina, now=now)

    session_id = launch(db, enrolment_id, amina, now)

    query = """SELECT s.project_id, s.person_id, p.slug AS profile, s.duration_s, s.label, s.open_path, s.course_context, f.path, f.content
               FROM compute_session s JOIN compute_profile p ON p.id = s.profile_id JOIN session_file f ON f.session_id = s.id WHERE s.id = :id"""
    row = db.execute(text(query), {"id": session_id}).one()
    path = "courses/gpu-from-zero/measure-it.ar.ipynb"
    assert (row.project_id, row.person_id, row.profile, row.duration_s) == (run.project_id, amina.id, "h100-slice-10", 1800)
    assert (row.path, row.open_path, row.label) == (path, f"/lab/tree/{path}", learning.course().labs[0].title["ar"])
    assert row.course_context == {"course": learning.SLUG, "run": str(run.id), "lab": learning.LAB, "revision": learning.course().revision}
    assert json.loads(bytes(row.content))["metadata"]["hub"]["language"] == "ar"
    balance = credit_queries.balance(db, credit_queries.wallet_of_project(db, run.project_id), now=now)
    assert (balance.held_ucr, balance.free_ucr) == (credits_ucr(1), credits_ucr(19))  # a window of 15 minutes at 4 credits an hour
    standing = queries.standing_of(db, enrolment_id)
    assert [(one.state, one.started_at) for one in standing.sessions[learning.LAB]] == [("requested", None)]
    assert list(standing.opened) == []


@pytest.mark.usefixtures("pooled")
def test_learner_cannot_spend_the_course_s_credits_on_anything_else(db: Session, now: datetime) -> None:
    run, amina = learning.run(db, now=now), person(db, now=now)
    learning.learner(db, run.id, amina, now=now)

    with pytest.raises(NotFound):
        sessions.request(db, project_id=run.project_id, profile_slug="h100-full", duration_s=3600, label="", by=amina.actor, now=now)


@pytest.mark.usefixtures("pooled")
def test_launch_is_for_the_enrolled_person_alone(db: Session, now: datetime) -> None:
    run, amina, idriss = learning.run(db, now=now), person(db, now=now), person(db, now=now)
    enrolment_id = learning.learner(db, run.id, amina, now=now)

    with pytest.raises(NotFound):
        launch(db, enrolment_id, idriss, now)
    with pytest.raises(NotFound):
        labs.launch(db, enrolment_id=enrolment_id, course=learning.course(), lab_slug="no-such-lab", language="en", by=amina.actor, now=now)
    enrolments.leave(db, run_id=run.id, by=amina.actor, now=now)
    with pytest.raises(NotFound):
        launch(db, enrolment_id, amina, now)

    assert db.execute(text("SELECT count(*) FROM compute_session")).scalar_one() == 0


@pytest.mark.usefixtures("pooled")
def test_launch_of_another_course_s_enrolment_is_not_found(db: Session, now: datetime) -> None:
    from dataclasses import replace
    from uuid import uuid4

    run, amina = learning.run(db, now=now), person(db, now=now)
    enrolment_id = learning.learner(db, run.id, amina, now=now)
    other = replace(learning.course(), id=uuid4(), slug="other")

    with pytest.raises(NotFound):
        labs.launch(db, enrolment_id=enrolment_id, course=other, lab_slug=learning.LAB, language="en", by=amina.actor, now=now)


@pytest.mark.usefixtures("pooled")
@pytest.mark.parametrize(("starts_in_days", "error"), [(1, labs.NotYet), (-1, None)])
def test_labs_open_with_the_run(db: Session, now: datetime, starts_in_days: int, error) -> None:
    run, amina = learning.run(db, now=now, starts_in_days=starts_in_days, days=10), person(db, now=now)
    enrolment_id = learning.learner(db, run.id, amina, now=now)

    if error:
        with pytest.raises(error):
            launch(db, enrolment_id, amina, now)
    else:
        launch(db, enrolment_id, amina, now)
        with pytest.raises(labs.RunOver):
            launch(db, enrolment_id, amina, now + timedelta(days=9))


@pytest.mark.usefixtures("pooled")
def test_run_without_credits_opens_no_lab_and_leaves_nothing(db: Session, now: datetime) -> None:
    run, amina = learning.run(db, now=now, credits_given=0), person(db, now=now)
    enrolment_id = learning.learner(db, run.id, amina, now=now)

    with pytest.raises((Refused, Conflict)), db.begin_nested():
        launch(db, enrolment_id, amina, now)

    assert db.execute(text("SELECT count(*) FROM compute_session")).scalar_one() == 0
    assert db.execute(text("SELECT count(*) FROM lab_launch")).scalar_one() == 0


def test_offers_of_labs_say_price_and_energy(db: Session, now: datetime) -> None:
    assert queries.lab_offers(db, learning.course().labs, now=now) == {}
    learning.local_pool(db, now=now)

    offer = queries.lab_offers(db, learning.course().labs, now=now)[learning.LAB]

    assert (offer.duration_s, offer.cost_ucr, offer.energy_wh) == (1800, credits_ucr(2), 60)
    assert offer.is_free
    assert offer.is_simulated
