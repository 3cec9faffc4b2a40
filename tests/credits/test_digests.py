"""One mail a day, in everybody's own morning, with what is new, to whom it concerns; and never two."""

import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from portal.core.access import Role
from portal.core.database import transaction
from portal.core.quantities import credits_ucr
from portal.credits.operations import digests, expiry, meters, transfers, watches
from portal.credits.rules.thresholds import NOTHING, Watch
from portal.identity.operations import people as accounts
from portal.projects.operations import members
from portal.projects.states import MemberRole
from tests.credits.access_matrix import make_wallet
from tests.credits.test_races import in_parallel
from tests.factories import credits as make
from tests.factories import identity as people
from tests.queries import count_queries

DAY = timedelta(days=1)


@pytest.fixture
def now() -> datetime:
    """Give Monday 23 November 2026, 07:00 in Casablanca (UTC by then)."""
    return datetime(2026, 11, 23, 7, 0, tzinfo=UTC)


def wallet_of(db: Session, owner: people.PersonCard, now: datetime) -> uuid.UUID:
    """Open a wallet with 100 credits for thirty days that the owner leads."""
    return uuid.UUID(make_wallet(db, owner.id, now)["ref"])


def zone(db: Session, person: people.PersonCard, name: str) -> None:
    db.execute(text("UPDATE person SET zone = :zone WHERE id = :id"), {"zone": name, "id": person.id})


def mails(db: Session, person: people.PersonCard | None = None) -> list[dict[str, object]]:
    """Return the contexts of digests, oldest first."""
    query = "SELECT context FROM message WHERE kind = 'credits.digest' AND (CAST(:id AS uuid) IS NULL OR recipient_id = :id) ORDER BY id"
    return list(db.execute(text(query), {"id": person.id if person else None}).scalars())


def kinds(context: dict[str, object]) -> list[tuple[str, list[str]]]:
    return [(wallet["project"], [one["kind"] for one in wallet["warnings"]]) for wallet in context["wallets"]]  # type: ignore[attr-defined]


def spend(db: Session, wallet_id: uuid.UUID, credits_used: int, *, at: datetime) -> None:
    """Run a session of four credits an hour in the past, and settle it."""
    rate = credits_ucr(credits_used) * 4
    session_id = make.meter(db, wallet_id, now=at, rate_ucr_per_hour=rate)
    end = at + timedelta(minutes=15)
    meters.settle(db, session_id=session_id, generation=1, proven_s=900, ended_at=end, now=end)


def test_a_lead_hears_without_a_click_of_a_lot_that_ends_unused_and_a_member_does_not(db: Session, now: datetime) -> None:
    lead, member = people.person(db, now=now), people.person(db, now=now)
    began = now - 20 * DAY
    wallet_id = wallet_of(db, lead, began)
    project_id = db.execute(text("SELECT project_id FROM wallet WHERE id = :id"), {"id": wallet_id}).scalar_one()
    members.add(db, project_id=project_id, person_id=member.id, role=MemberRole.MEMBER, by=lead.actor, now=now)

    digests.send_due(db, now=now)

    assert [kinds(one) for one in mails(db)] == [[("Darija speech", ["days_left", "lot_ending"])]]
    assert mails(db, lead)[0]["wallets"][0]["warnings"][1]["lost_ucr"] == credits_ucr(100)  # type: ignore[index]
    assert mails(db, member) == []


def test_everybody_hears_in_their_own_morning_and_once_a_day(db: Session, now: datetime) -> None:
    tetouan, kathmandu, los_angeles = (people.person(db, now=now) for _ in range(3))
    zone(db, kathmandu, "Asia/Kathmandu")
    zone(db, los_angeles, "America/Los_Angeles")
    for person in (tetouan, kathmandu, los_angeles):
        wallet_of(db, person, now - 20 * DAY)
    # Seven in the morning is 07:00 UTC in Tetouan, 01:15 in Kathmandu, 15:00 in Los Angeles.
    told: dict[uuid.UUID, list[datetime]] = {person.id: [] for person in (tetouan, kathmandu, los_angeles)}
    at = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)
    for _ in range(2 * 24 * 4):
        before = len(mails(db))
        digests.send_due(db, now=at)
        if len(mails(db)) > before:
            for id_ in db.execute(text("SELECT recipient_id FROM message WHERE kind = 'credits.digest' ORDER BY id OFFSET :n"), {"n": before}).scalars():
                told[id_].append(at)
        at += timedelta(minutes=15)

    expected = {tetouan.id: (7, 0), kathmandu.id: (1, 15)}
    assert {id_: [(one.hour, one.minute) for one in told[id_]] for id_ in expected} == {id_: [clock] for id_, clock in expected.items()}
    # It is still the afternoon of Sunday there when the world begins, and nobody had looked on that day.
    assert told[los_angeles.id] == [datetime(2026, 11, 23, 0, 0, tzinfo=UTC)]
    seen = {row.person_id: row.last_on for row in db.execute(text("SELECT person_id, last_on FROM credit_digest"))}
    assert seen[los_angeles.id].isoformat() == "2026-11-24"


