"""F32: prices that change while sessions run: the window that is held keeps its price, the next one has the new one, with notice."""

import os
import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session, sessionmaker

from portal.compute.models import Profile
from portal.compute.operations import prices, watch
from portal.core import jobs
from portal.core.jobs import JobContext
from portal.core.quantities import charge_ucr, credits_ucr
from portal.credits import queries as ledger
from portal.credits import verify
from portal.credits.operations import meters
from portal.notifications.rendering import MailRenderer
from tests.conftest import ROOT, TEST_ENVIRONMENT
from tests.factories import compute as make
from tests.factories import identity as people
from tests.queries import count_queries

FULL = "h100-full"
OLD, NEW = credits_ucr(28), credits_ucr(36)


def publish(db: Session, rate_ucr: int, *, starts_at: datetime, now: datetime, profile: str = FULL) -> uuid.UUID:
    """Publish a price, as an administrator does."""
    profile_id = db.execute(select(Profile.id).where(Profile.slug == profile)).scalar_one()
    return prices.set_price(db, profile_id=profile_id, rate_ucr_per_hour=rate_ucr, starts_at=starts_at, by=make.TESTS, now=now)


def follow(db: Session, now: datetime) -> int:
    """Do what the job does: tell, then bring; return how many sessions change."""
    while prices.tell(db, now=now):
        pass
    return prices.bring(db, by=make.TESTS, now=now)


def live(db: Session, plugin: make.Plugin, now: datetime, minutes: range) -> None:
    """Let minutes pass: evidence arrives, prices are followed, windows roll."""
    for minute in minutes:
        at = now + timedelta(minutes=minute)
        make.deliver(db, [plugin.seen(minute * 60)], now=at)
        follow(db, at)
        watch.roll(db, by=make.TESTS, now=at)


def letters(db: Session) -> list[tuple[int, int, str]]:
    """Return the notices that were written: old price, new price, beginning."""
    rows = db.execute(text("SELECT context FROM message WHERE kind = 'compute.price_changing' ORDER BY id")).scalars()
    return [(row["old_ucr"], row["new_ucr"], row["begins_at"]) for row in rows]


def parts_of(db: Session, by: make.Spender, session_id: uuid.UUID, now: datetime) -> tuple[list[tuple[int, int]], int]:
    """Return seconds and price of each part of the session's line on the statement, and its amount."""
    lines = ledger.statement(db, by.wallet_id, starts_at=now, ends_at=now + timedelta(days=1), now=now + timedelta(days=1)).lines
    (line,) = [line for line in lines if line.session_id == session_id]
    return [(part.duration_s, part.rate_ucr_per_hour) for part in line.prices], line.amount_ucr


def assert_sound(db: Session, now: datetime) -> None:
    db.flush()
    assert [result.first_bad for result in verify.run(db, now=now) if not result.holds] == []


@pytest.mark.parametrize("new", [NEW, credits_ucr(20)])
def test_f32_the_held_window_keeps_its_price_the_next_has_the_new_one_and_the_statement_shows_both(db: Session, now: datetime, new: int) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now, profile=FULL, duration_s=7200)
    live(db, plugin, now, range(1, 3))
    changed_at = now + timedelta(minutes=3)
    publish(db, new, starts_at=changed_at, now=changed_at)

    live(db, plugin, now, range(3, 40))
    make.deliver(db, [plugin.exited(2405)], now=now + timedelta(seconds=2406))

    expected = charge_ucr(OLD, 900) + charge_ucr(new, 2405 - 900)
    assert parts_of(db, ada, session_id, now) == ([(900, OLD), (1505, new)], -expected)
    cost = ledger.session_costs(db, [session_id], now=now + timedelta(hours=3))[session_id]
    assert (cost.cost_ucr, [(part.duration_s, part.rate_ucr_per_hour) for part in cost.prices]) == (expected, [(900, OLD), (1505, new)])
    assert letters(db) == [(OLD, new, changed_at.isoformat())]
    assert_sound(db, now + timedelta(hours=3))


