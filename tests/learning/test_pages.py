"""The pages, over HTTP: what each shows to whom, what the buttons do, and how many statements they cost."""

import json
import re
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.core import clock
from portal.core.access import Role
from portal.learning import queries
from portal.learning.operations import enrolments
from tests.factories import identity as people
from tests.factories import learning
from tests.queries import count_queries

COURSE = f"/courses/{learning.SLUG}"
FIRST, SECOND = f"{COURSE}/lessons/{learning.FIRST}", f"{COURSE}/lessons/{learning.SECOND}"
LAB = f"{COURSE}/labs/{learning.LAB}"


@pytest.fixture
def present() -> datetime:
    """Give the real present: pages read the clock."""
    return clock.now()


def enrolled(db: Session, client: FlaskClient, present: datetime, **more):
    run, amina = learning.run(db, now=present, **more), people.person(db, now=present)
    enrolment_id = learning.learner(db, run.id, amina, now=present)
    db.commit()
    people.sign_in(client, amina)
    return run, amina, enrolment_id


def page(client: FlaskClient, path: str, *, status: int = 200, lang: str = "en") -> str:
    answer = client.get(path, headers={"Accept-Language": lang})
    assert answer.status_code == status, answer.get_data(as_text=True)[:2000]
    return answer.get_data(as_text=True)


def post(client: FlaskClient, path: str, **data):
    return client.post(path, data=people.csrf(client) | data)


def test_visitor_reads_the_catalogue_and_the_first_lesson(client: FlaskClient) -> None:
    catalogue = page(client, "/courses/")
    assert "GPU computing from zero" in catalogue
    assert "1 course" in re.sub(r"<[^>]*>", "", catalogue)
    assert f'href="{COURSE}"' in catalogue

    assert 'id="two-ways"' in page(client, FIRST)
    assert f'href="{SECOND}"' not in page(client, COURSE)
    closed = page(client, SECOND, status=403)
    assert "for those who take part" in closed
    assert "three-mistakes" not in closed
    assert page(client, f"{SECOND}/offline", status=403)


@pytest.mark.parametrize(
    ("query", "found"),
    [("words=المصفوفات", False), ("words=gpu", True), ("words=quantum", False), ("level=beginner&language=ar", True), ("level=advanced", False)],
)
def test_catalogue_is_searched(client: FlaskClient, query: str, found: bool) -> None:
    shown = page(client, f"/courses/?{query}")

    assert (f'href="{COURSE}"' in shown) is found
    assert ("Nothing matches" in shown) is not found


def test_catalogue_survives_strange_questions(client: FlaskClient) -> None:
    shown = page(client, "/courses/?words=%3Cscript%3Ealert(1)%3C/script%3E&level=x&language=%00&mark=1")

    assert "<script>alert(1)" not in shown


