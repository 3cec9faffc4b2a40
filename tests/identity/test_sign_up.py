"""Sign-up, confirmation and new passwords, by the mails that people get."""

import statistics
import time
from datetime import datetime, timedelta

import time_machine
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core import clock
from portal.settings import Settings
from tests.factories import identity as people
from tests.identity.browser import is_signed_in, link_in, mails, post, sign_in

NEW = "almond-trees-in-february"
FORM = {"display_name": "Youssef El Amrani", "email": "youssef@example.org", "password": NEW, "password_confirm": NEW}


def person_row(db: Session, email: str):
    return db.execute(text("SELECT * FROM person WHERE email = :email"), {"email": email}).one_or_none()


def test_sign_up_confirm_and_sign_in(client: FlaskClient, db: Session, settings: Settings, run_jobs) -> None:
    answer = post(client, "/sign-up", **FORM)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    run_jobs()
    assert sign_in(client, FORM["email"], NEW).headers["Location"] == "/confirm"
    assert not is_signed_in(client)

    link = link_in(mails(db, settings, FORM["email"])[0])
    assert client.get(link).status_code == 200
    assert person_row(db, FORM["email"]).confirmed_at is None, "opening the link, as a mail scanner does, confirms nothing"
    assert post(client, link).headers["Location"] == "/sign-in"

    assert sign_in(client, FORM["email"], NEW).status_code == 303
    assert is_signed_in(client)


def test_sign_up_keeps_argon2id_and_the_readers_language(client: FlaskClient, db: Session) -> None:
    client.post("/sign-up", data=people.csrf(client) | FORM, headers={"Accept-Language": "ar"})

    row = person_row(db, FORM["email"])
    assert row.password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (row.language, row.display_name, row.is_active) == ("ar", "Youssef El Amrani", True)


def test_sign_up_sent_twice_makes_one_account_and_one_mail(client: FlaskClient, db: Session, settings: Settings, run_jobs) -> None:
    form = people.csrf(client) | FORM
    first, second = client.post("/sign-up", data=form), client.post("/sign-up", data=form)
    run_jobs()

    assert (first.headers["Location"], second.headers["Location"]) == ("/sign-in", "/sign-in")
    assert len(mails(db, settings, FORM["email"])) == 1


def test_sign_up_refuses_bad_passwords_and_keeps_what_was_typed(client: FlaskClient, db: Session) -> None:
    for password in ("short", "password123", "aaaaaaaaaaaa", "youssef123"):
        answer = post(client, "/sign-up", **(FORM | {"password": password, "password_confirm": password}))
        assert answer.status_code == 422, password
        assert "Youssef El Amrani" in answer.text
    assert post(client, "/sign-up", **(FORM | {"password_confirm": NEW + "x"})).status_code == 422
    assert person_row(db, FORM["email"]) is None


def test_a22_sign_up_reads_no_other_field(client: FlaskClient, db: Session) -> None:
    more = {"active": "", "is_active": "", "confirmed_at": "2020-01-01", "roles": "administrator", "role": "administrator", "number": "1", "id": "1"}
    post(client, "/sign-up", **(FORM | more))

    row = person_row(db, FORM["email"])
    assert (row.is_active, row.confirmed_at) == (True, None)
    assert row.number > 1
    assert db.execute(text("SELECT count(*) FROM role_assignment WHERE person_id = :id"), {"id": row.id}).scalar_one() == 0


