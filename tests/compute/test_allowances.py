"""Weekly allowances: what counts, where a week ends, who asks whom, and two starts at once."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from portal.compute.operations import allowances, sessions
from portal.compute.operations.allowances import AllowanceSpent, AlreadyAsked, Closed, NoAllowance
from portal.compute.queries import allowances as queries
from portal.compute.states import AskState, StopCause
from portal.core.database import transaction
from portal.core.errors import NotFound
from portal.core.quantities import credits_ucr
from portal.core.states import WrongState
from portal.credits.calendar import week_start
from portal.projects import queries as project_queries
from portal.projects.operations import members, projects
from portal.projects.states import MemberRole
from tests.factories import compute as make
from tests.factories import identity as people
from tests.queries import count_queries

# A slice costs 4 credits an hour: two hours are 8.
TWO_HOURS = {"profile": "h100-slice-10", "duration_s": 7200}


@pytest.fixture
def team(db: Session, now: datetime) -> tuple[make.Spender, make.Spender]:
    """Give a lead and a member of one project with credits, who may take 10 a week."""
    lead = make.spender(db, now=now)
    person = people.person(db, now=now)
    members.add(db, project_id=lead.project_id, person_id=person.id, role=MemberRole.MEMBER, by=make.TESTS, now=now)
    allowances.set_weekly(db, project_id=lead.project_id, person_id=None, weekly_ucr=credits_ucr(10), by=lead.actor, now=now)
    return lead, make.Spender(person, lead.project_id, lead.wallet_id)


Team = tuple[make.Spender, make.Spender]


def week_of(db: Session, member: make.Spender, now: datetime) -> queries.WeeklyAllowance:
    return queries.allowance_of(db, member.project_id, member.person.id, now=now)


def asked(db: Session, member: make.Spender, now: datetime, amount: int = 6) -> uuid.UUID:
    return allowances.ask(db, project_id=member.project_id, asked_ucr=credits_ucr(amount), reason="Evaluation runs", by=member.actor, now=now)


def test_a_live_session_counts_with_all_it_may_cost_and_an_ended_one_with_what_it_did(db: Session, now: datetime, team: Team) -> None:
    _, member = team
    session_id, plugin = make.running(db, member, now=now, **TWO_HOURS)
    assert (week_of(db, member, now).used_ucr, week_of(db, member, now).left_ucr) == (credits_ucr(8), credits_ucr(2))
    with pytest.raises(AllowanceSpent) as refusal:
        make.requested(db, member, now=now)
    assert refusal.value.params == {"left": "2", "cost": "4"}
    later = now + timedelta(minutes=15)
    make.deliver(db, [plugin.seen(900), plugin.exited(900)], now=later)
    assert week_of(db, member, later).used_ucr == credits_ucr(1), "a quarter of an hour of the slice"
    make.requested(db, member, now=later)
    assert session_id


def test_a_session_that_never_ran_gives_its_part_back(db: Session, now: datetime, team: Team) -> None:
    _, member = team
    session_id = make.requested(db, member, now=now, **TWO_HOURS)
    sessions.stop(db, session_id=session_id, by=member.actor, now=now, cause=StopCause.PERSON)
    assert week_of(db, member, now).used_ucr == 0


def test_the_default_binds_members_and_learners_and_no_lead(db: Session, now: datetime, team: Team) -> None:
    lead, member = team
    assert week_of(db, lead, now).weekly_ucr is None
    allowances.set_weekly(db, project_id=lead.project_id, person_id=lead.person.id, weekly_ucr=credits_ucr(3), by=lead.actor, now=now)
    allowances.set_weekly(db, project_id=lead.project_id, person_id=member.person.id, weekly_ucr=credits_ucr(20), by=lead.actor, now=now)
    assert (week_of(db, lead, now).weekly_ucr, week_of(db, member, now).weekly_ucr) == (credits_ucr(3), credits_ucr(20))
    allowances.set_weekly(db, project_id=lead.project_id, person_id=member.person.id, weekly_ucr=None, by=lead.actor, now=now)
    assert week_of(db, member, now).weekly_ucr == credits_ucr(10)


def test_a_week_begins_on_monday_at_midnight_in_the_hubs_zone(db: Session, team: Team) -> None:
    # In June 2026 Tetouan was an hour ahead of UTC: Sunday 23:30 UTC was Monday there. Since autumn it keeps UTC.
    assert week_start(datetime.fromisoformat("2026-06-28T22:30:00+00:00")).isoformat() == "2026-06-22"
    assert week_start(datetime.fromisoformat("2026-06-28T23:30:00+00:00")).isoformat() == "2026-06-29"
    sunday, monday = datetime.fromisoformat("2026-11-29T23:30:00+00:00"), datetime.fromisoformat("2026-11-30T00:30:00+00:00")
    _, member = team
    make.requested(db, member, now=sunday, **TWO_HOURS)
    assert week_of(db, member, sunday).left_ucr == credits_ucr(2)
    assert week_of(db, member, sunday).renews_at == datetime.fromisoformat("2026-11-30T00:00:00+00:00")
    assert week_of(db, member, monday).left_ucr == credits_ucr(10), "it counts where it was started"


def test_two_starts_of_one_member_at_once_cannot_both_pass(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with transaction(own_sessions) as db:
        make.small_pool(db, now=now, slices=4)
        lead = make.spender(db, now=now)
        person = people.person(db, now=now)
        members.add(db, project_id=lead.project_id, person_id=person.id, role=MemberRole.MEMBER, by=make.TESTS, now=now)
        allowances.set_weekly(db, project_id=lead.project_id, person_id=None, weekly_ucr=credits_ucr(10), by=lead.actor, now=now)

    def start(_: int) -> object:
        try:
            with transaction(own_sessions) as db:
                terms = {"project_id": lead.project_id, "profile_slug": "h100-slice-10", "duration_s": 7200, "label": ""}
                return sessions.request(db, by=person.actor, now=now, **terms)  # type: ignore[arg-type]
        except AllowanceSpent as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(start, range(4)))
    assert [type(result).__name__ for result in results].count("UUID") == 1


def test_more_for_this_week_ends_with_it_and_more_for_always_stays(db: Session, now: datetime, team: Team) -> None:
    lead, member = team
    terms = {"by": lead.actor, "now": now, "answer": ""}
    allowances.give(db, ask_id=asked(db, member, now), given_ucr=credits_ucr(6), is_lasting=False, **terms)  # type: ignore[arg-type]
    assert (week_of(db, member, now).total_ucr, week_of(db, member, now + timedelta(days=7)).total_ucr) == (credits_ucr(16), credits_ucr(10))
    allowances.give(db, ask_id=asked(db, member, now), given_ucr=credits_ucr(5), is_lasting=True, **terms)  # type: ignore[arg-type]
    assert (week_of(db, member, now).total_ucr, week_of(db, member, now + timedelta(days=7)).total_ucr) == (credits_ucr(21), credits_ucr(15))
    kinds = db.execute(text("SELECT kind, count(*) FROM message GROUP BY 1 ORDER BY 1")).all()
    assert [tuple(row) for row in kinds] == [("compute.allowance_answered", 2), ("compute.allowance_asked", 2)]


def test_one_request_at_a_time_answered_once_and_by_a_lead_alone(db: Session, now: datetime, team: Team) -> None:
    lead, member = team
    ask_id = asked(db, member, now)
    with pytest.raises(AlreadyAsked):
        asked(db, member, now)
    for stranger in (member.actor, people.person(db, now=now).actor):
        with pytest.raises(NotFound):
            allowances.decline(db, ask_id=ask_id, answer="", by=stranger, now=now)
    allowances.decline(db, ask_id=ask_id, answer="Next week", by=lead.actor, now=now)
    with pytest.raises(WrongState):
        allowances.give(db, ask_id=ask_id, given_ucr=1, is_lasting=False, answer="", by=lead.actor, now=now)
    found = queries.latest_ask(db, member.project_id, member.actor, now=now)
    assert found is not None
    assert (found.state, found.answer) == (AskState.DECLINED, "Next week")


def test_who_cannot_ask(db: Session, now: datetime, team: Team) -> None:
    lead, member = team
    with pytest.raises(NoAllowance):
        asked(db, lead, now)
    with pytest.raises(NotFound):
        asked(db, make.Spender(people.person(db, now=now), lead.project_id, lead.wallet_id), now)
    ask_id = asked(db, member, now)
    members.remove(db, project_id=lead.project_id, person_id=member.person.id, by=lead.actor, now=now)
    with pytest.raises(NotFound):
        allowances.give(db, ask_id=ask_id, given_ucr=1, is_lasting=False, answer="", by=lead.actor, now=now)
    assert queries.open_asks(db, lead.project_id, mark=None).rows == []
    members.add(db, project_id=lead.project_id, person_id=member.person.id, role=MemberRole.MEMBER, by=lead.actor, now=now)
    allowances.withdraw(db, project_id=lead.project_id, by=member.actor, now=now)
    projects.close(db, project_id=lead.project_id, by=make.TESTS, now=now)
    with pytest.raises(Closed):
        asked(db, member, now)


def test_the_leads_page_takes_the_same_statements_for_many_members(db: Session, now: datetime, team: Team) -> None:
    lead, _ = team
    card = project_queries.project_by_id(db, lead.project_id, actor=lead.actor)
    counts = []
    for _ in range(2):
        for _ in range(5):
            members.add(db, project_id=lead.project_id, person_id=people.person(db, now=now).id, role=MemberRole.MEMBER, by=make.TESTS, now=now)
        with count_queries() as found:
            queries.page_of_members(db, card, mark=None, now=now)
        counts.append(len(found))
    assert counts[0] == counts[1]


@pytest.fixture
def signed_in(db: Session, now: datetime, at: object, client: FlaskClient, team: Team) -> FlaskClient:
    """Sign the member in, with a pool."""
    make.small_pool(db, now=now)
    db.commit()
    people.sign_in(client, team[1].person)
    return client


CHOICE = "profile=h100-slice-10&hours=4"


def test_the_launch_page_says_what_the_week_has_and_lets_the_member_ask(
    client: FlaskClient, db: Session, now: datetime, signed_in: FlaskClient, team: Team
) -> None:
    slug = project_queries.project_by_id(db, team[0].project_id, actor=team[0].actor).slug
    page = client.get(f"/sessions/new?{CHOICE}").get_data(as_text=True)
    assert "Your week" in page
    assert f"hours=2&amp;project={slug}" in page, "what the week still covers is one click away"
    assert 'id="start"' in page
    assert "Start 1g" not in page, "what the week does not cover cannot be started"
    fields = people.csrf(client) | {"profile": "h100-slice-10", "hours": "4", "project": slug, "once": "o" * 30}
    refused = client.post("/sessions/new/more", data=fields | {"amount": "-3", "reason": "Evaluation runs"})
    assert refused.status_code == 422
    assert 'value="Evaluation runs"' in refused.get_data(as_text=True)
    assert client.post("/sessions/new/more", data=fields | {"amount": "6", "reason": "Evaluation runs"}).status_code == 303
    assert "have not answered yet" in client.get(f"/sessions/new?{CHOICE}").get_data(as_text=True)
    direct = people.csrf(client) | {"profile": "h100-slice-10", "hours": "4", "project": slug, "label": "", "once": "p" * 30}
    assert "Your weekly allowance of this project has 10 credits left" in client.post("/sessions/new", data=direct).get_data(as_text=True)


def test_a_lead_gives_more_on_the_page(client: FlaskClient, db: Session, now: datetime, at: object, team: Team) -> None:
    lead, member = team
    asked(db, member, now)
    db.commit()
    people.sign_in(client, lead.person)
    slug = project_queries.project_by_id(db, lead.project_id, actor=lead.actor).slug
    assert "asks for" in client.get(f"/sessions/allowances/{slug}").get_data(as_text=True)
    number = queries.open_asks(db, lead.project_id, mark=None).rows[0].number
    url = f"/sessions/allowances/{slug}/requests/{number}"
    answer = client.post(url, data=people.csrf(client) | {"amount": "4", "lasts": "week", "answer": "", "once": "q" * 30})
    assert answer.status_code == 303
    db.expire_all()
    assert week_of(db, member, now).total_ucr == credits_ucr(14)
    assert "This was answered already" in client.get(url).get_data(as_text=True)
    assert client.post(f"/sessions/allowances/{slug}/everybody", data=people.csrf(client) | {"amount": "", "once": "r" * 30}).status_code == 303
    db.expire_all()
    assert week_of(db, member, now).weekly_ucr is None
