"""Pages of compute as people see them: launch, live session, history, limits, pool."""

import json
import re
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.compute.models import ComputeSession
from portal.core.access import Role
from portal.core.quantities import credits_ucr
from portal.credits import queries as ledger
from portal.projects.operations import members
from portal.projects.states import MemberRole
from portal.settings import Settings
from tests.factories import compute as make
from tests.factories import credits as ledger_make
from tests.factories import identity as people
from tests.queries import count_queries


@pytest.fixture
def ada(db: Session, now: datetime, at, client: FlaskClient) -> make.Spender:
    """Give somebody who is signed in and has credits, and a pool."""
    make.small_pool(db, now=now)
    spender = make.spender(db, now=now)
    db.commit()
    people.sign_in(client, spender.person)
    return spender


def text_of(answer) -> str:
    """Return the text of a page: tags away, spaces alike."""
    html = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", answer.get_data(as_text=True), flags=re.DOTALL)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("\u202f", " ").replace("\u00a0", " ")
    return re.sub(r" (?=[,.;:])", "", text)


def shown(client: FlaskClient, at: datetime, how: str = "clock") -> str:
    """Return how a page shows an instant, in the zone of the hub."""
    with client.application.test_request_context():
        markup = client.application.jinja_env.from_string("{{ at|" + how + " }}").render(at=at)
    return re.sub(r"<[^>]+>", "", markup).replace("\u00a0", " ")


def project_slug(db: Session, by: make.Spender) -> str:
    from portal.projects import relations

    return db.execute(select(relations.project.c.slug).where(relations.project.c.id == by.project_id)).scalar_one()


def form(client: FlaskClient, db: Session, by: make.Spender, **change: str) -> dict[str, str]:
    return people.csrf(client) | {"profile": "h100-slice-10", "hours": "2", "project": project_slug(db, by), "label": "Tokeniser"} | change


def test_launch_shows_price_energy_hold_and_what_stays_before_the_button(client: FlaskClient, ada: make.Spender) -> None:
    text = text_of(client.get("/sessions/new?profile=h100-full&hours=2"))

    for words in (
        "Full H100",
        "28.00",
        "2 h at 28.00 credits/h 56.00",
        "Energy, estimated 1.68 kWh",
        "Held when it starts 7.00 credits",
        "Balance 100.00",
        "Held 7.00",
        "Free 93.00",
        "Start Full H100",
    ):
        assert words in text, words


def test_launch_recalculates_for_another_choice_without_scripts(client: FlaskClient, ada: make.Spender) -> None:
    text = text_of(client.get("/sessions/new?profile=cpu-notebook&hours=8"))

    assert "8 h at 0.50 credits/h 4.00" in text
    assert "Start CPU notebook" in text


def test_launch_with_a_choice_that_is_not_offered_shows_one_that_is(client: FlaskClient, ada: make.Spender) -> None:
    answer = client.get("/sessions/new?profile=h100-eight&hours=99&project=p-99999")

    assert answer.status_code == 200
    assert "1 h at 0.50 credits/h 0.50" in text_of(answer)


def test_launch_starts_what_was_shown(client: FlaskClient, db: Session, ada: make.Spender) -> None:
    answer = client.post("/sessions/new", data=form(client, db, ada))

    row = db.execute(select(ComputeSession)).scalar_one()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/sessions/{row.number}")
    assert (row.label, row.duration_s, row.state) == ("Tokeniser", 7200, "requested")


def test_f28_a_double_click_starts_one_session(client: FlaskClient, db: Session, ada: make.Spender) -> None:
    data = form(client, db, ada)

    answers = [client.post("/sessions/new", data=data) for _ in range(3)]

    assert [(answer.status_code, answer.headers["Location"]) for answer in answers] == [(303, answers[0].headers["Location"])] * 3
    assert db.execute(select(func.count()).select_from(ComputeSession)).scalar_one() == 1


@pytest.mark.parametrize("change", [{"profile": "h100-eight"}, {"hours": "3"}, {"hours": "-1"}, {"hours": "１"}, {"profile": ""}, {"label": "x" * 121}])
def test_launch_with_a_wrong_field_says_so_and_starts_nothing(client: FlaskClient, db: Session, ada: make.Spender, change: dict[str, str]) -> None:
    answer = client.post("/sessions/new", data=form(client, db, ada, **change))

    assert answer.status_code == 422
    assert "Please check what you entered" in text_of(answer)
    assert db.execute(select(func.count()).select_from(ComputeSession)).scalar_one() == 0


