"""People for staff: finding one, roles, suspension; and the operations beneath."""

from datetime import datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from portal.core.access import Role
from portal.core.errors import NotFound, Refused
from portal.core.ids import new_id
from portal.identity import queries, relations
from portal.identity.operations import people as operations
from tests.factories import identity as people
from tests.identity.browser import is_signed_in, post
from tests.queries import count_queries


def roles_of(db: Session, person) -> frozenset[Role]:
    return queries.person_by_id(db, person.id).roles


def test_registered_person_has_a_number_a_slug_and_no_roles(db: Session, now: datetime) -> None:
    ada = people.person(db, display_name="آدا", email="Ada@Example.ORG", now=now)

    assert ada.slug == f"u-{ada.number}"
    assert (ada.display_name, ada.email, ada.zone, ada.roles) == ("آدا", "Ada@example.org", "Africa/Casablanca", frozenset())
    assert queries.person_by_email(db, "ADA@example.org") == ada
    row = db.execute(select(relations.person).where(relations.person.c.id == ada.id)).one()
    assert row == (ada.id, ada.number, ada.slug, "آدا", "Ada@example.org", "en", "Africa/Casablanca", True)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"email": "taken@EXAMPLE.org"}, operations.EmailTaken),
        ({"email": "no address"}, operations.EmailWrong),
        ({"email": "a@example.org\nBcc: b@example.org"}, operations.EmailWrong),
        ({"display_name": " \t\n "}, operations.NameWrong),
        ({"display_name": "ن" * 101}, operations.NameWrong),
        ({"language": "de"}, operations.LanguageUnknown),
    ],
)
def test_registration_refuses(db: Session, now: datetime, changes: dict[str, str], error: type[Exception]) -> None:
    people.person(db, email="taken@example.org", now=now)
    values = {"email": "new@example.org", "display_name": "Ada", "password": None, "by": people.TESTS, "now": now} | changes

    with pytest.raises(error):
        operations.register(db, **values)  # type: ignore[arg-type]