@pytest.mark.parametrize(
    "path",
    [
        "/courses/%2e%2e/x",
        "/courses/..%2f..%2fetc%2fpasswd",
        "/courses/gpu-from-zero%00",
        "/courses/gpu-from-zero/lessons/..%2f..%2fcourse.yaml",
        "/courses/gpu-from-zero/lessons/what-a-gpu-does%2f..%2fen.md",
        "/courses/gpu-from-zero/lessons/..\\..\\course.yaml",
        "/courses/gpu-from-zero/lessons/%252e%252e",
        "/courses/gpu-from-zero/lessons/what-a-gpu-does/figures/roofline.svg",
        "/courses/gpu-from-zero/course.yaml",
        "/courses/no-such-course",
        f"{FIRST}/../../course.yaml",
    ],
)
def test_a36_addresses_never_become_paths(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_lesson_stands_in_each_language_with_its_direction(client: FlaskClient) -> None:
    for lang, title, direction in [("en", "What a GPU does", "ltr"), ("fr", "Ce que fait un GPU", "ltr"), ("ar", "ماذا يفعل المعالج الرسومي", "rtl")]:
        shown = page(client, FIRST, lang=lang)
        assert f'<html lang="{lang}" dir="{direction}"' in shown
        assert title in shown
        assert f'<section class="prose" id="intensity" lang="{lang}" dir="{direction}">' in shown
        assert shown.count("<h1") == 1
    assert '<math dir="ltr"' in shown
    assert '<code dir="ltr">' not in re.findall(r"<pre.*?</pre>", shown, re.DOTALL)[0]
    assert "<bdi>H100</bdi>" in shown


def test_lesson_in_another_language_than_the_page(client: FlaskClient) -> None:
    shown = page(client, f"{FIRST}?lang=ar", lang="en")

    assert '<html lang="en" dir="ltr"' in shown
    assert '<div class="row" lang="ar" dir="rtl">' in shown
    assert f'href="{FIRST}?lang=fr"' in shown
    assert f'href="{FIRST}?lang=ar"' not in shown
    assert "Sections" not in shown
    assert '<html lang="en"' in page(client, f"{FIRST}?lang=xx", lang="en")


def test_offline_lesson_is_one_file(client: FlaskClient) -> None:
    answer = client.get(f"{FIRST}/offline?lang=ar")
    text_of_file = answer.get_data(as_text=True)

    assert answer.headers["Content-Disposition"] == 'attachment; filename="gpu-from-zero-what-a-gpu-does.ar.html"'
    assert '<html lang="ar" dir="rtl">' in text_of_file
    assert "<svg" in text_of_file
    assert re.findall(r"(?:src|href)=\"(?!#)([^\"]*)\"", text_of_file) == []
    assert "<script" not in text_of_file
    size = page(client, f"{FIRST}?lang=ar")
    assert f"{round(len(answer.data) / 1000)}" in re.sub(r"<[^>]*>", "", size)


def test_seat_is_taken_and_given_back(client: FlaskClient, db: Session, present: datetime) -> None:
    run, amina = learning.run(db, now=present, capacity=1), people.person(db, now=present)
    db.commit()
    assert "Sign in to take a seat" in page(client, COURSE)
    people.sign_in(client, amina)
    assert "Take a seat" in page(client, COURSE)

    form = people.csrf(client)
    answers = [client.post(f"/courses/runs/{run.id}/join", data=form) for _ in range(2)]  # the double click

    assert [(answer.status_code, answer.headers["Location"]) for answer in answers] == [(303, COURSE)] * 2
    shown = page(client, COURSE)
    assert "You have a seat" in shown
    assert "Your progress" in shown
    assert "three-mistakes" in page(client, SECOND)
    db.expire_all()
    assert queries.run_by_id(db, run.id, now=present).taken == 1

    assert post(client, f"/courses/runs/{run.id}/leave").status_code == 303
    assert "You have left the course" in page(client, COURSE)
    page(client, SECOND, status=403)


def test_full_run_says_so(client: FlaskClient, db: Session, present: datetime) -> None:
    run, idriss = learning.run(db, now=present, capacity=1), people.person(db, now=present)
    learning.learner(db, run.id, people.person(db, now=present), now=present)
    db.commit()
    people.sign_in(client, idriss)

    assert "All seats are taken" in page(client, COURSE)
    assert post(client, f"/courses/runs/{run.id}/join").status_code == 303
    assert "All 1 seats of this course run are taken" in re.sub(r"<[^>]*>", "", page(client, COURSE))


def test_reading_to_the_end(client: FlaskClient, db: Session, present: datetime) -> None:
    _, _, enrolment_id = enrolled(db, client, present)

    page(client, FIRST)
    first = post(client, f"{FIRST}/done", lang="ar")
    second = post(client, f"{SECOND}/done")

    assert first.headers["Location"] == f"{SECOND}?lang=ar"
    assert second.headers["Location"] == COURSE
    assert set(queries.standing_of(db, enrolment_id).finished) == {learning.FIRST, learning.SECOND}
    assert "You read this lesson on" in page(client, FIRST)
    assert "2 of 3 steps" in re.sub(r"<[^>]*>", "", page(client, COURSE))


def test_lab_shows_everything_before_its_button(client: FlaskClient, db: Session, present: datetime) -> None:
    learning.local_pool(db, now=present)
    enrolled(db, client, present)

    for path in (LAB, SECOND, COURSE):
        card = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.search(r'<section class="card lab".*?</section>', page(client, path), re.DOTALL)[0]))
        for words in ("Estimated cost 2.00 credits", "Free credits of the course 20.00 credits", "Energy, estimated 0.06 kWh", "Starts now", "Start the lab"):
            assert words in card.replace("\u202f", " "), (path, words, card)