def test_a15_sign_up_with_a_known_address_answers_alike(client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    known = people.person(db, email="known@example.org", now=now)
    answers = [post(client, "/sign-up", **(FORM | {"email": email})) for email in ("known@example.org", "unknown@example.org")]
    pages = [client.get(answer.headers["Location"]) for answer in answers]
    run_jobs()

    assert [answer.status_code for answer in answers] == [303, 303]
    assert [answer.headers["Location"] for answer in answers] == ["/sign-in", "/sign-in"]
    assert pages[0].status_code == pages[1].status_code
    assert "You already have an account" in mails(db, settings, known.email)[0]
    assert db.execute(text("SELECT display_name FROM person WHERE email = 'known@example.org'")).scalar_one() == known.display_name


def test_a15_forgotten_password_answers_alike(client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    people.person(db, email="known@example.org", now=now)
    answers = [post(client, "/password/forgotten", email=email) for email in ("known@example.org", "unknown@example.org")]
    jobs = db.execute(text("SELECT task_name, count(*) FROM procrastinate_jobs GROUP BY 1")).all()
    run_jobs()

    assert [(answer.status_code, answer.headers["Location"]) for answer in answers] == [(303, "/sign-in")] * 2
    assert jobs == [("identity.mail_reset_link", 2)], "the request does the same work for both"
    assert len(mails(db, settings, "known@example.org")) == 1
    assert mails(db, settings, "unknown@example.org") == []


def test_a15_sign_in_answers_alike(client: FlaskClient, db: Session, now: datetime) -> None:
    people.person(db, email="known@example.org", now=now)
    suspended = people.person(db, email="suspended@example.org", now=now)
    people.people.suspend(db, person_id=suspended.id, by=people.TESTS, now=now)
    texts = set()
    for email, password in (
        ("known@example.org", "wrong-password-here"),
        ("unknown@example.org", "wrong-password-here"),
        ("suspended@example.org", people.PASSWORD),
    ):
        answer = sign_in(client, email, password)
        assert answer.status_code == 422
        assert "That did not work. Check the address and the password." in answer.text
        texts.add(len(answer.text.replace(email, "")) // 10)
    assert len(texts) == 1


def test_a15_sign_in_takes_the_same_time(client: FlaskClient, db: Session, now: datetime) -> None:
    for number in range(8):
        people.person(db, email=f"known{number}@example.org", now=now)
    sign_in(client, "warm@example.org", "up")
    taken: dict[str, list[float]] = {"known": [], "unknown": []}
    for number in range(8):
        for kind, times in taken.items():
            started = time.perf_counter()
            sign_in(client, f"{kind}{number}@example.org", "wrong-password-here")
            times.append(time.perf_counter() - started)

    ratio = statistics.median(taken["known"]) / statistics.median(taken["unknown"])
    assert 0.6 < ratio < 1.6, taken


def reset_link(client: FlaskClient, db: Session, settings: Settings, run_jobs, email: str, **headers: str) -> str:
    client.post("/password/forgotten", data=people.csrf(client) | {"email": email}, headers=headers)
    run_jobs()
    return link_in(mails(db, settings, email)[-1])


def test_a16_reset_link_works_once_and_signs_nobody_in(client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    ada = people.person(db, now=now)
    link = reset_link(client, db, settings, run_jobs, ada.email)

    assert client.get(link).status_code == 200
    assert post(client, link, password=NEW, password_confirm=NEW).headers["Location"] == "/sign-in"
    assert not is_signed_in(client)
    assert client.get(link).headers["Location"] == "/password/forgotten"
    assert post(client, link, password="other-password-1", password_confirm="other-password-1").headers["Location"] == "/password/forgotten"
    assert sign_in(client, ada.email).status_code == 422
    assert sign_in(client, ada.email, NEW).status_code == 303


def test_a16_reset_link_is_dead_after_a_later_sign_in(app, client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    ada = people.person(db, now=now)
    link = reset_link(client, db, settings, run_jobs, ada.email)
    with time_machine.travel(clock.now() + timedelta(seconds=5)):
        sign_in(app.test_client(), ada.email)

        assert client.get(link).headers["Location"] == "/password/forgotten"
        assert post(client, link, password=NEW, password_confirm=NEW).headers["Location"] == "/password/forgotten"
        assert sign_in(app.test_client(), ada.email).status_code == 303


def test_a16_reset_link_is_dead_after_a_password_change(app, client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    ada = people.person(db, now=now)
    link = reset_link(client, db, settings, run_jobs, ada.email)
    other = app.test_client()
    people.sign_in(other, ada)
    post(other, "/password/change", password=people.PASSWORD, new_password=NEW, new_password_confirm=NEW)

    assert post(client, link, password="other-password-1", password_confirm="other-password-1").headers["Location"] == "/password/forgotten"
    assert sign_in(client, ada.email, NEW).status_code == 303


def test_a16_reset_link_is_too_old_after_two_hours(client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    ada = people.person(db, now=now)
    link = reset_link(client, db, settings, run_jobs, ada.email)
    with time_machine.travel(clock.now() + timedelta(hours=2, minutes=1)):
        assert client.get(link).headers["Location"] == "/password/forgotten"


def test_a16_reset_link_of_another_changes_the_other_alone(client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    ada, eve = people.person(db, now=now), people.person(db, now=now)
    link = reset_link(client, db, settings, run_jobs, eve.email)
    people.sign_in(client, ada)
    post(client, link, password=NEW, password_confirm=NEW, email=ada.email, user_id=str(ada.id))

    assert sign_in(client.application.test_client(), ada.email).status_code == 303
    assert sign_in(client.application.test_client(), eve.email, NEW).status_code == 303


def test_a16_forged_host_is_refused_and_never_in_a_link(client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    ada = people.person(db, now=now)
    form = people.csrf(client) | {"email": ada.email}
    assert client.post("/password/forgotten", data=form, headers={"Host": "evil.example"}).status_code == 400
    assert client.post("/password/forgotten", data=form, headers={"X-Forwarded-Host": "evil.example"}).status_code == 303
    run_jobs()

    letters = mails(db, settings, ada.email)
    assert len(letters) == 1
    assert "evil.example" not in letters[0]
    assert "http://127.0.0.1:8000/password/new/" in letters[0].replace("=\n", "")


def test_reset_confirms_an_address_that_was_not(client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    ada = people.person(db, is_confirmed=False, now=now)
    link = reset_link(client, db, settings, run_jobs, ada.email)
    post(client, link, password=NEW, password_confirm=NEW)

    assert sign_in(client, ada.email, NEW).headers["Location"] == "/"
    assert is_signed_in(client)


def test_new_confirmation_link_goes_to_those_who_need_one(client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    waiting = people.person(db, is_confirmed=False, now=now)
    done = people.person(db, now=now)
    for email in (waiting.email, done.email, "unknown@example.org"):
        assert post(client, "/confirm", email=email).headers["Location"] == "/sign-in"
    run_jobs()

    assert mails(db, settings, done.email) == []
    assert post(client, link_in(mails(db, settings, waiting.email)[0])).headers["Location"] == "/sign-in"
    assert sign_in(client, waiting.email).headers["Location"] == "/"


def test_personal_links_are_not_kept_in_the_database(client: FlaskClient, db: Session, settings: Settings, run_jobs, now: datetime) -> None:
    ada = people.person(db, now=now)
    token = reset_link(client, db, settings, run_jobs, ada.email).rpartition("/")[2]

    kept = db.execute(text("SELECT coalesce(body, '') || context::text FROM message")).scalars().all()
    assert kept == ["{}"]
    assert not any(token in row for row in kept)
