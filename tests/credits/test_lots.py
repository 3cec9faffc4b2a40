"""A lot's page: moving, lending, giving back, a later end and taking back, each by whoever may."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core import clock
from portal.core.access import Role
from portal.core.quantities import credits_ucr
from portal.credits import queries
from portal.projects.operations import members
from portal.projects.states import MemberRole
from tests.factories import credits as make
from tests.factories import identity as people
from tests.factories import payments as shop


class Scene:
    """Two projects led by one person, a grant in the first, and somebody of finance."""

    def __init__(self, db: Session) -> None:
        now = clock.now()
        self.db = db
        self.lead, self.officer, self.member = people.person(db, now=now), people.person(db, roles=[Role.FINANCE], now=now), people.person(db, now=now)
        self.one, self.two = (shop.wallet(db, lead=self.lead.id, now=now, name=name) for name in ("Saffron", "Olives"))
        self.lot = make.lot(db, self.one, now=now, amount_ucr=credits_ucr(100))
        project_id = db.execute(text("SELECT project_id FROM wallet WHERE id = :id"), {"id": self.one}).scalar_one()
        members.add(db, project_id=project_id, person_id=self.member.id, role=MemberRole.MEMBER, by=make.TESTS, now=now)
        self.project_id = project_id
        db.commit()
        self.url = f"/wallets/{self.one}/lots/{self.number(self.one)}"

    def number(self, wallet_id: object) -> int:
        return int(self.db.execute(text("SELECT number FROM lot WHERE wallet_id = :id ORDER BY number DESC LIMIT 1"), {"id": wallet_id}).scalar_one())

    def balances(self) -> tuple[int, int]:
        self.db.expire_all()
        one, two = (queries.balance(self.db, wallet_id, now=clock.now()).balance_ucr for wallet_id in (self.one, self.two))
        return one // 1_000_000, two // 1_000_000


@pytest.fixture
def now() -> object:
    return clock.now()


@pytest.fixture
def scene(db: Session) -> Scene:
    return Scene(db)


def test_a_lead_moves_credits_to_another_project_of_theirs(client: FlaskClient, scene: Scene) -> None:
    people.sign_in(client, scene.lead)
    sent = people.csrf(client) | {"target": str(scene.two), "amount": "30", "returns_on": ""}
    for _ in range(2):
        assert client.post(f"{scene.url}/move", data=sent).status_code == 303
    assert scene.balances() == (70, 30)


def test_a_loan_is_given_back_before_its_day(client: FlaskClient, scene: Scene) -> None:
    people.sign_in(client, scene.lead)
    on = (clock.now() + timedelta(days=5)).date().isoformat()
    assert client.post(f"{scene.url}/move", data=people.csrf(client) | {"target": str(scene.two), "amount": "30", "returns_on": on}).status_code == 303
    lent = f"/wallets/{scene.two}/lots/{scene.number(scene.two)}"
    assert "Lent by" in client.get(lent).get_data(as_text=True)
    assert client.post(f"{lent}/give-back", data=people.csrf(client)).status_code == 303
    assert scene.balances() == (100, 0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"amount": "100.000001"}, "100"),
        ({"amount": "0"}, "above zero"),
        ({"amount": "-1"}, "such as 250"),
        ({"target": "nobody"}, "Not a valid choice"),
        ({"returns_on": "2020-01-01"}, "before these credits end"),
        ({"returns_on": "2099-01-01"}, "before these credits end"),
    ],
)
def test_f37_what_cannot_move_is_said_and_nothing_moves(client: FlaskClient, scene: Scene, changes: dict[str, str], said: str) -> None:
    people.sign_in(client, scene.lead)
    answer = client.post(f"{scene.url}/move", data=people.csrf(client) | {"target": str(scene.two), "amount": "30", "returns_on": ""} | changes)
    assert (answer.status_code, said in answer.get_data(as_text=True)) == (422, True)
    assert scene.balances() == (100, 0)


def test_members_and_finance_do_not_move_a_projects_credits(client: FlaskClient, scene: Scene) -> None:
    for person in (scene.member, scene.officer):
        people.sign_in(client, person)
        assert client.get(scene.url).status_code == 200
        assert client.post(f"{scene.url}/move", data=people.csrf(client) | {"target": str(scene.two), "amount": "1"}).status_code == 404


def test_finance_gives_a_later_end_and_takes_back(client: FlaskClient, scene: Scene) -> None:
    people.sign_in(client, scene.officer)
    later = (clock.now() + timedelta(days=90)).date().isoformat()
    assert client.post(f"{scene.url}/extend", data=people.csrf(client) | {"expires_on": "2020-01-01", "reason": "A delay of ours"}).status_code == 422
    assert client.post(f"{scene.url}/extend", data=people.csrf(client) | {"expires_on": later, "reason": "A delay of ours"}).status_code == 303
    assert scene.balances() == (100, 0)
    fresh = f"/wallets/{scene.one}/lots/{scene.number(scene.one)}"
    assert client.post(f"{fresh}/revoke", data=people.csrf(client) | {"reason": " "}).status_code == 422
    assert client.post(f"{fresh}/revoke", data=people.csrf(client) | {"reason": "The programme ended"}).status_code == 303
    assert scene.balances() == (0, 0)


def test_a29_nobody_changes_the_credits_of_their_own_project(client: FlaskClient, scene: Scene) -> None:
    members.add(scene.db, project_id=scene.project_id, person_id=scene.officer.id, role=MemberRole.MEMBER, by=make.TESTS, now=clock.now())
    scene.db.commit()
    people.sign_in(client, scene.officer)
    assert client.post(f"{scene.url}/revoke", data=people.csrf(client) | {"reason": "x"}).status_code == 422
    assert scene.balances() == (100, 0)