def test_lab_launch_leads_to_the_session_and_happens_once(client: FlaskClient, db: Session, present: datetime) -> None:
    learning.local_pool(db, now=present)
    _, amina, enrolment_id = enrolled(db, client, present)
    form = people.csrf(client) | {"lang": "fr"}

    answers = [client.post(f"{LAB}/launch", data=form) for _ in range(2)]

    number = db.execute(text("SELECT number FROM compute_session WHERE person_id = :id"), {"id": amina.id}).scalar_one()
    assert [(answer.status_code, answer.headers["Location"]) for answer in answers] == [(303, f"/sessions/{number}")] * 2
    assert db.execute(text("SELECT path FROM session_file")).scalars().all() == ["courses/gpu-from-zero/measure-it.fr.ipynb"]
    assert db.execute(text("SELECT task_name FROM procrastinate_jobs WHERE task_name = 'compute.start_session'")).scalars().all() == ["compute.start_session"]
    assert [one.number for one in queries.standing_of(db, enrolment_id).sessions[learning.LAB]] == [number]
    shown = page(client, LAB)
    assert "Go to the session" in shown
    assert "Start the lab" not in shown


def test_lab_without_credits_has_no_button_and_a_post_is_refused_in_words(client: FlaskClient, db: Session, present: datetime) -> None:
    learning.local_pool(db, now=present)
    enrolled(db, client, present, credits_given=0)

    shown = page(client, LAB)
    assert "Start the lab" not in shown
    assert "do not cover this lab" in shown
    answer = post(client, f"{LAB}/launch")

    assert (answer.status_code, answer.headers["Location"]) == (303, LAB)
    assert 'role="alert"' in page(client, LAB)
    assert db.execute(text("SELECT count(*) FROM compute_session")).scalar_one() == 0


def test_lab_before_the_first_day(client: FlaskClient, db: Session, present: datetime) -> None:
    learning.local_pool(db, now=present)
    enrolled(db, client, present, starts_in_days=2)

    assert "from its first day to its last" in page(client, LAB)
    assert post(client, f"{LAB}/launch").headers["Location"] == LAB
    assert "open on the first day" in page(client, LAB)


def test_lab_of_an_empty_pool(client: FlaskClient, db: Session, present: datetime) -> None:
    enrolled(db, client, present)

    assert "Not offered now" in page(client, LAB)


def test_stranger_sees_the_price_and_starts_nothing(client: FlaskClient, db: Session, present: datetime) -> None:
    learning.local_pool(db, now=present)
    learning.run(db, now=present)
    people.sign_in(client, people.person(db, now=present))
    db.commit()

    shown = page(client, LAB)
    assert "Estimated cost" in shown
    assert "Free credits of the course" not in shown
    assert post(client, f"{LAB}/launch").status_code == 404
    assert client.get(f"{LAB}/notebook").status_code == 404
    assert post(client, f"{SECOND}/done").status_code == 404


def test_notebook_is_given_in_the_language_asked_for(client: FlaskClient, db: Session, present: datetime) -> None:
    enrolled(db, client, present)

    answer = client.get(f"{LAB}/notebook?lang=ar")

    assert answer.headers["Content-Type"] == "application/x-ipynb+json"
    assert json.loads(answer.data)["metadata"]["hub"]["language"] == "ar"


