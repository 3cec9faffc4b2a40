"""Projects keep a lead, members come once, and strangers do not find them."""

from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core.errors import NotFound
from portal.projects import queries
from portal.projects.operations import members, projects
from portal.projects.states import MemberRole
from tests.factories import identity as people
from tests.factories import projects as factory
from tests.queries import count_queries


def test_add_twice_is_one_membership_with_the_last_role(db: Session, now: datetime) -> None:
    ada, bob = people.person(db, now=now), people.person(db, now=now)
    project_id = factory.project(db, lead=ada.id, now=now)
    for role in (MemberRole.LEARNER, MemberRole.LEARNER, MemberRole.MEMBER):
        members.add(db, project_id=project_id, person_id=bob.id, role=role, by=ada.actor, now=now)

    assert queries.require_member(db, project_id, bob.actor) is MemberRole.MEMBER
    assert queries.count_members(db, project_id) == 2


def test_last_lead_may_not_leave_until_another_is_named(db: Session, now: datetime) -> None:
    ada, bob = people.person(db, now=now), people.person(db, now=now)
    project_id = factory.project(db, lead=ada.id, now=now)
    members.add(db, project_id=project_id, person_id=bob.id, role=MemberRole.MEMBER, by=ada.actor, now=now)

    with pytest.raises(members.LastLead):
        members.remove(db, project_id=project_id, person_id=ada.id, by=ada.actor, now=now)
    members.add(db, project_id=project_id, person_id=bob.id, role=MemberRole.LEAD, by=ada.actor, now=now)
    members.remove(db, project_id=project_id, person_id=ada.id, by=ada.actor, now=now)

    with pytest.raises(NotFound):
        queries.require_member(db, project_id, ada.actor)


def test_who_left_may_come_back_as_a_new_membership(db: Session, now: datetime) -> None:
    ada, bob = people.person(db, now=now), people.person(db, now=now)
    project_id = factory.project(db, lead=ada.id, now=now)
    for hours in (0, 2):
        members.add(db, project_id=project_id, person_id=bob.id, role=MemberRole.MEMBER, by=ada.actor, now=now + timedelta(hours=hours))
        members.remove(db, project_id=project_id, person_id=bob.id, by=bob.actor, now=now + timedelta(hours=hours + 1))

    rows = db.execute(text("SELECT count(*) FROM project_member WHERE person_id = :id AND left_at IS NOT NULL"), {"id": bob.id})
    assert rows.scalar_one() == 2


def test_closed_twice_is_refused(db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    project_id = factory.project(db, lead=ada.id, now=now)
    projects.close(db, project_id=project_id, by=ada.actor, now=now)

    with pytest.raises(projects.AlreadyClosed):
        projects.close(db, project_id=project_id, by=ada.actor, now=now)


def test_project_list_costs_the_same_with_one_and_with_three(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    people.sign_in(client, ada)
    costs = []
    for number in (1, 2, 3):
        factory.project(db, lead=ada.id, name=f"Venture {number}", now=now)
        db.commit()
        client.get("/projects/")
        with count_queries() as seen:
            page = client.get("/projects/")
        assert page.text.count("Venture ") >= number
        costs.append(len(seen))

    assert costs[0] == costs[2]
    assert costs[0] <= 10


def test_learner_sees_the_leads_and_themselves_and_neither_wallet_nor_way_out(client: FlaskClient, db: Session, now: datetime) -> None:
    lead, learner, other = (people.person(db, display_name=name, now=now) for name in ("Leïla Chraïbi", "Nadia El Fassi", "Omar Tazi"))
    project_id = factory.project(db, lead=lead.id, now=now)
    for person in (learner, other):
        members.add(db, project_id=project_id, person_id=person.id, role=MemberRole.LEARNER, by=lead.actor, now=now)
    slug = queries.project_by_id(db, project_id, actor=learner.actor).slug
    db.commit()
    people.sign_in(client, lead)
    whole = client.get(f"/projects/{slug}").text
    people.sign_in(client, learner)

    page = client.get(f"/projects/{slug}")

    assert all(name in whole for name in ("Leïla Chraïbi", "Nadia El Fassi", "Omar Tazi", "/leave", f"/wallets/{slug}"))
    assert "Leïla Chraïbi" in page.text
    assert "Nadia El Fassi" in page.text
    assert not any(name in page.text for name in ("Omar Tazi", "/leave", f"/wallets/{slug}"))


def test_learner_leaves_by_the_course_alone(client: FlaskClient, db: Session, now: datetime) -> None:
    lead, learner = people.person(db, now=now), people.person(db, now=now)
    project_id = factory.project(db, lead=lead.id, now=now)
    members.add(db, project_id=project_id, person_id=learner.id, role=MemberRole.LEARNER, by=lead.actor, now=now)
    slug = queries.project_by_id(db, project_id, actor=learner.actor).slug
    db.commit()
    people.sign_in(client, learner)

    answer = client.post(f"/projects/{slug}/leave", data=people.csrf(client) | {"once": "o" * 32})

    assert answer.status_code == 403
    assert queries.require_member(db, project_id, learner.actor) is MemberRole.LEARNER
