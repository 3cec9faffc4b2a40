"""Reviews: nothing chosen stays nothing, autosave, sent once, pinned to what was read."""

import re
from datetime import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.core import clock
from portal.core.errors import NotFound
from portal.core.states import WrongState
from portal.incubation.operations import applications, assignments, reviews
from portal.incubation.queries import calls as call_queries
from portal.incubation.queries import reviews as queries
from portal.incubation.queries import staff
from tests.factories import identity as people
from tests.factories import incubation as make
from tests.incubation.browser import tokens


@pytest.fixture
def now() -> datetime:
    return clock.now()


@pytest.fixture
def world(db: Session, now: datetime) -> make.CallWorld:
    return make.call(db, now=now)


@pytest.fixture
def application(db: Session, world: make.CallWorld, now: datetime) -> int:
    return make.application(db, world, people.person(db, now=now), now=now)


@pytest.fixture
def reviewer(db: Session, now: datetime) -> people.PersonCard:
    return make.reviewer(db, now=now)


@pytest.fixture
def review(client: FlaskClient, db: Session, world: make.CallWorld, application: int, reviewer: people.PersonCard, now: datetime) -> int:
    """Give an assigned review, its reviewer signed in."""
    [number] = make.in_review(db, world, application, [reviewer], now=now)
    db.commit()
    people.sign_in(client, reviewer)
    return number


def open_page(client: FlaskClient, review: int) -> str:
    found = re.search(r'data-revision="([0-9a-f]{16}\.\d+[^"]*)"', client.get(f"/reviews/{review}").text)
    assert found
    return found[1]


def kept(db: Session, review: int, reviewer: people.PersonCard) -> dict[str, str]:
    db.expire_all()
    return queries.values_of_review(db, queries.review_by_number(db, review, actor=reviewer.actor).review_id)


def test_a_fresh_review_has_nothing_chosen(client: FlaskClient, db: Session, review: int, reviewer: people.PersonCard) -> None:
    page = client.get(f"/reviews/{review}").text

    assert " checked" not in page
    assert page.count("Not scored yet") == 4
    assert "4 criteria are left." in page
    assert kept(db, review, reviewer) == {}


def test_each_score_saves_itself(client: FlaskClient, db: Session, review: int, reviewer: people.PersonCard) -> None:
    mark = open_page(client, review)

    answer = client.post(f"/reviews/{review}/fields", data=tokens(client) | {"field": "team", "team": "5", "revision": mark})

    assert answer.status_code == 200
    assert "3 criteria are left." in answer.text
    assert kept(db, review, reviewer) == {"team": "5"}


@pytest.mark.parametrize("value", ["0", "6", "4.5", "٤", "x"])
def test_a_score_off_the_scale_is_refused(client: FlaskClient, db: Session, review: int, reviewer: people.PersonCard, value: str) -> None:
    answer = client.post(f"/reviews/{review}/fields", data=tokens(client) | {"field": "team", "team": value, "revision": open_page(client, review)})

    assert answer.status_code == 422
    assert kept(db, review, reviewer) == {}


def test_two_tabs_conflict_on_a_comment(client: FlaskClient, db: Session, review: int, reviewer: people.PersonCard) -> None:
    first, second = open_page(client, review), open_page(client, review)
    client.post(f"/reviews/{review}/fields", data=tokens(client) | {"field": "comment_staff", "comment_staff": "First", "revision": first})

    clash = client.post(f"/reviews/{review}/fields", data=tokens(client) | {"field": "comment_staff", "comment_staff": "Second", "revision": second})
    whole = client.post(f"/reviews/{review}", data=tokens(client) | {"comment_staff": "Second", "team": "3", "revision": second, "action": "send"})

    assert clash.status_code == 409
    assert "First" in clash.text
    assert "Second" in clash.text
    assert whole.status_code == 409
    assert kept(db, review, reviewer) == {"comment_staff": "First"}


def test_a_review_is_sent_with_a_missing_score_left_missing(
    client: FlaskClient, db: Session, world: make.CallWorld, application: int, review: int, reviewer: people.PersonCard
) -> None:
    form = {"problem": "5", "team": "4", "feasibility": "3", "comment_applicant": "Good.", "revision": open_page(client, review), "action": "send"}

    assert client.post(f"/reviews/{review}", data=tokens(client) | form).headers["Location"] == "/reviews"

    rubric = call_queries.rubric_by_id(db, call_queries.call_by_id(db, world.id).rubric_version_id)
    lines = staff.reviews_of(db, application_id=make.id_of(db, application), criteria=rubric.keys)
    means = staff.means(lines, rubric)
    assert lines[0].scores == {"problem": 5, "team": 4, "feasibility": 3, "computing": None}
    assert (means["computing"].value, means["computing"].count, means["computing"].of) == (None, 0, 1)
    assert means["problem"].value == 5
    assert means[""].value is None
    people.sign_out(client)
    people.sign_in(client, world.staff)
    page = client.get(f"/programme/applications/{application}").text
    assert "missing" in page
    assert "no score" in page


