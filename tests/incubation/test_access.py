"""A20 to A23 and A24 for incubation: what is not one's own is not found, and a conflict hides everywhere."""

import re
from datetime import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core import clock
from portal.core.access import Role
from portal.core.errors import NotFound, Refused
from portal.core.ids import new_id
from portal.identity.operations import people as identity_people
from portal.incubation import defaults
from portal.incubation.operations import assignments, decisions
from portal.incubation.queries import applications as application_queries
from portal.incubation.queries import reviews as review_queries
from portal.incubation.queries import staff as staff_queries
from portal.incubation.states import ConflictKind
from tests.factories import identity as people
from tests.factories import incubation as make
from tests.incubation.browser import tokens

TITLE = str(defaults.SAMPLE_ANSWERS["title"])


@pytest.fixture
def now() -> datetime:
    return clock.now()


def join_one_organisation(db: Session, *members: people.PersonCard, now: datetime) -> None:
    organisation_id = new_id()
    row = "INSERT INTO organisation (id, name, kind, opened_at) VALUES (:id, 'Université Abdelmalek Essaâdi', 'university', :now)"
    db.execute(text(row), {"id": organisation_id, "now": now})
    for person in members:
        row = "INSERT INTO membership (organisation_id, person_id, role, joined_at) VALUES (:organisation, :person, 'member', :now)"
        db.execute(text(row), {"organisation": organisation_id, "person": person.id, "now": now})