def test_a21_launch_from_a_project_of_others_is_not_found(client: FlaskClient, db: Session, now: datetime, ada: make.Spender) -> None:
    other = make.spender(db, now=now)
    db.commit()

    assert client.post("/sessions/new", data=form(client, db, ada, project=project_slug(db, other))).status_code == 404
    assert f'value="{project_slug(db, other)}"' not in client.get(f"/sessions/new?project={project_slug(db, other)}").get_data(as_text=True)


def test_a22_fields_that_the_form_does_not_have_are_ignored(client: FlaskClient, db: Session, now: datetime, ada: make.Spender) -> None:
    other = people.person(db, now=now)
    db.commit()
    extra = {
        "rate_ucr_per_hour": "1",
        "state": "running",
        "person_id": str(other.id),
        "duration_s": "1",
        "open_path": "//evil.example",
        "memory_limit_bytes": "1",
        "generation": "9",
    }

    client.post("/sessions/new", data=form(client, db, ada) | extra)

    row = db.execute(select(ComputeSession)).scalar_one()
    assert (row.state, row.person_id, row.duration_s, row.open_path, row.generation) == ("requested", ada.person.id, 7200, "/lab", 1)
    assert ledger.balance(db, ada.wallet_id, now=now).held_ucr == credits_ucr(1)


def test_launch_without_enough_credit_says_what_is_needed_and_offers_no_button(client: FlaskClient, db: Session, now: datetime, at) -> None:
    make.small_pool(db, now=now)
    poor = make.spender(db, now=now, balance=0)
    ledger_make.lot(db, poor.wallet_id, now=now, amount_ucr=credits_ucr(3))
    db.commit()
    people.sign_in(client, poor.person)

    text = text_of(client.get("/sessions/new?profile=h100-full"))
    answer = client.post("/sessions/new", data=form(client, db, poor, profile="h100-full"))

    assert "The first 15 minutes need 7.00 credits; 3.00 are free" in text
    assert "Start Full H100" not in text
    assert answer.status_code == 422
    assert db.execute(select(func.count()).select_from(ComputeSession)).scalar_one() == 0


def test_launch_says_how_far_the_credit_reaches(client: FlaskClient, db: Session, now: datetime, at) -> None:
    make.small_pool(db, now=now)
    poor = make.spender(db, now=now, balance=10)
    db.commit()
    people.sign_in(client, poor.person)

    assert "The free credits last about 2 h 30 min" in text_of(client.get("/sessions/new?profile=h100-slice-10&hours=4"))


def test_launch_when_the_pool_is_busy_promises_a_time_and_offers_what_is_free(client: FlaskClient, db: Session, now: datetime, ada: make.Spender) -> None:
    make.running(db, make.spender(db, now=now), now=now, profile="h100-full", duration_s=7200)
    db.commit()

    text = text_of(client.get("/sessions/new?profile=h100-full&hours=2"))
    answer = client.post("/sessions/new", data=form(client, db, ada, profile="h100-full"))

    assert re.search(r"By \d\d:\d\d, or by \d\d:\d\d", text)
    assert "The one machine of this kind is in use." in text
    assert "H100 slice, small, now 10 GB, 8.00 credits for 2 h Choose" in text
    assert "Start Full H100" not in text
    assert "Wait for Full H100" in text
    assert answer.status_code == 303
    assert "Waiting for a machine" in text_of(client.get(answer.headers["Location"]))


def test_launch_without_a_project_says_what_is_missing(client: FlaskClient, db: Session, now: datetime, at) -> None:
    make.small_pool(db, now=now)
    person = people.person(db, now=now)
    db.commit()
    people.sign_in(client, person)

    assert "No project of yours can pay for a session yet" in text_of(client.get("/sessions/new"))
    assert client.post("/sessions/new", data=people.csrf(client) | {"profile": "cpu-notebook", "hours": "1", "project": "p-1"}).status_code == 404


def test_a_session_coming_up_shows_its_steps_and_asks_again_each_second(client: FlaskClient, db: Session, now: datetime, ada: make.Spender) -> None:
    session_id = make.requested(db, ada, now=now)
    db.commit()
    answer = client.get(f"/sessions/{make.row_of(db, session_id).number}")

    assert "Credits held" in text_of(answer)
    assert "JupyterLab opens" in text_of(answer)
    assert 'data-hx-trigger="every 1s"' in answer.get_data(as_text=True)
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in answer.get_data(as_text=True)
    assert "Open JupyterLab" not in text_of(answer)


