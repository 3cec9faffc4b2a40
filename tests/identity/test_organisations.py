"""Organisations, invitations and members."""

import threading
import uuid
from datetime import datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from portal.core import clock
from portal.core.access import Role
from portal.core.database import transaction
from portal.core.ids import digest
from portal.identity import queries
from portal.identity.operations import organisations
from portal.identity.states import MembershipRole, OrganisationKind
from portal.settings import Settings
from tests.factories import identity as people
from tests.identity.browser import link_in, mails, post, sign_in
from tests.queries import count_queries


def opened(db: Session, owner, now: datetime, name: str = "Atlas Vision") -> uuid.UUID:
    return organisations.open(db, name=name, kind=OrganisationKind.STARTUP, by=owner.actor, now=now)


def invited(client: FlaskClient, db: Session, settings: Settings, run_jobs, owner, organisation_id: uuid.UUID, email: str, role: str = "member") -> str:
    """Invite by the page and return the link of the mail."""
    people.sign_in(client, owner)
    assert post(client, f"/organisations/{organisation_id}", email=email, role=role).status_code == 303
    run_jobs()
    return link_in(mails(db, settings, email)[-1])


def role_of(db: Session, organisation_id: uuid.UUID, person) -> str | None:
    query = text("SELECT role FROM membership WHERE organisation_id = :o AND person_id = :p")
    return db.execute(query, {"o": organisation_id, "p": person.id}).scalar_one_or_none()


def test_person_opens_an_organisation_and_owns_it(client: FlaskClient, db: Session, now: datetime) -> None:
    ada = people.person(db, now=now)
    people.sign_in(client, ada)
    answer = post(client, "/organisations/new", name="  أطلس\u2028للرؤية ", kind="startup")

    page = client.get(answer.headers["Location"])
    assert page.status_code == 200
    assert "أطلس للرؤية" in page.text
    assert queries.organisations_of(db, ada.id).rows[0].role is MembershipRole.OWNER


def test_organisation_of_the_hubs_kind_needs_staff(client: FlaskClient, db: Session, now: datetime) -> None:
    people.sign_in(client, people.person(db, now=now))
    assert post(client, "/organisations/new", name="Hub", kind="hub").status_code == 422
    assert db.execute(text("SELECT count(*) FROM organisation")).scalar_one() == 0
    with pytest.raises(organisations.HubKindRefused):
        organisations.open(db, name="Hub", kind=OrganisationKind.HUB, by=people.person(db, now=now).actor, now=now)
    organisations.open(db, name="Hub", kind=OrganisationKind.HUB, by=people.person(db, roles=[Role.STAFF], now=now).actor, now=now)