def test_a21_another_applicants_number_is_not_found_on_any_page(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    owner, stranger = people.person(db, now=now), people.person(db, now=now)
    draft = make.draft(db, world, owner, now=now)
    mine = make.draft(db, world, stranger, now=now)
    db.commit()
    people.sign_in(client, stranger)

    for path in ("", "/edit", "/receipt", "/receipt.json", "/decision"):
        assert client.get(f"/applications/{draft}{path}").status_code == 404, path
    for path in ("/edit", "/fields", "/withdraw"):
        answer = client.post(f"/applications/{draft}{path}", data=tokens(client) | {"field": "q_title", "q_title": "Mine now", "revision": ""})
        assert answer.status_code == 404, path
    assert application_queries.answers_of_draft(db, make.id_of(db, draft))["title"] == TITLE
    assert client.get(f"/applications/{mine}/edit").status_code == 200


def test_a21_a_decision_of_another_application_is_not_released_through_ones_page(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    first, second = (make.reviewed(db, world, people.person(db, now=now), now=now) for _ in range(2))
    make.prepared(db, world, first, now=now)
    other = make.prepared(db, world, second, now=now)
    db.commit()
    people.sign_in(client, world.staff)

    answer = client.post(f"/programme/applications/{first}/release", data=tokens(client) | {"decision": str(other)})

    assert answer.status_code == 303
    assert db.execute(text("SELECT count(*) FROM decision WHERE released_at IS NOT NULL")).scalar_one() == 0


def test_a22_fields_that_no_form_has_change_nothing(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    lead = people.person(db, now=now)
    number = make.draft(db, world, lead, now=now)
    db.commit()
    people.sign_in(client, lead)
    extra = {"state": "accepted", "lead_id": str(world.staff.id), "asked_ucr": "1", "number": "1", "receipt_hash": "x", "q_state": "accepted"}

    page = client.get(f"/applications/{number}/edit").text
    mark = re.search(r'name="revision" value="([^"]+)"', page)
    assert mark
    assert client.post(f"/applications/{number}/edit", data=tokens(client) | extra | {"revision": mark[1], "action": "save"}).status_code == 303
    assert client.post(f"/applications/{number}/fields", data=tokens(client) | extra | {"field": "q_state"}).status_code == 404
    assert client.post(f"/applications/{number}/fields", data=tokens(client) | extra | {"field": "state"}).status_code == 404

    card = application_queries.own_by_number(db, number, actor=lead.actor)
    assert (card.state, card.lead_id, card.asked_ucr, card.receipt_hash) == ("draft", lead.id, None, None)
    assert application_queries.answers_of_draft(db, card.id).keys() == {key for key, value in defaults.SAMPLE_ANSWERS.items() if value}


def test_a23_a_declared_conflict_hides_the_application_everywhere(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    lead = people.person(db, display_name="Zineb Berrada", now=now)
    number = make.application(db, world, lead, now=now)
    reviewer = make.reviewer(db, now=now)
    [review] = make.in_review(db, world, number, [reviewer], now=now)
    db.commit()
    people.sign_in(client, reviewer)
    assert TITLE in client.get("/reviews").text
    assert TITLE in client.get(f"/reviews/{review}").text

    declared = client.post(f"/reviews/{review}/conflict", data=tokens(client) | {"kind": "family", "reason": "My cousin"}, follow_redirects=True)

    assert TITLE not in declared.text
    for path in ("/reviews", f"/reviews/{review}", f"/reviews/{review}/conflict", f"/applications/{number}", f"/programme/applications/{number}"):
        answer = client.get(path)
        assert TITLE not in answer.text, path
        assert "Zineb" not in answer.text, path
    assert client.get(f"/reviews/{review}").status_code == 404
    for path in ("", "/fields", "/conflict"):
        assert client.post(f"/reviews/{review}{path}", data=tokens(client) | {"field": "problem", "problem": "5"}).status_code == 404
    assert review_queries.reviews_waiting(db, actor=reviewer.actor) == []


def test_a23_staff_with_a_conflict_or_an_application_of_their_own_do_not_find_it(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    both = people.person(db, roles=[Role.STAFF, Role.REVIEWER], display_name="Nadia Filali", now=now)
    own = make.application(db, world, both, now=now, title="Own venture of staff")
    tied = make.application(db, world, people.person(db, now=now), now=now, title="Venture of a friend")
    free = make.application(db, world, people.person(db, now=now), now=now, title="Venture of a stranger")
    [review] = make.in_review(db, world, tied, [both], now=now)
    assignments.declare_conflict(db, number=review, kind=ConflictKind.FAMILY, reason="", by=both.actor, now=now)
    db.commit()
    people.sign_in(client, both)

    listed = client.get(f"/programme/calls/{world.slug}/applications").text

    assert "Venture of a stranger" in listed
    assert "Own venture of staff" not in listed
    assert "Venture of a friend" not in listed
    assert sum(staff_queries.counts_by_state(db, actor=both.actor, call_id=world.id).values()) == 1
    assert [client.get(f"/programme/applications/{number}").status_code for number in (own, tied, free)] == [404, 404, 200]
    for number in (own, tied):
        with pytest.raises(assignments.OwnApplication):
            assignments.assign(db, application_id=make.id_of(db, number), reviewer_ids=[both.id], by=both.actor, now=now)


def test_a23_members_of_the_applicants_organisation_cannot_review(db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    lead, colleague, outsider = people.person(db, now=now), make.reviewer(db, now=now), make.reviewer(db, now=now)
    join_one_organisation(db, lead, colleague, now=now)
    number = make.application(db, world, lead, now=now)

    with pytest.raises(assignments.MayNotReview) as refused:
        make.in_review(db, world, number, [colleague], now=now)
    assert "organisation" in refused.value.params["why"]
    assert len(make.in_review(db, world, number, [outsider], now=now)) == 1


def test_a23_a_reviewer_who_joins_the_applicants_organisation_loses_the_review(db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    lead, reviewer = people.person(db, now=now), make.reviewer(db, now=now)
    number = make.application(db, world, lead, now=now)
    [review] = make.in_review(db, world, number, [reviewer], now=now)
    assert review_queries.review_by_number(db, review, actor=reviewer.actor).title == TITLE

    join_one_organisation(db, lead, reviewer, now=now)

    with pytest.raises(NotFound):
        review_queries.review_by_number(db, review, actor=reviewer.actor)


def test_a23_the_applicant_cannot_review_their_own_application(db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    both = make.reviewer(db, now=now)
    number = make.application(db, world, both, now=now)

    with pytest.raises(assignments.MayNotReview):
        make.in_review(db, world, number, [both], now=now)


def test_a24_staff_whose_role_was_taken_is_refused_at_the_next_request(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    db.commit()
    people.sign_in(client, world.staff)
    assert client.get(f"/programme/calls/{world.slug}/applications").status_code == 200

    identity_people.take_role(db, person_id=world.staff.id, role=Role.STAFF, by=people.TESTS, now=now)
    db.commit()

    assert client.get(f"/programme/calls/{world.slug}/applications").status_code == 403


def test_a27_staff_cannot_release_their_own_award(db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    both = people.person(db, roles=[Role.STAFF], now=now)
    number = make.reviewed(db, world, both, now=now)
    decision = make.prepared(db, world, number, now=now)

    with pytest.raises(Refused):
        decisions.release(db, decision_ids=[decision], by=both.actor, now=now)


def test_staff_do_not_see_drafts(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    number = make.draft(db, world, people.person(db, now=now), now=now)
    db.commit()
    people.sign_in(client, world.staff)

    assert TITLE not in client.get(f"/programme/calls/{world.slug}/applications").text
    assert client.get(f"/programme/applications/{number}").status_code == 404


def test_an_unpublished_call_is_seen_by_staff_alone(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now, is_published=False)
    visitor = people.person(db, now=now)
    db.commit()

    people.sign_in(client, visitor)
    assert client.get(f"/calls/{world.slug}").status_code == 404
    assert client.post(f"/calls/{world.slug}/apply", data=tokens(client)).status_code == 404
    people.sign_out(client)
    people.sign_in(client, world.staff)
    assert client.get(f"/calls/{world.slug}").status_code == 200


def test_a_prepared_decision_is_not_shown_to_the_applicant(client: FlaskClient, db: Session, now: datetime) -> None:
    world = make.call(db, now=now)
    lead = people.person(db, now=now)
    number = make.reviewed(db, world, lead, now=now)
    make.prepared(db, world, number, now=now, reason="Secret until released")
    db.commit()
    people.sign_in(client, lead)

    assert client.get(f"/applications/{number}/decision").status_code == 404
    assert "Secret until released" not in client.get(f"/applications/{number}").text
    assert "In review" in client.get(f"/applications/{number}").text