def test_f32_a_price_of_later_is_told_at_once_and_counts_from_the_first_window_held_after_its_beginning(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now, profile=FULL, duration_s=7200)
    begins_at = now + timedelta(minutes=31)
    publish(db, NEW, starts_at=begins_at, now=now)

    assert follow(db, now) == 0
    assert letters(db) == [(OLD, NEW, begins_at.isoformat())]
    live(db, plugin, now, range(1, 50))

    make.deliver(db, [plugin.exited(3000)], now=now + timedelta(seconds=3001))
    assert parts_of(db, ada, session_id, now)[0] == [(2700, OLD), (300, NEW)]
    assert_sound(db, now + timedelta(hours=3))


def test_f32_published_twice_and_followed_many_times_is_one_change_and_one_letter(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    make.running(db, ada, now=now, profile=FULL)
    at = now + timedelta(minutes=1)

    first = publish(db, NEW, starts_at=at, now=at)
    assert publish(db, NEW, starts_at=at, now=at) == first

    assert [follow(db, at), follow(db, at), follow(db, at + timedelta(minutes=1))] == [1, 0, 0]
    assert len(letters(db)) == 1
    assert db.execute(text("SELECT count(*) FROM audit_event WHERE action = 'repriced'")).scalar_one() == 1


def test_f32_a_price_taken_back_before_its_window_leaves_one_price_on_the_statement(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now, profile=FULL, duration_s=7200)
    for minute, rate in ((1, NEW), (2, OLD)):
        publish(db, rate, starts_at=now + timedelta(minutes=minute), now=now + timedelta(minutes=minute))
        follow(db, now + timedelta(minutes=minute))

    live(db, plugin, now, range(3, 30))
    make.deliver(db, [plugin.exited(1800)], now=now + timedelta(seconds=1801))

    assert parts_of(db, ada, session_id, now)[0] == [(1800, OLD)]
    assert [letter[:2] for letter in letters(db)] == [(OLD, NEW), (NEW, OLD)]


def test_f32_two_prices_at_once_are_told_both_and_hold_one_after_the_other(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now, profile=FULL, duration_s=7200)
    publish(db, NEW, starts_at=now + timedelta(minutes=1), now=now)
    publish(db, credits_ucr(40), starts_at=now + timedelta(minutes=16), now=now)

    live(db, plugin, now, range(1, 59))
    make.deliver(db, [plugin.exited(3500)], now=now + timedelta(seconds=3501))

    assert parts_of(db, ada, session_id, now)[0] == [(900, OLD), (900, NEW), (1700, credits_ucr(40))]
    assert [letter[:2] for letter in letters(db)] == [(OLD, NEW), (NEW, credits_ucr(40))]


def test_f32_only_sessions_of_that_machine_that_live_and_reach_the_price_are_told(db: Session, now: datetime) -> None:
    make.small_pool(db, now=now, full=3)
    ada, ben, cleo, dina = (make.spender(db, now=now) for _ in range(4))
    _, ended = make.running(db, ada, now=now, profile=FULL)
    make.deliver(db, [ended.exited(60)], now=now + timedelta(seconds=60))
    make.running(db, ben, now=now, profile="h100-slice-10")
    make.running(db, cleo, now=now, profile=FULL, duration_s=3600)
    make.running(db, dina, now=now, profile=FULL, duration_s=7200)

    at = now + timedelta(minutes=2)
    publish(db, NEW, starts_at=now + timedelta(minutes=90), now=at)
    follow(db, at)

    addresses = db.execute(text("SELECT address FROM message WHERE kind = 'compute.price_changing'")).scalars().all()
    assert addresses == [dina.person.email]


def test_f32_a_session_requested_after_the_publication_is_told_as_well(db: Session, now: datetime) -> None:
    ada = make.spender(db, now=now)
    make.small_pool(db, now=now)
    publish(db, NEW, starts_at=now + timedelta(minutes=30), now=now)
    follow(db, now)

    make.running(db, ada, now=now, profile=FULL)
    follow(db, now + timedelta(minutes=1))

    assert len(letters(db)) == 1


def test_f32_the_number_of_statements_does_not_grow_with_the_sessions(db: Session, now: datetime) -> None:
    make.small_pool(db, now=now, full=6)
    counts = []
    for number, sessions in enumerate((1, 5)):
        at = now + timedelta(minutes=number)
        for _ in range(sessions):
            make.running(db, make.spender(db, now=at), now=at, profile=FULL)
        at += timedelta(seconds=30)
        publish(db, NEW + number, starts_at=at, now=at)
        db.flush()
        with count_queries() as seen:
            follow(db, at)
            db.flush()
        counts.append(len(seen))
    assert counts[0] == counts[1]
    assert len(letters(db)) == 1 + 6


def test_f32_two_workers_at_once_tell_once_and_change_once(own_sessions: sessionmaker[Session], now: datetime) -> None:
    at = now + timedelta(minutes=1)
    with own_sessions() as db, db.begin():
        make.small_pool(db, now=now, full=4)
        for _ in range(4):
            make.running(db, make.spender(db, now=now), now=now, profile=FULL)
        publish(db, NEW, starts_at=at, now=at)
    context = JobContext(sessions=own_sessions, settings=None, resources={})  # type: ignore[arg-type]
    barrier, problems = threading.Barrier(4), []

    def go() -> None:
        barrier.wait()
        try:
            with context.transaction() as db:
                prices.tell(db, now=at)
            with context.transaction() as db:
                prices.bring(db, by=make.TESTS, now=at)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=go) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

    with own_sessions() as db, db.begin():
        assert problems == []
        # A worker that came while another was telling finds the sessions told, or leaves them to it; nobody is changed untold.
        follow(db, at)
        assert len(letters(db)) == 4
        assert db.execute(text("SELECT count(*) FROM audit_event WHERE action = 'repriced'")).scalar_one() == 4
        assert db.execute(text("SELECT array_agg(DISTINCT next_rate_ucr_per_hour) FROM meter")).scalar_one() == [NEW]