def test_an_empty_review_is_not_sent(client: FlaskClient, db: Session, review: int, reviewer: people.PersonCard) -> None:
    nothing = client.post(f"/reviews/{review}", data=tokens(client) | {"revision": open_page(client, review), "action": "send"})
    no_word = client.post(f"/reviews/{review}", data=tokens(client) | {"team": "4", "revision": open_page(client, review), "action": "send"})

    assert (nothing.status_code, no_word.status_code) == (422, 422)
    assert "Score at least one criterion" in nothing.text
    assert "Write at least a sentence" in no_word.text
    assert queries.review_by_number(db, review, actor=reviewer.actor).state == "assigned"


def test_a_sent_review_never_changes(client: FlaskClient, db: Session, review: int, reviewer: people.PersonCard, now: datetime) -> None:
    mark = open_page(client, review)
    make.sent_review(db, review, reviewer, now=now)
    db.commit()

    late = client.post(f"/reviews/{review}/fields", data=tokens(client) | {"field": "team", "team": "1", "revision": mark})
    again = client.post(f"/reviews/{review}", data=tokens(client) | {"team": "1", "comment_applicant": "x", "revision": mark, "action": "send"})

    assert (late.status_code, again.status_code) == (409, 422)
    assert kept(db, review, reviewer)["team"] == "4"
    for statement in ("UPDATE review_answer SET score = 1 WHERE score IS NOT NULL", "DELETE FROM review_answer", "UPDATE review SET submitted_at = NULL"):
        with pytest.raises(IntegrityError), db.begin_nested():
            db.execute(text(statement))
    with pytest.raises(reviews.ReviewClosed):
        reviews.submit(db, number=review, by=reviewer.actor, now=now)


def test_another_reviewers_work_is_not_found(client: FlaskClient, db: Session, review: int, now: datetime) -> None:
    stranger = make.reviewer(db, now=now)
    db.commit()
    people.sign_out(client)
    people.sign_in(client, stranger)

    assert client.get(f"/reviews/{review}").status_code == 404
    assert client.post(f"/reviews/{review}/fields", data=tokens(client) | {"field": "team", "team": "1"}).status_code == 404


def test_a_withdrawn_application_leaves_the_reviewers_list(db: Session, application: int, review: int, reviewer: people.PersonCard, now: datetime) -> None:
    lead_id = db.execute(text("SELECT lead_id FROM program_application WHERE number = :n"), {"n": application}).scalar_one()
    applications.withdraw(db, number=application, by=people.queries.person_by_id(db, lead_id).actor, now=now)

    assert queries.page_of_reviews(db, actor=reviewer.actor, mark=None).rows == []
    with pytest.raises(NotFound):
        queries.review_by_number(db, review, actor=reviewer.actor)


def test_one_reviewer_is_asked_once(db: Session, world: make.CallWorld, application: int, review: int, reviewer: people.PersonCard, now: datetime) -> None:
    with pytest.raises(assignments.MayNotReview):
        make.in_review(db, world, application, [reviewer], now=now)
    with pytest.raises(assignments.NobodyChosen):
        make.in_review(db, world, application, [], now=now)
    with pytest.raises(assignments.NotAReviewer):
        make.in_review(db, world, application, [people.person(db, now=now)], now=now)


def test_a_draft_is_not_given_to_reviewers(db: Session, world: make.CallWorld, reviewer: people.PersonCard, now: datetime) -> None:
    draft = make.draft(db, world, people.person(db, now=now), now=now)

    with pytest.raises(WrongState):
        make.in_review(db, world, draft, [reviewer], now=now)


def test_a_refused_assignment_is_shown_at_its_field(client: FlaskClient, db: Session, world: make.CallWorld, application: int, now: datetime) -> None:
    db.commit()
    people.sign_in(client, world.staff)

    nobody = client.post(f"/programme/applications/{application}/reviewers", data=tokens(client))
    nonsense = client.post(f"/programme/applications/{application}/reviewers", data=tokens(client) | {"reviewers": "' OR 1=1"})

    assert (nobody.status_code, nonsense.status_code) == (422, 422)
    assert "Choose at least one reviewer." in nobody.text
    assert "This person is not a reviewer." in nonsense.text