def test_not_before_seven_and_a_run_that_was_missed_is_made_up(db: Session, now: datetime) -> None:
    lead = people.person(db, now=now)
    wallet_of(db, lead, now - 20 * DAY)
    assert digests.send_due(db, now=now - timedelta(minutes=1)) == 0
    assert mails(db) == []
    assert digests.send_due(db, now=now + timedelta(hours=5)) == 1
    assert digests.send_due(db, now=now + timedelta(hours=6)) == 0
    assert len(mails(db)) == 1


def test_a_change_of_clocks_gives_one_mail_a_day_at_seven(db: Session, now: datetime) -> None:
    person = people.person(db, now=now)
    zone(db, person, "Europe/Paris")
    wallet_id = wallet_of(db, person, now - 100 * DAY)
    watches.choose(db, wallet_id=wallet_id, watch=NOTHING, by=person.actor, now=now)
    seen = []
    at = datetime(2026, 10, 24, 0, 0, tzinfo=UTC)
    while at < datetime(2026, 10, 27, 0, 0, tzinfo=UTC):
        if digests.send_due(db, now=at):
            seen.append(at)
        at += timedelta(minutes=15)
    # Summer time ends on the 25th: 05:00 UTC before, 06:00 UTC after. The first look makes up for the day of the 23rd.
    assert [one.hour for one in seen][-2:] == [6, 6]
    assert len(seen) == 3


def test_a_crossing_is_told_once_until_it_recovered_and_crosses_again(db: Session, now: datetime) -> None:
    lead = people.person(db, now=now)
    wallet_id = wallet_of(db, lead, now - 2 * DAY)
    watches.choose(db, wallet_id=wallet_id, watch=Watch(below_ucr=credits_ucr(50)), by=lead.actor, now=now)

    def morning(days: int) -> int:
        digests.send_due(db, now=now + days * DAY)
        return len(mails(db))

    assert morning(0) == 0, "100 are not below 50"
    spend(db, wallet_id, 60, at=now + timedelta(hours=2))
    assert morning(1) == 1, "40 are"
    assert morning(2) == 1, "told once"
    more = make.lot(db, wallet_id, now=now + 2 * DAY, amount_ucr=credits_ucr(60))
    assert morning(3) == 1, "good news is no mail"
    other = make.wallet(db, now=now)
    transfers.transfer(
        db, transfer_id=uuid.uuid4(), lot_id=more, target_wallet_id=other, amount_ucr=credits_ucr(60), by=make.TESTS, now=now + 3 * DAY + timedelta(hours=1)
    )
    assert morning(4) == 2, "it crossed again"
    assert [kinds(one) for one in mails(db)] == [[("Darija speech", ["balance"])]] * 2


def test_all_wallets_of_a_person_are_in_one_mail_and_only_what_is_new(db: Session, now: datetime) -> None:
    lead = people.person(db, now=now)
    wallet_of(db, lead, now - 20 * DAY)
    digests.send_due(db, now=now)
    wallet_of(db, lead, now - 18 * DAY)
    wallet_of(db, lead, now - 19 * DAY)
    digests.send_due(db, now=now + DAY)
    first, second = mails(db, lead)
    assert [len(one["wallets"]) for one in (first, second)] == [1, 2]  # type: ignore[arg-type]