def test_f32_the_reconciler_follows_prices_before_it_rolls(db: Session, now: datetime, at, hub, session_maker, settings) -> None:
    ada = make.spender(db, now=now)
    session_id, plugin = make.running(db, ada, now=now, profile=FULL, duration_s=7200)
    publish(db, NEW, starts_at=now + timedelta(minutes=1), now=now + timedelta(minutes=1))
    db.execute(text("DELETE FROM procrastinate_jobs WHERE task_name = 'compute.follow_prices'"))
    make.deliver(db, [plugin.seen(660)], now=now + timedelta(minutes=11))
    db.commit()
    at.move_to(now + timedelta(minutes=11))

    jobs.REGISTRY["compute.reconcile"].function(JobContext(sessions=session_maker, settings=settings, resources={"hub": hub}))

    cost = ledger.session_costs(db, [session_id], now=now + timedelta(minutes=12))[session_id]
    assert (cost.rate_ucr_per_hour, cost.next_rate_ucr_per_hour, cost.next_rate_at) == (OLD, NEW, now + timedelta(minutes=15))
    assert len(letters(db)) == 1


def test_an_allowance_counts_a_live_session_at_the_higher_of_its_prices(db: Session, now: datetime) -> None:
    from portal.compute.queries.allowances import allowance_of

    ada = make.spender(db, now=now)
    make.running(db, ada, now=now, profile=FULL, duration_s=3600)
    publish(db, NEW, starts_at=now + timedelta(minutes=1), now=now + timedelta(minutes=1))
    assert allowance_of(db, ada.project_id, ada.person.id, now=now).used_ucr == OLD

    follow(db, now + timedelta(minutes=1))

    assert allowance_of(db, ada.project_id, ada.person.id, now=now + timedelta(minutes=1)).used_ucr == NEW


def test_a_price_that_the_ledger_cannot_take_is_refused(db: Session, now: datetime) -> None:
    make.small_pool(db, now=now)
    for rate in (0, -1, 10**13):
        with pytest.raises(meters.BadRate):
            publish(db, rate, starts_at=now, now=now)