def test_a_running_session_shows_time_cost_energy_and_the_way_in(
    client: FlaskClient, db: Session, now: datetime, at, ada: make.Spender, settings: Settings
) -> None:
    session_id, plugin = make.running(db, ada, now=now, label="Tokeniser training", duration_s=7200)
    make.deliver(db, [plugin.seen(600)], now=now + timedelta(seconds=600))
    db.commit()
    at.move_to(now + timedelta(minutes=12))
    row = make.row_of(db, session_id)

    answer = client.get(f"/sessions/{row.number}")

    text = text_of(answer)
    ends, held, proven = (
        shown(client, now + timedelta(hours=2)),
        shown(client, now + timedelta(minutes=15)),
        shown(client, now + timedelta(minutes=10), "clock(seconds=true)"),
    )
    for words in (
        "Tokeniser training",
        f"Running, ends at {ends}",
        f"Proven up to {proven}",
        "Time 12 min",
        "Cost so far 0.80 credits",
        "Energy, estimated 0.02 kWh",
        f"Credits held until {held}",
        "Stop and settle",
    ):
        assert words in text, words
    assert f'href="{settings.hub.public_url}/user/{ada.person.slug}/{row.slug}/lab"' in answer.get_data(as_text=True)


def test_the_panel_is_304_until_something_changes(client: FlaskClient, db: Session, now: datetime, at, ada: make.Spender) -> None:
    session_id, plugin = make.running(db, ada, now=now)
    db.commit()
    path = f"/sessions/{make.row_of(db, session_id).number}/panel"
    first = client.get(path)
    etag = first.headers["ETag"]

    assert first.headers["Cache-Control"] == "private, no-cache"
    again = client.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    at.move_to(now + timedelta(seconds=301))
    etag = client.get(path).headers["ETag"]
    at.move_to(now + timedelta(seconds=302))
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    at.move_to(now + timedelta(seconds=330))
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 200
    make.deliver(db, [plugin.exited(400)], now=now + timedelta(seconds=400))
    db.commit()
    changed = client.get(path, headers={"If-None-Match": etag})
    assert (changed.status_code, changed.headers["ETag"] != etag) == (200, True)
    assert "data-hx-get" not in changed.get_data(as_text=True)


def test_an_ended_session_shows_its_receipt_to_the_second(client: FlaskClient, db: Session, now: datetime, at, ada: make.Spender) -> None:
    session_id, plugin = make.running(db, ada, now=now)
    make.deliver(db, [plugin.exited(3725)], now=now + timedelta(seconds=3726))
    db.commit()
    at.move_to(now + timedelta(hours=2))

    text = text_of(client.get(f"/sessions/{make.row_of(db, session_id).number}"))

    for words in (
        "Time used 1 h 02 min 05 s",
        "Seconds, each charged once 3 725",
        "Price 4.00 credits/h",
        "Energy, estimated 0.12 kWh",
        "Charged 4.138888 credits",
        "It ended by itself",
    ):
        assert words in text, words


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [("hub_away", "The hub does not answer. Nothing was charged."), ("hub_refused", "The hub could not start the machine. Nothing was charged.")],
)
def test_a_failed_start_says_that_nothing_was_charged(client: FlaskClient, db: Session, now: datetime, ada: make.Spender, failure: str, sentence: str) -> None:
    from portal.compute.operations import starts
    from portal.compute.states import Failure

    session_id = make.requested(db, ada, now=now)
    make.launched(db, session_id, now=now)
    starts.give_up(db, session_id=session_id, failure=Failure(failure), by=make.TESTS, now=now)
    db.commit()

    text = text_of(client.get(f"/sessions/{make.row_of(db, session_id).number}"))

    assert sentence in text
    assert "Charged 0.00 credits" in text


def test_the_warning_of_the_end_of_credit_stands_above_the_session(client: FlaskClient, db: Session, now: datetime, ada: make.Spender) -> None:
    session_id, _ = make.running(db, ada, now=now)
    make.row_of(db, session_id).credit_warned_at = now
    db.commit()

    assert f"The credits end at {shown(client, now + timedelta(minutes=15))}" in text_of(client.get(f"/sessions/{make.row_of(db, session_id).number}"))


def test_stop_asks_once_and_leads_back(client: FlaskClient, db: Session, now: datetime, ada: make.Spender) -> None:
    session_id, _ = make.running(db, ada, now=now)
    db.commit()
    number = make.row_of(db, session_id).number
    data = people.csrf(client)

    answers = [client.post(f"/sessions/{number}/stop", data=data) for _ in range(2)]

    assert [(answer.status_code, answer.headers["Location"]) for answer in answers] == [(303, f"/sessions/{number}")] * 2
    assert (make.row_of(db, session_id).state, make.row_of(db, session_id).stop_cause) == ("stopping", "person")