def test_each_kind_of_threshold_crosses_where_it_says(db: Session, now: datetime) -> None:
    lead = people.person(db, now=now)
    began = now - 25 * DAY
    busy = wallet_of(db, lead, began)
    for day in range(20):
        spend(db, busy, 4, at=began + day * DAY + timedelta(hours=3))
    # Eighty of a hundred were used, four a day until five days ago; the lot ends in five days.
    for watch, expected in (
        (Watch(below_ucr=credits_ucr(20)), []),
        (Watch(below_ucr=credits_ucr(20) + 1), ["balance"]),
        (Watch(used_percent=81), []),
        (Watch(used_percent=80), ["used"]),
        (Watch(days_left=5), []),
        (Watch(days_left=6), ["days_left"]),
        (Watch(lot_days=4, lot_over_ucr=0), []),
        (Watch(lot_days=5, lot_over_ucr=0), ["lot_ending"]),
        (Watch(lot_days=5, lot_over_ucr=credits_ucr(20)), []),
        (Watch(idle_days=6), []),
        (Watch(idle_days=5), ["idle"]),
        (NOTHING, []),
    ):
        db.execute(text("DELETE FROM credit_digest"))
        db.execute(text("DELETE FROM credit_warning"))
        db.execute(text("DELETE FROM message"))
        watches.choose(db, wallet_id=busy, watch=watch, by=lead.actor, now=now)
        digests.send_due(db, now=now)
        assert [kind for one in mails(db) for _, found in kinds(one) for kind in found] == expected, watch


def test_a_wallet_that_never_had_credits_says_nothing_and_one_without_any_left_says_so_once(db: Session, now: datetime) -> None:
    lead = people.person(db, now=now)
    wallet_id = wallet_of(db, lead, now - 40 * DAY)
    with time_machine.travel(now, tick=False):
        expiry.sweep(db, now=now)
    empty_id = make.wallet(db, now=now, name="Nothing yet")
    project_id = db.execute(text("SELECT project_id FROM wallet WHERE id = :id"), {"id": empty_id}).scalar_one()
    members.add(db, project_id=project_id, person_id=lead.id, role=MemberRole.LEAD, by=make.TESTS, now=now)
    for id_ in (wallet_id, empty_id):
        watches.choose(db, wallet_id=id_, watch=Watch(below_ucr=credits_ucr(5), days_left=14), by=lead.actor, now=now)
    digests.send_due(db, now=now)
    digests.send_due(db, now=now + DAY)
    assert [kinds(one) for one in mails(db)] == [[("Darija speech", ["balance", "days_left"])]]


def test_a_running_session_is_use(db: Session, now: datetime) -> None:
    lead = people.person(db, now=now)
    wallet_id = wallet_of(db, lead, now - 20 * DAY)
    watches.choose(db, wallet_id=wallet_id, watch=Watch(idle_days=10), by=lead.actor, now=now)
    make.meter(db, wallet_id, now=now - timedelta(minutes=5))
    digests.send_due(db, now=now)
    assert mails(db) == []


def test_switched_off_means_no_mail_and_on_again_brings_the_news(db: Session, now: datetime) -> None:
    lead = people.person(db, now=now)
    wallet_of(db, lead, now - 20 * DAY)
    watches.switch(db, is_off=True, by=lead.actor, now=now)
    digests.send_due(db, now=now)
    assert mails(db) == []
    watches.switch(db, is_off=False, by=lead.actor, now=now)
    digests.send_due(db, now=now + DAY)
    assert len(mails(db, lead)) == 1


def test_finance_hears_of_wallets_that_they_chose_and_nobody_of_what_they_may_no_longer_read(db: Session, now: datetime) -> None:
    lead, officer = people.person(db, now=now), people.person(db, roles=[Role.FINANCE], now=now)
    wallet_id = wallet_of(db, lead, now - 20 * DAY)
    watches.choose(db, wallet_id=wallet_id, watch=Watch(idle_days=3), by=officer.actor, now=now)
    digests.send_due(db, now=now)
    assert [kinds(one) for one in mails(db, officer)] == [[("Darija speech", ["idle"])]]

    db.execute(text("DELETE FROM credit_warning"))
    accounts.take_role(db, person_id=officer.id, role=Role.FINANCE, by=people.TESTS, now=now)
    db.execute(text("UPDATE project_member SET left_at = :now WHERE person_id = :id"), {"now": now, "id": lead.id})
    digests.send_due(db, now=now + DAY)
    assert (len(mails(db, officer)), len(mails(db, lead))) == (1, 1)


def test_suspended_people_and_closed_projects_hear_nothing(db: Session, now: datetime) -> None:
    suspended, closed = people.person(db, now=now), people.person(db, now=now)
    wallet_of(db, suspended, now - 20 * DAY)
    wallet_id = wallet_of(db, closed, now - 20 * DAY)
    db.execute(text("UPDATE person SET is_active = false, suspended_at = :now WHERE id = :id"), {"now": now, "id": suspended.id})
    closing = "UPDATE project SET is_open = false, closed_at = :now WHERE id = (SELECT project_id FROM wallet WHERE id = :id)"
    db.execute(text(closing), {"now": now, "id": wallet_id})
    digests.send_due(db, now=now)
    assert mails(db) == []


