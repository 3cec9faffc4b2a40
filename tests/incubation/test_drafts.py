"""Drafts: autosave with server truth, two tabs, submitting, the deadline (A29, F28)."""

import re
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.orm import Session

from portal.core import clock
from portal.incubation import defaults
from portal.incubation.jobs import close_calls
from portal.incubation.operations import applications, calls
from portal.incubation.operations.fields import ChangedElsewhere
from portal.incubation.queries import applications as queries
from portal.incubation.rules.marks import PageMark
from portal.incubation.rules.receipts import content_hash
from tests.conftest import RunJobs
from tests.factories import identity as people
from tests.factories import incubation as make
from tests.incubation.browser import tokens

ARABIC = "نص طويل جدا " * 120


@pytest.fixture
def now() -> datetime:
    return clock.now()


@pytest.fixture
def world(db: Session, now: datetime) -> make.CallWorld:
    return make.call(db, now=now)


@pytest.fixture
def lead(db: Session, now: datetime) -> people.PersonCard:
    return people.person(db, now=now)


@pytest.fixture
def number(client: FlaskClient, db: Session, world: make.CallWorld, lead: people.PersonCard, now: datetime) -> int:
    """Give a complete draft, its lead signed in."""
    made = make.draft(db, world, lead, now=now)
    db.commit()
    people.sign_in(client, lead)
    return made


def open_page(client: FlaskClient, number: int) -> str:
    """Open the form as one more tab and return its mark."""
    page = client.get(f"/applications/{number}/edit").text
    found = re.search(r'data-revision="([0-9a-f]{16}\.\d+[^"]*)"', page)
    assert found
    return found[1]


def stored(db: Session, number: int) -> dict[str, object]:
    db.expire_all()
    return dict(queries.answers_of_draft(db, make.id_of(db, number)))


def test_starting_twice_leads_to_one_draft(client: FlaskClient, db: Session, world: make.CallWorld, number: int) -> None:
    again = client.post(f"/calls/{world.slug}/apply", data=tokens(client))

    assert again.headers["Location"] == f"/applications/{number}/edit"
    assert db.execute(text("SELECT count(*) FROM program_application")).scalar_one() == 1


def test_autosave_keeps_a_field_and_says_when(client: FlaskClient, db: Session, number: int) -> None:
    mark = open_page(client, number)

    answer = client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_goal", "q_goal": "Forty growers", "revision": mark})

    assert answer.status_code == 200
    assert re.search(r"Saved at .*\d\d:\d\d", answer.text)
    assert "2 of 150 words." in answer.text
    assert stored(db, number)["goal"] == "Forty growers"


def test_an_answer_over_its_limit_is_kept_and_the_person_is_told(client: FlaskClient, db: Session, number: int) -> None:
    mark = open_page(client, number)
    client.set_cookie("lang", "ar", domain="127.0.0.1")

    answer = client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_problem", "q_problem": ARABIC, "revision": mark})

    assert answer.status_code == 200
    assert "360" in answer.text
    assert 'class="err"' in answer.text
    assert stored(db, number)["problem"] == ARABIC.strip()


def test_a_text_too_long_to_keep_is_refused_with_its_reason(client: FlaskClient, db: Session, number: int) -> None:
    mark = open_page(client, number)

    answer = client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_goal", "q_goal": "ن" * 50_001, "revision": mark})
    whole = client.post(f"/applications/{number}/edit", data=tokens(client) | {"q_goal": "ن" * 50_001, "q_problem": "kept in the page", "revision": mark})

    assert (answer.status_code, whole.status_code) == (422, 422)
    assert "too long to be saved" in answer.text
    assert "kept in the page" in whole.text
    assert "ن" * 50_001 in whole.text
    assert stored(db, number)["goal"] == defaults.SAMPLE_ANSWERS["goal"]


def test_a_page_never_conflicts_with_itself(client: FlaskClient, db: Session, number: int) -> None:
    mark = open_page(client, number)

    for words in ("one", "one two", "one two three"):
        answer = client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_goal", "q_goal": words, "revision": mark})
        assert answer.status_code == 200

    whole = client.post(f"/applications/{number}/edit", data=tokens(client) | {"q_goal": "one two three four", "revision": mark, "action": "save"})
    assert whole.status_code == 303
    assert stored(db, number)["goal"] == "one two three four"