@pytest.mark.parametrize(("language", "word"), [("en", "From"), ("fr", "À partir du"), ("ar", "وابتداءً من")])
def test_f32_the_notice_says_both_prices_and_when(app: Flask, db: Session, now: datetime, language: str, word: str) -> None:
    ada = make.spender(db, now=now)
    make.running(db, ada, now=now, profile=FULL, label="Tokeniser")
    at = now + timedelta(minutes=1)
    publish(db, NEW, starts_at=at, now=at)
    follow(db, at)
    context = db.execute(text("SELECT context FROM message WHERE kind = 'compute.price_changing'")).scalar_one()

    mail = MailRenderer(app)("compute.price_changing", context, language=language, zone="Africa/Casablanca")

    assert mail.subject
    for words in ("Tokeniser", "Darija speech", "28", "36", word, f"/sessions/{context['number']}"):
        assert words in mail.text, words


def test_f32_the_sessions_page_says_the_change_before_and_after(client: FlaskClient, db: Session, now: datetime, at) -> None:
    ada = make.spender(db, now=now)
    people.sign_in(client, ada.person)
    session_id, plugin = make.running(db, ada, now=now, profile=FULL, duration_s=7200)
    publish(db, NEW, starts_at=now + timedelta(minutes=20), now=now)
    follow(db, now)
    db.commit()
    path = f"/sessions/{make.row_of(db, session_id).number}"
    at.move_to(now + timedelta(minutes=1))
    before = client.get(path).get_data(as_text=True)
    assert "The price changes at" in before

    live(db, plugin, now, range(2, 35))
    db.commit()
    at.move_to(now + timedelta(minutes=35))
    after = client.get(path).get_data(as_text=True)
    assert "The price changes at" not in after
    assert "36.00" in after
    make.deliver(db, [plugin.exited(2100)], now=now + timedelta(minutes=35))
    db.commit()
    receipt = client.get(path).get_data(as_text=True)
    assert "The price changed while the session ran" in receipt
    assert ("1\u202f800" in receipt, "300" in receipt) == (True, True)


def test_f32_the_launch_page_says_that_prices_may_change_and_the_one_that_will(client: FlaskClient, db: Session, now: datetime, at) -> None:
    ada = make.spender(db, now=now)
    make.small_pool(db, now=now)
    people.sign_in(client, ada.person)
    db.commit()
    plain = client.get(f"/sessions/new?profile={FULL}&hours=1").get_data(as_text=True)
    assert ("the new price counts from the next 15 minutes" in plain, "an hour of this machine costs" in plain) == (True, False)

    publish(db, NEW, starts_at=now + timedelta(minutes=90), now=now)
    db.commit()

    one, two = (client.get(f"/sessions/new?profile={FULL}&hours={hours}").get_data(as_text=True) for hours in (1, 2))
    assert ("an hour of this machine costs" in one, "an hour of this machine costs" in two) == (False, True)


def test_the_command_publishes_a_price_and_refuses_what_it_cannot_read(own_sessions: sessionmaker[Session], own_database: Engine, now: datetime) -> None:
    with own_sessions() as db, db.begin():
        make.small_pool(db, now=now)
    environment = TEST_ENVIRONMENT | {"PATH": os.environ["PATH"], "DATABASE_URL": own_database.url.render_as_string(hide_password=False)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "portal.cli", "price", "set", *arguments]
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    done = run(FULL, "30.5", "--from", "2030-01-01T00:00+01:00")
    answers = [
        run("no-such-machine", "30"),
        run(FULL, "cheap"),
        run(FULL, "30", "--from", "2030-01-01T00:00"),
        run(FULL, "30", "--from", "2020-01-01T00:00+01:00"),
    ]

    assert (done.returncode, done.stderr) == (0, "")
    assert [answer.returncode for answer in answers] == [1, 1, 1, 1]
    with own_sessions() as db:
        rows = db.execute(text("SELECT rate_ucr_per_hour, starts_at FROM price_version WHERE ends_at IS NULL AND rate_ucr_per_hour = 30500000")).all()
        assert rows == [(30_500_000, datetime(2029, 12, 31, 23, tzinfo=UTC))]