def test_roles_are_given_and_taken_by_administrators_alone(db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    boss, staff = people.person(db, roles=[Role.ADMINISTRATOR], now=now), people.person(db, roles=[Role.STAFF], now=now)

    operations.give_role(db, person_id=ada.id, role=Role.MENTOR, by=boss.actor, now=now)
    operations.give_role(db, person_id=ada.id, role=Role.MENTOR, by=boss.actor, now=now)
    assert roles_of(db, ada) == {Role.MENTOR}
    operations.take_role(db, person_id=ada.id, role=Role.MENTOR, by=boss.actor, now=now)
    assert roles_of(db, ada) == frozenset()
    for person in (staff, ada):
        with pytest.raises(Refused):
            operations.give_role(db, person_id=ada.id, role=Role.STAFF, by=person.actor, now=now)
    with pytest.raises(operations.NotYourself):
        operations.give_role(db, person_id=boss.id, role=Role.FINANCE, by=boss.actor, now=now)
    with pytest.raises(NotFound):
        operations.give_role(db, person_id=new_id(), role=Role.FINANCE, by=boss.actor, now=now)
    db.flush()
    acts = db.execute(text("SELECT action, actor_id FROM audit_event WHERE subject_id = :id AND action LIKE '%role' ORDER BY id"), {"id": str(ada.id)}).all()
    assert acts == [("given role", boss.id), ("taken role", boss.id)]


def test_a24_role_taken_is_gone_at_the_next_request(client: FlaskClient, db: Session, now: datetime) -> None:
    staff = people.person(db, roles=[Role.STAFF], now=now)
    people.sign_in(client, staff)
    assert client.get("/people").status_code == 200
    operations.take_role(db, person_id=staff.id, role=Role.STAFF, by=people.TESTS, now=now)
    db.commit()

    assert client.get("/people").status_code == 403


def test_staff_do_not_suspend_administrators_or_themselves(db: Session, now: datetime) -> None:
    boss, staff = people.person(db, roles=[Role.ADMINISTRATOR], now=now), people.person(db, roles=[Role.STAFF], now=now)

    with pytest.raises(Refused):
        operations.suspend(db, person_id=boss.id, by=staff.actor, now=now)
    with pytest.raises(operations.NotYourself):
        operations.suspend(db, person_id=staff.id, by=staff.actor, now=now)
    operations.suspend(db, person_id=staff.id, by=boss.actor, now=now)
    assert queries.actor_of(db, staff.id).roles == frozenset()


def test_person_is_suspended_and_resumed_by_the_page(client: FlaskClient, db: Session, now: datetime) -> None:
    ada, staff = people.person(db, now=now), people.person(db, roles=[Role.STAFF], now=now)
    browser = client.application.test_client()
    people.sign_in(browser, ada)
    people.sign_in(client, staff)

    assert post(client, f"/people/{ada.number}/suspend").status_code == 422, "a reason is needed"
    assert is_signed_in(browser)
    assert post(client, f"/people/{ada.number}/suspend", reason="Shared the account").status_code == 303
    assert not is_signed_in(browser)
    assert "suspended" in client.get(f"/people/{ada.number}").text
    reason = db.execute(text("SELECT details ->> 'reason' FROM audit_event WHERE action = 'suspended'")).scalar_one()
    assert reason == "Shared the account"
    assert post(client, f"/people/{ada.number}/resume").status_code == 303
    people.sign_in(browser, ada)
    assert is_signed_in(browser)


def test_suspending_twice_writes_one_fact(db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    for _ in range(2):
        operations.suspend(db, person_id=ada.id, by=people.TESTS, now=now)

    assert db.execute(text("SELECT count(*) FROM fact")).scalar_one() == 1


def test_roles_change_by_the_page(client: FlaskClient, db: Session, now: datetime) -> None:
    ada, boss = people.person(db, now=now), people.person(db, roles=[Role.ADMINISTRATOR], now=now)
    people.sign_in(client, boss)

    assert post(client, f"/people/{ada.number}/roles/mentor/give").status_code == 303
    assert roles_of(db, ada) == {Role.MENTOR}
    assert post(client, f"/people/{ada.number}/roles/emperor/give").status_code == 404
    assert post(client, f"/people/{boss.number}/roles/finance/give").status_code == 403
    assert post(client, f"/people/{ada.number}/roles/mentor/take").status_code == 303
    assert roles_of(db, ada) == frozenset()


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("sal", ["Salma Idrissi"]),
        ("SALMA", ["Salma Idrissi"]),
        ("x%", []),
        ("%", []),
        ("_alma", []),
        ("odd_", ["Odd"]),
        ("youssef@", ["Youssef"]),
        ("سل", ["سلمى"]),
        ("\\", []),
    ],
)
def test_search_finds_what_begins_with_it(client: FlaskClient, db: Session, now: datetime, search: str, found: list[str]) -> None:
    for name, email in (("Salma Idrissi", "si@example.net"), ("Youssef", "youssef@example.net"), ("سلمى", "s2@example.net"), ("Odd", "odd_one@example.net")):
        people.person(db, display_name=name, email=email, now=now)

    assert [row.display_name for row in queries.people_page(db, search=search, mark=None).rows] == found


def test_search_by_number(db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)

    assert [row.id for row in queries.people_page(db, search=ada.slug.upper(), mark=None).rows] == [ada.id]
    assert queries.people_page(db, search="u-99999999999999999999999", mark=None).rows == []


def test_people_are_paged_without_gap(client: FlaskClient, db: Session, now: datetime) -> None:
    staff = people.person(db, roles=[Role.STAFF], now=now)
    made = [people.person(db, display_name=f"Zineb {number}", now=now).id for number in range(30)]
    first = queries.people_page(db, search="zineb", mark=None)
    second = queries.people_page(db, search="zineb", mark=first.next_mark)

    assert [row.id for row in (*first.rows, *second.rows)] == made[::-1]
    assert (len(first.rows), second.next_mark) == (25, None)
    people.sign_in(client, staff)
    assert client.get(f"/people?search=zineb&mark={first.next_mark}").text.count("Zineb") == 5


@pytest.mark.parametrize("rows", [1, 3])
def test_list_of_people_costs_the_same_with_one_and_three(client: FlaskClient, db: Session, now: datetime, rows: int) -> None:
    people.sign_in(client, people.person(db, roles=[Role.STAFF], now=now))
    for _ in range(rows):
        people.person(db, roles=[Role.MENTOR, Role.REVIEWER], display_name="Zineb", now=now)
    client.get("/people?search=zineb")
    with count_queries() as seen:
        client.get("/people?search=zineb")

    assert len([statement for statement in seen.statements if "role_assignment" in statement]) == 2