def test_two_tabs_conflict_on_one_field_and_both_texts_are_shown(client: FlaskClient, db: Session, number: int) -> None:
    first, second = open_page(client, number), open_page(client, number)
    client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_goal", "q_goal": "From the laptop", "revision": first})

    clash = client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_goal", "q_goal": "From the phone", "revision": second})
    other = client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_team_size", "q_team_size": "5", "revision": second})

    assert clash.status_code == 409
    assert "From the laptop" in clash.text
    assert "From the phone" in clash.text
    assert other.status_code == 200
    assert stored(db, number)["goal"] == "From the laptop"
    assert stored(db, number)["team_size"] == "5"


def test_the_same_text_in_two_tabs_is_no_conflict(client: FlaskClient, number: int) -> None:
    first, second = open_page(client, number), open_page(client, number)

    answers = [
        client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_goal", "q_goal": "Same", "revision": mark}) for mark in (first, second)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize(("button", "expected"), [("keep", "From the phone"), ("take", "From the laptop")])
def test_a_conflict_is_settled_by_one_button_and_nothing_else_is_lost(client: FlaskClient, db: Session, number: int, button: str, expected: str) -> None:
    first, second = open_page(client, number), open_page(client, number)
    client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_goal", "q_goal": "From the laptop", "revision": first})
    typed = {"q_goal": "From the phone", "q_team_size": "6", "revision": second}

    shown = client.post(f"/applications/{number}/edit", data=tokens(client) | typed | {"action": "save"})
    assert shown.status_code == 409
    assert "From the laptop" in shown.text
    assert "From the phone" in shown.text
    assert stored(db, number)["team_size"] == "4"

    settled = client.post(f"/applications/{number}/edit", data=tokens(client) | typed | {button: "goal"})
    assert settled.status_code == 303
    assert stored(db, number)["goal"] == expected
    assert stored(db, number)["team_size"] == "6"


def test_saving_again_after_seeing_both_texts_overwrites(client: FlaskClient, db: Session, number: int) -> None:
    first, second = open_page(client, number), open_page(client, number)
    client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_goal", "q_goal": "From the laptop", "revision": first})
    shown = client.post(f"/applications/{number}/edit", data=tokens(client) | {"q_goal": "From the phone", "revision": second})
    fresh = re.search(r'name="revision" value="([^"]+)"', shown.text)
    assert fresh

    again = client.post(f"/applications/{number}/edit", data=tokens(client) | {"q_goal": "Both, merged", "revision": fresh[1]})

    assert again.status_code == 303
    assert stored(db, number)["goal"] == "Both, merged"


def test_submitting_an_incomplete_draft_keeps_everything_and_shows_each_error_at_its_field(client: FlaskClient, db: Session, number: int) -> None:
    mark = open_page(client, number)
    typed = {"q_title": "كرمة", "q_problem": ARABIC, "q_gpu_credits": "lots", "q_contact": "nobody", "revision": mark, "consent": "y", "action": "submit"}

    refused = client.post(f"/applications/{number}/edit", data=tokens(client) | typed, follow_redirects=True)

    assert refused.request.path == f"/applications/{number}/edit"
    assert "360 words; at most 250 are allowed." in refused.text
    assert "Please enter an amount of credits" in refused.text
    assert "Please enter an e-mail address" in refused.text
    assert refused.text.count('aria-invalid="true"') >= 3
    assert ARABIC.strip() in refused.text
    assert stored(db, number)["gpu_credits"] == "lots"
    assert queries.own_by_number(db, number, actor=people.queries.person_by_id(db, _lead_of(db, number)).actor).state == "draft"


def _lead_of(db: Session, number: int):
    return db.execute(text("SELECT lead_id FROM program_application WHERE number = :n"), {"n": number}).scalar_one()


def test_a29_nothing_is_submitted_without_consent(client: FlaskClient, db: Session, number: int) -> None:
    mark = open_page(client, number)

    refused = client.post(f"/applications/{number}/edit", data=tokens(client) | {"revision": mark, "action": "submit"}, follow_redirects=True)

    assert "Please agree before you submit." in refused.text
    assert db.execute(text("SELECT count(*) FROM application_revision")).scalar_one() == 0


def test_a29_after_the_deadline_an_old_form_neither_saves_nor_submits(
    client: FlaskClient, db: Session, world: make.CallWorld, number: int, now: datetime
) -> None:
    mark = open_page(client, number)
    db.execute(text("UPDATE program_call SET closes_at = :at WHERE id = :id"), {"at": now - timedelta(seconds=1), "id": world.id})
    db.commit()

    saved = client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_goal", "q_goal": "Too late", "revision": mark})
    sent = client.post(f"/applications/{number}/edit", data=tokens(client) | {"q_goal": "Too late", "revision": mark, "consent": "y", "action": "submit"})

    assert (saved.status_code, sent.status_code) == (409, 403)
    assert "not open for applications now" in saved.text
    assert stored(db, number)["goal"] == defaults.SAMPLE_ANSWERS["goal"]
    assert db.execute(text("SELECT count(*) FROM application_revision")).scalar_one() == 0
    assert client.get(f"/applications/{number}/edit").headers["Location"] == f"/applications/{number}"
    assert "this draft was not submitted" in client.get(f"/applications/{number}").text


def test_a29_a_call_that_is_not_open_yet_or_was_closed_takes_nothing(db: Session, lead: people.PersonCard, now: datetime) -> None:
    early = make.call(db, now=now, opens_at=now + timedelta(hours=1))
    shut = make.call(db, now=now)
    calls.move(db, call_id=shut.id, name="close", by=shut.staff.actor, now=now)

    for call in (early, shut):
        with pytest.raises(applications.CallNotOpen):
            applications.start(db, call_slug=call.slug, by=lead.actor, now=now)


def test_f28_submitting_twice_gives_one_receipt(client: FlaskClient, db: Session, number: int) -> None:
    form = tokens(client) | {"revision": open_page(client, number), "consent": "y", "action": "submit"}

    first = client.post(f"/applications/{number}/edit", data=form)
    double_click = client.post(f"/applications/{number}/edit", data=form)
    back_button = client.post(f"/applications/{number}/edit", data=form | tokens(client))

    assert first.headers["Location"] == double_click.headers["Location"] == f"/applications/{number}/receipt"
    assert back_button.status_code == 409
    assert db.execute(text("SELECT count(*) FROM application_revision")).scalar_one() == 1
    assert db.execute(text("SELECT count(*) FROM message")).scalar_one() == 1


def test_what_was_submitted_is_kept_whole_and_never_changes(client: FlaskClient, db: Session, number: int, lead: people.PersonCard) -> None:
    client.post(f"/applications/{number}/edit", data=tokens(client) | {"revision": open_page(client, number), "consent": "y", "action": "submit"})
    card = queries.own_by_number(db, number, actor=lead.actor)
    content = queries.submitted_content(db, card.id)

    assert content_hash(content) == card.receipt_hash
    assert content["answers"] == {key: value for key, value in defaults.SAMPLE_ANSWERS.items() if value}
    assert content["consent"]["text"].startswith("I agree")
    assert card.asked_ucr == 320_000_000
    late = client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_goal", "q_goal": "Changed after"})
    assert late.status_code == 409
    for statement in ("UPDATE application_revision SET content_hash = ''", "DELETE FROM application_revision", "UPDATE form_version SET number = 9"):
        with pytest.raises(ProgrammingError, match="permission denied"), db.begin_nested():
            db.execute(text(statement))
        with pytest.raises(IntegrityError), db.begin_nested():
            db.execute(text(f"SET LOCAL ROLE NONE; {statement}"))


def test_the_receipt_mail_is_in_the_applicants_language(client: FlaskClient, db: Session, world: make.CallWorld, now: datetime, run_jobs: RunJobs) -> None:
    lead = people.person(db, language="fr", display_name="Jean-Baptiste Élan", now=now)
    number = make.application(db, world, lead, now=now)
    db.commit()

    run_jobs(only="notifications.deliver")

    message = db.execute(text("SELECT subject, body FROM message WHERE kind = 'incubation.application_received'")).one()
    card = queries.own_by_number(db, number, actor=lead.actor)
    assert card.receipt_hash in message.body
    assert f"/applications/{number}/receipt" in message.body
    assert "Incubation 2027, premier appel" in message.body


def test_a_withdrawn_application_ends_and_another_can_begin(client: FlaskClient, db: Session, world: make.CallWorld, number: int) -> None:
    assert client.post(f"/applications/{number}/withdraw", data=tokens(client)).status_code == 303
    assert client.post(f"/applications/{number}/withdraw", data=tokens(client)).status_code == 409

    again = client.post(f"/calls/{world.slug}/apply", data=tokens(client)).headers["Location"]

    assert again != f"/applications/{number}/edit"
    assert "Withdrawn" in client.get(f"/applications/{number}").text


def test_operations_refuse_a_stale_page_without_writing(db: Session, world: make.CallWorld, lead: people.PersonCard, now: datetime) -> None:
    number = make.draft(db, world, lead, now=now)
    page = PageMark("a" * 16, 0)

    with pytest.raises(ChangedElsewhere) as clash:
        applications.save_fields(db, number=number, sent={"goal": "x", "team_size": "9"}, mark=page, by=lead.actor, now=now)

    assert {one.key for one in clash.value.clashes} == {"goal", "team_size"}
    assert queries.answers_of_draft(db, make.id_of(db, number))["team_size"] == "4"


def test_calls_close_by_themselves(app, db: Session, world: make.CallWorld, now: datetime, run_jobs: RunJobs, session_maker, settings) -> None:
    from portal.core.jobs import JobContext

    still_open = make.call(db, now=now)
    db.execute(text("UPDATE program_call SET closes_at = :at WHERE id = :id"), {"at": now - timedelta(minutes=1), "id": world.id})
    db.commit()

    close_calls(JobContext(sessions=session_maker, settings=settings))

    db.expire_all()
    states = {row.id: row.state for row in db.execute(text("SELECT id, state FROM program_call"))}
    assert (states[world.id], states[still_open.id]) == ("closed", "open")


def test_unticking_every_box_is_kept_and_a_form_without_the_question_changes_nothing(client: FlaskClient, db: Session, number: int) -> None:
    mark = open_page(client, number)

    client.post(f"/applications/{number}/edit", data=tokens(client) | {"q_goal": "Only this", "revision": mark})
    assert stored(db, number)["fields"] == ["vision", "farming"]
    client.post(f"/applications/{number}/edit", data=tokens(client) | {"q_fields": "", "revision": open_page(client, number)})

    assert stored(db, number)["fields"] == []


def test_a_field_that_a_page_left_alone_does_not_undo_another_pages_change(client: FlaskClient, db: Session, number: int) -> None:
    first, second = open_page(client, number), open_page(client, number)
    client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_fields", "q_fields": ["", "health"], "revision": first})

    untouched = {"q_fields": ["", "vision", "farming"], "q_goal": "Changed here", "revision": second}
    saved = client.post(f"/applications/{number}/edit", data=tokens(client) | untouched)

    assert saved.status_code == 303
    assert stored(db, number)["fields"] == ["health"]
    assert stored(db, number)["goal"] == "Changed here"


def test_a_conflict_page_shows_what_others_made_of_the_fields_that_were_left_alone(client: FlaskClient, db: Session, number: int) -> None:
    first, second = open_page(client, number), open_page(client, number)
    for field, value in (("q_team_size", "7"), ("q_goal", "From the laptop")):
        client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": field, field: value, "revision": first})

    shown = client.post(f"/applications/{number}/edit", data=tokens(client) | {"q_team_size": "4", "q_goal": "From the phone", "revision": second})
    mark = re.search(r'name="revision" value="([^"]+)"', shown.text)
    assert mark
    again = client.post(f"/applications/{number}/edit", data=tokens(client) | {"q_team_size": "7", "q_goal": "Merged", "revision": mark[1]})

    assert re.search(r'name="q_team_size"[^>]*value="7"', shown.text)
    assert again.status_code == 303
    assert (stored(db, number)["team_size"], stored(db, number)["goal"]) == ("7", "Merged")


def test_taking_back_ones_own_change_is_kept(client: FlaskClient, db: Session, number: int) -> None:
    mark = open_page(client, number)
    before = str(defaults.SAMPLE_ANSWERS["goal"])
    client.post(f"/applications/{number}/fields", data=tokens(client) | {"field": "q_goal", "q_goal": "A thought", "revision": mark})

    client.post(f"/applications/{number}/edit", data=tokens(client) | {"q_goal": before, "revision": mark})

    assert stored(db, number)["goal"] == before