def test_a28_stop_without_the_forms_token_is_refused(client: FlaskClient, db: Session, now: datetime, ada: make.Spender) -> None:
    session_id, _ = make.running(db, ada, now=now)
    db.commit()
    number = make.row_of(db, session_id).number

    assert client.post(f"/sessions/{number}/stop", data={"once": "x" * 30}).status_code == 400
    assert client.get(f"/sessions/{number}/stop").status_code == 405
    assert make.row_of(db, session_id).state == "running"


def test_a_lead_sees_and_stops_but_does_not_enter_a_members_session(client: FlaskClient, db: Session, now: datetime, at) -> None:
    member = make.spender(db, now=now, role=MemberRole.MEMBER)
    session_id, _ = make.running(db, member, now=now, label="Work of a member")
    lead = people.person(db, now=now, display_name="Lead")
    members.add(db, project_id=member.project_id, person_id=lead.id, role=MemberRole.LEAD, by=make.TESTS, now=now)
    db.commit()
    people.sign_in(client, lead)

    answer = client.get(f"/sessions/{make.row_of(db, session_id).number}")

    assert "session of Amina Benali" in text_of(answer)
    assert "Stop and settle" in text_of(answer)
    assert "Open JupyterLab" not in text_of(answer)
    assert "Work of a member" in text_of(client.get("/sessions/"))


@pytest.mark.parametrize("path", ["", "/panel"])
def test_a21_the_session_of_another_is_not_found(client: FlaskClient, db: Session, now: datetime, ada: make.Spender, path: str) -> None:
    session_id, _ = make.running(db, make.spender(db, now=now), now=now, label="Secret of another")
    db.commit()
    number = make.row_of(db, session_id).number

    assert client.get(f"/sessions/{number}{path}").status_code == 404
    assert client.post(f"/sessions/{number}/stop", data=people.csrf(client)).status_code == 404
    assert client.get(f"/sessions/{2**70}{path}").status_code == 404
    assert "Secret of another" not in client.get("/sessions/").get_data(as_text=True)


def test_labels_of_people_are_text_never_markup(client: FlaskClient, db: Session, now: datetime, ada: make.Spender) -> None:
    label = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
    session_id = make.requested(db, ada, now=now, label=label)
    db.commit()

    for path in (
        f"/sessions/{make.row_of(db, session_id).number}",
        "/sessions/",
        f"/sessions/new?profile={quote(label)}&project={quote(label)}&hours={quote(label)}",
    ):
        html = client.get(path).get_data(as_text=True)
        assert "<script>alert" not in html
        assert "<img src=x" not in html


def test_the_history_is_in_pages_and_costs_the_same_for_one_row_and_three(client: FlaskClient, db: Session, now: datetime, ada: make.Spender) -> None:
    counts = []
    client.get("/sessions/limits")
    for more in (1, 2):
        for _ in range(more):
            _, plugin = make.running(db, ada, now=now)
            make.deliver(db, [plugin.exited(400)], now=now + timedelta(seconds=400))
        db.commit()
        with count_queries() as queries:
            assert client.get("/sessions/").status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1]
    assert counts[0] <= 10


def test_the_history_pages_by_key(client: FlaskClient, db: Session, now: datetime, ada: make.Spender) -> None:
    from portal.compute.operations import sessions
    from portal.compute.states import StopCause

    for minute in range(27):
        later = now + timedelta(minutes=minute)
        session_id = make.requested(db, ada, now=later, label=f"Run {minute}")
        sessions.stop(db, session_id=session_id, by=ada.actor, now=later, cause=StopCause.PERSON)
    db.commit()

    first = client.get("/sessions/")
    following = re.search(r'rel="next" href="([^"]+)"', first.get_data(as_text=True))
    assert following is not None
    second = client.get(following.group(1).replace("&amp;", "&"))

    assert ("Run 26" in text_of(first), "Run 1 " in text_of(first)) == (True, False)
    assert ("Run 1 " in text_of(second), "Run 0 " in text_of(second), "Run 2 " in text_of(second)) == (True, True, False)