def test_invited_person_accepts_and_is_a_member(app: Flask, client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    owner, guest = people.person(db, now=now), people.person(db, email="guest@example.org", now=now)
    organisation_id = opened(db, owner, now)
    link = invited(client, db, settings, run_jobs, owner, organisation_id, "Guest@Example.org")

    browser = app.test_client()
    assert "Sign in with the account of" in browser.get(link).text
    sign_in(browser, guest.email, next=link)
    assert "Accept the invitation" in browser.get(link).text
    assert role_of(db, organisation_id, guest) is None, "looking accepts nothing"
    assert post(browser, f"{link}/accept").headers["Location"] == f"/organisations/{organisation_id}"
    assert role_of(db, organisation_id, guest) == "member"


def test_invitation_secret_is_stored_as_a_digest(client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    owner = people.person(db, now=now)
    link = invited(client, db, settings, run_jobs, owner, opened(db, owner, now), "guest@example.org")

    assert db.execute(text("SELECT token_digest FROM invitation")).scalar_one() == digest(link.rpartition("/")[2])


def test_a19_invitation_gives_nothing_before_it_is_accepted(client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    owner, guest = people.person(db, now=now), people.person(db, email="guest@example.org", now=now)
    organisation_id = opened(db, owner, now)
    invited(client, db, settings, run_jobs, owner, organisation_id, guest.email, role="owner")

    people.sign_in(client, guest)
    assert client.get(f"/organisations/{organisation_id}").status_code == 404
    assert post(client, f"/organisations/{organisation_id}", email="more@example.org", role="owner").status_code == 404
    assert post(client, f"/organisations/{organisation_id}/members/{owner.id}/remove").status_code == 404
    assert role_of(db, organisation_id, guest) is None


def test_a19_unconfirmed_address_cannot_accept(db: Session, client: FlaskClient, settings: Settings, run_jobs, now: datetime) -> None:
    owner, guest = people.person(db, now=now), people.person(db, email="guest@example.org", is_confirmed=False, now=now)
    organisation_id = opened(db, owner, now)
    secret = invited(client, db, settings, run_jobs, owner, organisation_id, guest.email, role="owner").rpartition("/")[2]

    with pytest.raises(organisations.AddressNotConfirmed):
        organisations.accept(db, secret=secret, by=guest.actor, now=now)
    assert role_of(db, organisation_id, guest) is None


def test_a18_a19_link_in_other_hands_gives_nothing(app: Flask, client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    owner, guest, eve = people.person(db, now=now), people.person(db, email="guest@example.org", now=now), people.person(db, now=now)
    organisation_id = opened(db, owner, now)
    link = invited(client, db, settings, run_jobs, owner, organisation_id, guest.email, role="owner")

    browser = app.test_client()
    people.sign_in(browser, eve)
    assert post(browser, f"{link}/accept").status_code == 403
    assert role_of(db, organisation_id, eve) is None
    people.sign_in(browser, guest)
    assert post(browser, f"{link}/accept").status_code == 303, "a stranger's try does not use the link up"


def test_invitation_works_once(app: Flask, client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    owner, guest = people.person(db, now=now), people.person(db, email="guest@example.org", now=now)
    organisation_id = opened(db, owner, now)
    link = invited(client, db, settings, run_jobs, owner, organisation_id, guest.email)
    browser = app.test_client()
    people.sign_in(browser, guest)
    post(browser, f"{link}/accept")
    post(browser, f"/organisations/{organisation_id}/members/{guest.id}/remove")

    assert role_of(db, organisation_id, guest) is None
    assert post(browser, f"{link}/accept").status_code == 409
    assert role_of(db, organisation_id, guest) is None


@pytest.mark.parametrize("how", ["withdrawn", "replaced", "old"])
def test_invitation_that_is_over_gives_nothing(app: Flask, client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime, how: str) -> None:
    owner, guest = people.person(db, now=now), people.person(db, email="guest@example.org", now=now)
    organisation_id = opened(db, owner, now)
    link = invited(client, db, settings, run_jobs, owner, organisation_id, guest.email)
    later = timedelta(0)
    if how == "withdrawn":
        invitation_id = db.execute(text("SELECT id FROM invitation")).scalar_one()
        assert post(client, f"/organisations/{organisation_id}/invitations/{invitation_id}/withdraw").status_code == 303
    elif how == "replaced":
        assert invited(client, db, settings, run_jobs, owner, organisation_id, guest.email) != link
    else:
        later = timedelta(days=7, minutes=1)

    with time_machine.travel(clock.now() + later):
        browser = app.test_client()
        people.sign_in(browser, guest)
        assert "This invitation is over" in browser.get(link).text
        assert post(browser, f"{link}/accept").status_code == 409
    assert role_of(db, organisation_id, guest) is None


def test_unknown_invitation_is_not_found(client: FlaskClient, db: Session, now: datetime) -> None:
    assert client.get("/invitations/nothing-here").status_code == 404
    people.sign_in(client, people.person(db, now=now))
    assert post(client, "/invitations/nothing-here/accept").status_code == 404


def test_a15_invitation_answers_alike_for_known_and_unknown_addresses(client: FlaskClient, db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    people.person(db, email="known@example.org", now=now)
    organisation_id = opened(db, owner, now)
    people.sign_in(client, owner)
    statements = []
    people.csrf(client)
    for email in ("known@example.org", "unknown@example.org"):
        with count_queries() as seen:
            answer = post(client, f"/organisations/{organisation_id}", email=email, role="member")
        statements.append(len(seen))
        assert answer.status_code == 303
        assert f"on its way to {email}" in client.get(answer.headers["Location"]).text
    assert statements[0] == statements[1]
    assert db.execute(text("SELECT DISTINCT recipient_id FROM message")).scalars().all() == [None]


def test_member_sees_but_does_not_manage(client: FlaskClient, db: Session, now: datetime) -> None:
    owner, member = people.person(db, now=now), people.person(db, now=now)
    organisation_id = opened(db, owner, now)
    organisations._add(db, organisation_id, member.id, MembershipRole.MEMBER, now)
    people.sign_in(client, member)

    page = client.get(f"/organisations/{organisation_id}")
    assert page.status_code == 200
    assert "Invite somebody" not in page.text
    assert post(client, f"/organisations/{organisation_id}", email="more@example.org", role="owner").status_code == 404
    assert post(client, f"/organisations/{organisation_id}/members/{member.id}/role/owner").status_code == 404
    assert post(client, f"/organisations/{organisation_id}/members/{owner.id}/remove").status_code == 404
    assert role_of(db, organisation_id, member) == "member"


def test_owner_of_one_organisation_is_a_stranger_at_another(client: FlaskClient, db: Session, now: datetime) -> None:
    ada, eve = people.person(db, now=now), people.person(db, now=now)
    theirs, own = opened(db, ada, now), opened(db, eve, now)
    invitation_id = organisations.invite(db, organisation_id=theirs, email="x@example.org", role=MembershipRole.MEMBER, by=ada.actor, now=now)
    people.sign_in(client, eve)

    assert client.get(f"/organisations/{theirs}").status_code == 404
    assert post(client, f"/organisations/{own}/invitations/{invitation_id}/withdraw").status_code == 409
    assert post(client, f"/organisations/{own}/members/{ada.id}/remove").status_code == 404
    assert post(client, f"/organisations/{own}/members/{ada.id}/role/member").status_code == 404
    assert db.execute(text("SELECT withdrawn_at FROM invitation")).scalar_one() is None
    assert role_of(db, theirs, ada) == "owner"


def test_last_owner_stays(client: FlaskClient, db: Session, now: datetime) -> None:
    owner = people.person(db, now=now)
    organisation_id = opened(db, owner, now)
    people.sign_in(client, owner)

    assert post(client, f"/organisations/{organisation_id}/members/{owner.id}/remove").status_code == 403
    assert post(client, f"/organisations/{organisation_id}/members/{owner.id}/role/member").status_code == 403
    assert role_of(db, organisation_id, owner) == "owner"


def test_two_owners_who_leave_at_once_leave_one_behind(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with transaction(own_sessions) as db:
        owners = [people.person(db, now=now) for _ in range(2)]
        organisation_id = opened(db, owners[0], now)
        organisations._add(db, organisation_id, owners[1].id, MembershipRole.OWNER, now)
    barrier, left = threading.Barrier(2), []

    def leave(owner) -> None:
        barrier.wait()
        try:
            with transaction(own_sessions) as db:
                organisations.remove(db, organisation_id=organisation_id, person_id=owner.id, by=owner.actor, now=now)
            left.append(owner)
        except organisations.LastOwner:
            pass

    threads = [threading.Thread(target=leave, args=(owner,)) for owner in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(left) == 1


def test_invitation_accepted_twice_at_once_joins_once(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with transaction(own_sessions) as db:
        owner, guest = people.person(db, now=now), people.person(db, email="guest@example.org", now=now)
        organisation_id = opened(db, owner, now)
        organisations.invite(db, organisation_id=organisation_id, email=guest.email, role=MembershipRole.MEMBER, by=owner.actor, now=now)
        secret = db.execute(text("SELECT context ->> 'path' FROM message")).scalar_one().rpartition("/")[2]
    barrier, results = threading.Barrier(2), []

    def accept() -> None:
        barrier.wait()
        try:
            with transaction(own_sessions) as db:
                organisations.accept(db, secret=secret, by=guest.actor, now=now)
            results.append("joined")
        except organisations.InvitationOver:
            results.append("over")

    threads = [threading.Thread(target=accept) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["joined", "over"]


@pytest.mark.parametrize("rows", [1, 3])
def test_lists_cost_the_same_with_one_and_three_rows(client: FlaskClient, db: Session, now: datetime, rows: int) -> None:
    owner = people.person(db, now=now)
    ids = [opened(db, owner, now, name=f"Firm {number}") for number in range(rows)]
    for number in range(rows):
        organisations._add(db, ids[0], people.person(db, now=now).id, MembershipRole.MEMBER, now)
        organisations.invite(db, organisation_id=ids[0], email=f"x{number}@example.org", role=MembershipRole.MEMBER, by=owner.actor, now=now)
    people.sign_in(client, owner)
    client.get("/organisations")
    with count_queries() as lists:
        client.get("/organisations")
    with count_queries() as one:
        client.get(f"/organisations/{ids[0]}")

    own = ("sign_in_session", "membership", "invitation")
    assert len([statement for statement in lists.statements if any(name in statement for name in own)]) == 2
    assert len([statement for statement in one.statements if any(name in statement for name in own)]) == 4