def test_instructor_opens_a_run_and_sees_who_takes_part(client: FlaskClient, db: Session, present: datetime) -> None:
    teacher, amina = people.person(db, roles=[Role.INSTRUCTOR], now=present), people.person(db, display_name="أمينة بنعلي", now=present)
    db.commit()
    people.sign_in(client, teacher)
    assert "No course run yet" in page(client, "/courses/runs")
    days = {"starts_on": f"{present:%Y-%m-%d}", "ends_on": f"{present + timedelta(days=20):%Y-%m-%d}", "capacity": "12", "language": "ar"}

    refused = post(client, f"/courses/runs/new/{learning.SLUG}", **(days | {"ends_on": "2020-01-01"}))
    assert refused.status_code == 422
    assert "would end before it starts" in refused.get_data(as_text=True)
    opened = post(client, f"/courses/runs/new/{learning.SLUG}", **days)

    assert opened.status_code == 303
    run_path = opened.headers["Location"]
    shown = page(client, run_path)
    assert "Nobody yet" in shown
    assert "no free credits" in shown
    run_id = db.execute(text("SELECT id FROM course_run")).scalar_one()
    learning.learner(db, run_id, amina, now=present)
    db.commit()
    assert "أمينة بنعلي" in page(client, run_path)
    assert "three-mistakes" in page(client, SECOND)  # who teaches reads everything
    assert post(client, f"{run_path}/joining/close").status_code == 303
    assert "closed" in page(client, run_path)
    assert post(client, f"{run_path}/joining/sideways").status_code == 404


@pytest.mark.parametrize(("roles", "status"), [([Role.INSTRUCTOR], 404), ([Role.STAFF], 200)])
def test_run_of_another_instructor(client: FlaskClient, db: Session, present: datetime, roles: list[Role], status: int) -> None:
    owner, other = people.person(db, roles=[Role.INSTRUCTOR], now=present), people.person(db, roles=roles, now=present)
    run = learning.run(db, by=owner.actor, now=present)
    db.commit()
    people.sign_in(client, other)

    page(client, f"/courses/runs/{run.slug}", status=status)
    assert (run.slug in page(client, "/courses/runs")) is (status == 200)
    assert post(client, f"/courses/runs/{run.slug}/joining/close").status_code == (404 if status == 404 else 303)


def test_pages_cost_the_same_with_one_row_and_with_three(client: FlaskClient, db: Session, present: datetime) -> None:
    learning.local_pool(db, now=present)
    staff = people.person(db, roles=[Role.STAFF], now=present)
    run = learning.run(db, now=present)
    paths = ["/courses/", COURSE, SECOND, LAB, "/courses/runs", f"/courses/runs/{run.slug}"]
    costs = []
    for rows in (1, 2):
        for _ in range(rows):
            learning.learner(db, run.id, people.person(db, now=present), now=present)
            learning.run(db, now=present)
        db.commit()
        people.sign_in(client, staff)
        for path in paths:
            page(client, path)  # what is kept by content is there the second time
        seen = []
        for path in paths:
            with count_queries() as statements:
                page(client, path)
            seen.append(len(statements))
        costs.append(seen)

    assert costs[0] == costs[1]
    assert max(costs[0]) <= 10, dict(zip(paths, costs[0], strict=True))


def test_pages_of_a_learner_cost_at_most_ten_statements(client: FlaskClient, db: Session, present: datetime) -> None:
    learning.local_pool(db, now=present)
    enrolled(db, client, present)
    post(client, f"{LAB}/launch")
    for path in ("/courses/", COURSE, FIRST, SECOND, LAB):
        page(client, path)
        with count_queries() as statements:
            page(client, path)
        assert len(statements) <= 10, (path, [one[:90] for one in statements.statements])


def test_learners_are_paged(client: FlaskClient, db: Session, present: datetime) -> None:
    run, staff = learning.run(db, now=present, capacity=40), people.person(db, roles=[Role.STAFF], now=present)
    for number in range(27):
        learning.learner(db, run.id, people.person(db, display_name=f"Learner {number:02d}", now=present), now=present)
    gone = people.person(db, display_name="Learner gone", now=present)
    learning.learner(db, run.id, gone, now=present)
    enrolments.leave(db, run_id=run.id, by=gone.actor, now=present)
    db.commit()
    people.sign_in(client, staff)

    first = page(client, f"/courses/runs/{run.slug}")
    following = re.search(r'rel="next" href="([^"]+)"', first)[1].replace("&amp;", "&")
    names = re.findall(r"Learner (?:\d\d|gone)", first) + re.findall(r"Learner (?:\d\d|gone)", page(client, following))

    assert names == [f"Learner {number:02d}" for number in range(27)] + ["Learner gone"]