def test_the_number_of_statements_does_not_grow_with_people_and_wallets(db: Session, now: datetime) -> None:
    counts = []
    for day, more in enumerate((1, 1, 5)):
        at = now + day * DAY
        for _ in range(more):
            lead = people.person(db, now=at)
            for _ in range(more):
                wallet_id = wallet_of(db, lead, at - 20 * DAY)
                make.lot(db, wallet_id, now=at - 20 * DAY, classes=frozenset({"h100-slice-10"}))
                spend(db, wallet_id, 4, at=at - 2 * DAY)
        db.flush()
        with count_queries() as seen:
            digests.send_due(db, now=at)
        counts.append(len(seen))
    assert len(mails(db)) == 7
    assert counts[1] == counts[2], counts


def test_f16_two_workers_at_once_send_one_mail_each(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with transaction(own_sessions) as db:
        for _ in range(12):
            wallet_of(db, people.person(db, now=now), now - 20 * DAY)
    barrier = threading.Barrier(4)

    def work(db: Session) -> int:
        barrier.wait(timeout=20)
        return digests.send_due(db, now=now)

    results = in_parallel(own_sessions, [work] * 4, threads=4)
    assert sorted(results) == [0, 0, 0, 12]  # type: ignore[type-var]
    with transaction(own_sessions) as db:
        assert digests.send_due(db, now=now) == 0
        per_person = db.execute(text("SELECT count(*) FROM message WHERE kind = 'credits.digest' GROUP BY recipient_id")).scalars().all()
        assert per_person == [1] * 12


def test_f01_a_worker_killed_in_between_leaves_nothing_and_the_next_run_tells_it_all(own_sessions: sessionmaker[Session], now: datetime) -> None:
    with transaction(own_sessions) as db:
        wallet_of(db, people.person(db, now=now), now - 20 * DAY)
    with own_sessions() as db:
        assert digests.send_due(db, now=now) == 1
        db.rollback()
    with transaction(own_sessions) as db:
        assert mails(db) == []
        assert digests.send_due(db, now=now) == 1
        assert len(mails(db)) == 1


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", ("Credits of Darija speech", "At the present pace the credits last until", "likely lost", "switch this mail off")),
        ("fr", ("Crédits de Darija speech", "Au rythme actuel", "perdus", "désactivez")),
        ("ar", ("نقاط Darija speech", "بالوتيرة الحالية", "يضيع", "أوقفوا")),
    ],
)
def test_the_mail_reads_in_the_language_of_its_reader(db: Session, run_jobs, now: datetime, lang: str, words: tuple[str, ...]) -> None:
    lead = people.person(db, language=lang, display_name="Salma", now=now)
    wallet_id = wallet_of(db, lead, now - 20 * DAY)
    watches.choose(db, wallet_id=wallet_id, watch=Watch(credits_ucr(101), 30, 14, 0, 1, 10), by=lead.actor, now=now)
    spend(db, wallet_id, 2, at=now - 15 * DAY)
    digests.send_due(db, now=now)
    db.commit()
    run_jobs(only="notifications.deliver")
    sent = db.execute(text("SELECT subject, body FROM message WHERE kind = 'credits.digest'")).one()
    whole = f"{sent.subject}\n{sent.body}"
    for word in words:
        assert word in whole, whole
    assert len([line for line in sent.body.splitlines() if line.startswith("–")]) == 5
    assert "/wallets/warnings" in sent.body
    assert f"/wallets/{db.execute(text('SELECT slug FROM project LIMIT 1')).scalar_one()}" in sent.body


def test_the_job_looks_at_everybody_in_batches(db: Session, run_jobs, settings, session_maker, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    from portal.core.jobs import JobContext
    from portal.credits import jobs

    for _ in range(5):
        wallet_of(db, people.person(db, now=now), now - 20 * DAY)
    db.commit()
    monkeypatch.setattr(digests, "MOST_AT_ONCE", 2)
    with time_machine.travel(now, tick=False):
        jobs.send_digests(JobContext(sessions=session_maker, settings=settings))
    assert len(mails(db)) == 5