@pytest.mark.parametrize("path", ["/sessions/new", "/sessions/new?profile=h100-full&hours=8", "page", "panel"])
def test_pages_take_at_most_ten_statements(client: FlaskClient, db: Session, now: datetime, ada: make.Spender, path: str) -> None:
    session_id, _ = make.running(db, ada, now=now)
    db.commit()
    number = make.row_of(db, session_id).number
    path = {"page": f"/sessions/{number}", "panel": f"/sessions/{number}/panel"}.get(path, path)

    with count_queries() as queries:
        assert client.get(path).status_code == 200

    assert len(queries) <= 10, [statement[:80] for statement in queries.statements]


@pytest.mark.parametrize("language", ["en", "fr", "ar"])
def test_every_page_renders_in_every_language(client: FlaskClient, db: Session, now: datetime, at, language: str) -> None:
    make.small_pool(db, now=now)
    by = make.spender(db, now=now)
    staff = people.person(db, roles=[Role.STAFF], now=now)
    members.add(db, project_id=by.project_id, person_id=staff.id, role=MemberRole.LEAD, by=make.TESTS, now=now)
    running, _ = make.running(db, by, now=now)
    ended, plugin = make.running(db, by, now=now)
    make.deliver(db, [plugin.exited(500)], now=now + timedelta(seconds=500))
    make.running(db, by, now=now, profile="h100-full")
    coming = make.requested(db, by, now=now, profile="cpu-notebook")
    db.commit()
    people.sign_in(client, staff)
    client.set_cookie("lang", language, domain="127.0.0.1")
    numbers = [make.row_of(db, key).number for key in (running, ended, coming)]

    for path in [
        "/sessions/",
        "/sessions/new",
        "/sessions/new?profile=h100-full",
        "/sessions/limits",
        "/sessions/pool",
        *(f"/sessions/{number}" for number in numbers),
    ]:
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}"' in answer.get_data(as_text=True)
    name = {"en": "H100 slice, small", "fr": "Tranche de H100, petite", "ar": "شريحة H100 صغيرة"}[language]
    assert name in client.get("/sessions/new").get_data(as_text=True)


def test_limits_are_said_as_the_hub_measured_them(client: FlaskClient, ada: make.Spender, settings: Settings) -> None:
    assert "Not known yet" in text_of(client.get("/sessions/limits"))
    settings.hub.state_dir.mkdir(parents=True, exist_ok=True)
    path = settings.hub.state_dir / "limits.json"
    lines = [
        {"limit": "filesystem", "enforced": True, "how": "sandbox", "detail": "d"},
        {"limit": "network", "enforced": False, "how": "none", "detail": "d"},
        {"limit": "quantum", "enforced": "yes", "how": "magic", "detail": "<b>Own words</b>"},
    ]
    path.write_text(json.dumps(lines))
    try:
        html = client.get("/sessions/limits")
        assert re.search(r"Files of others .* by the sandbox that each session runs in, tried when the hub started holds", text_of(html))
        assert re.search(r"Network .* nothing on this machine enforces it does not hold", text_of(html))
        assert "&lt;b&gt;Own words&lt;/b&gt;" in html.get_data(as_text=True)
        for broken in ("{", "[]", "[1]", "x" * 200_000):
            path.write_text(broken)
            assert "Not known yet" in text_of(client.get("/sessions/limits"))
    finally:
        path.unlink()


def test_the_pool_shows_staff_who_holds_what_since_when(client: FlaskClient, db: Session, now: datetime, at) -> None:
    by = make.spender(db, now=now)
    make.running(db, by, now=now)
    staff = people.person(db, roles=[Role.STAFF], now=now)
    db.commit()
    people.sign_in(client, staff)

    text = text_of(client.get("/sessions/pool"))

    assert "1 of 5 devices are held." in text
    since = shown(client, now, "datetime('medium')")
    assert f"sim-10-0 local H100, simulated Amina Benali Darija speech {since} Running" in text


def test_the_pool_costs_the_same_for_one_held_device_and_three(client: FlaskClient, db: Session, now: datetime, at) -> None:
    staff = people.person(db, roles=[Role.STAFF], now=now)
    people_in = []
    db.commit()
    people.sign_in(client, staff)
    client.get("/sessions/limits")
    counts = []
    for more in (1, 2):
        for _ in range(more):
            people_in.append(make.running(db, make.spender(db, now=now), now=now, profile=["h100-slice-10", "cpu-notebook", "h100-full"][len(people_in)]))
        db.commit()
        with count_queries() as queries:
            assert client.get("/sessions/pool").status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1]
    assert counts[0] <= 10


def test_the_pool_is_closed_to_others(client: FlaskClient, ada: make.Spender) -> None:
    assert client.get("/sessions/pool").status_code == 403
