"""F01, F02: kill −9 at every point of every booking. Points are not listed by hand: a dry run counts the statements.

For each command a process is killed before each of its statements, before the commit, and after it, before anybody
hears of it. Then the command is given again, twice. The state must be that of a run without a crash, and the ledger
must verify. The last test fails when a kind of booking that the ledger knows was never crashed in.
"""

import os
import re
import signal
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import NullPool, event, text
from sqlalchemy.orm import Session, sessionmaker

from portal.compute.operations import endings, incidents, observations, sessions
from portal.compute.queries.incidents import incident_by_number, touched
from portal.compute.states import IncidentKind, StopCause
from portal.core import database
from portal.core.access import Actor, Role
from portal.core.database import transaction
from portal.core.errors import DomainError
from portal.core.ids import new_id
from portal.core.quantities import credits_ucr
from portal.credits.operations import (
    adjustments,
    corrections,
    days,
    debts,
    expiry,
    grants,
    meters,
    months,
    purchases,
    requests,
    revocations,
    seal,
    transfers,
)
from portal.credits.states import Currency
from portal.factory import load_jobs
from portal.payments.operations import bank_transfers, refunds, settlements
from portal.payments.operations.bank_transfers import BankLine
from portal.payments.rules.observations import DisputeOutcome, Observation, Paying, RefundOutcome, SeenDispute, SeenRefund
from portal.payments.states import Method
from tests.credits.conftest import check
from tests.factories import compute as pool
from tests.factories import credits as make
from tests.factories import identity as people
from tests.factories import payments as shop

load_jobs()
Sessions = sessionmaker[Session]
World = dict[str, Any]
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Command:
    """What is prepared, what is done, and when."""

    prepare: Callable[[Session, datetime], World]
    act: Callable[[Session, World, datetime], object]
    later: timedelta = timedelta()


def _wallet(db: Session, now: datetime, *, credits_: int = 100, days_: float = 30) -> World:
    wallet_id = make.wallet(db, now=now)
    lot_id = make.lot(db, wallet_id, now=now, amount_ucr=credits_ucr(credits_), days=days_)
    return {"wallet": wallet_id, "lot": lot_id, "id": new_id(), "session": new_id()}


def _running(db: Session, now: datetime, **more: Any) -> World:
    world = _wallet(db, now, **more)
    make.meter(db, world["wallet"], now=now, session_id=world["session"])
    return world


def _proven(minutes: int) -> Callable[[Session, datetime], World]:
    def prepare(db: Session, now: datetime) -> World:
        world = _running(db, now)
        meters.record_proven(db, [make.proven(world["session"], started_at=now, proven_s=60 * minutes)], now=now + timedelta(minutes=minutes))
        return world

    return prepare


def _settled(db: Session, now: datetime) -> World:
    world = _running(db, now)
    _settle(db, world, now)
    return world


def _settle(db: Session, world: World, now: datetime, proven_s: int = 800) -> None:
    meters.settle(db, session_id=world["session"], generation=1, proven_s=proven_s, ended_at=now + timedelta(seconds=proven_s), now=now + HOUR)


def _two_wallets(db: Session, now: datetime) -> World:
    return _wallet(db, now) | {"other": make.wallet(db, now=now)}


def _lent(db: Session, now: datetime) -> World:
    world = _two_wallets(db, now)
    terms = {"lot_id": world["lot"], "target_wallet_id": world["other"], "amount_ucr": credits_ucr(9), "by": make.TESTS, "now": now}
    transfers.lend(db, loan_id=world["id"], returns_at=now + HOUR, **terms)
    return world


def _bought(db: Session, now: datetime, *, spent: int = 0) -> World:
    """A purchase by card that waits for its money; with `spent`, one whose credits are paid and partly used."""
    if db.execute(text("SELECT count(*) FROM price_list")).scalar_one() == 0:
        shop.price_list(db, now=now - timedelta(days=2))
    buyer = people.person(db, now=now)
    wallet_id = shop.wallet(db, lead=buyer.id, now=now)
    purchase = shop.purchase(db, wallet_id, buyer=buyer.actor, now=now, quantity=100)
    world = {"wallet": wallet_id, "purchase": purchase.id, "gross": purchase.gross_minor, "id": new_id(), "session": new_id(), "buyer": buyer.actor}
    if spent:
        _paid(db, world, now)
        make.meter(db, wallet_id, now=now, rate_ucr_per_hour=credits_ucr(spent), session_id=world["session"])
        meters.settle(db, session_id=world["session"], generation=1, proven_s=3600, ended_at=now + HOUR, now=now + HOUR)
    return world


def _seen(world: World, **more: Any) -> Observation:
    return Observation(Paying.PAID, f"pi_{world['purchase']}", world["gross"], Currency.MAD, **more)


def _paid(db: Session, world: World, now: datetime) -> None:
    settlements.settle(db, purchase_id=world["purchase"], seen=_seen(world), now=now)


def _refunded(db: Session, world: World, now: datetime) -> None:
    refund = SeenRefund(f"re_{world['purchase']}", world["gross"], RefundOutcome.DONE)
    settlements.settle(db, purchase_id=world["purchase"], seen=_seen(world, refunds=(refund,)), now=now)


def _disputed(outcome: DisputeOutcome) -> Callable[[Session, World, datetime], None]:
    def act(db: Session, world: World, now: datetime) -> None:
        dispute = SeenDispute(f"dp_{world['purchase']}", world["gross"], outcome, "fraudulent", now)
        settlements.settle(db, purchase_id=world["purchase"], seen=_seen(world, disputes=(dispute,)), now=now)

    return act


def _by_bank(db: Session, now: datetime) -> World:
    if db.execute(text("SELECT count(*) FROM price_list")).scalar_one() == 0:
        shop.price_list(db, now=now - timedelta(days=2))
    buyer = people.person(db, now=now)
    officers = [people.person(db, roles=[Role.FINANCE], now=now).actor for _ in range(2)]
    wallet_id, transfer_id = shop.wallet(db, lead=buyer.id, now=now), new_id()
    purchase = shop.purchase(db, wallet_id, buyer=buyer.actor, now=now, method=Method.BANK)
    line = BankLine(str(transfer_id), now.date(), Currency.MAD, purchase.gross_minor, "ATLAS", "")
    bank_transfers.enter(db, line, transfer_id=transfer_id, by=officers[0], now=now)
    bank_transfers.match(db, transfer_id=transfer_id, purchase_number=purchase.number, by=officers[0], now=now)
    return {"wallet": wallet_id, "purchase": purchase.id, "transfer": transfer_id, "by": officers[1]}


def _indebted(db: Session, now: datetime) -> World:
    """A wallet that owes use, and people who may forgive it."""
    world = _running(db, now, credits_=2, days_=1 / 24)
    meters.settle(db, session_id=world["session"], generation=1, proven_s=3600, ended_at=now + HOUR, now=now + HOUR)
    return world | {"by": _officer(db, now), "second": _officer(db, now)}


def _officer(db: Session, now: datetime) -> Actor:
    return people.person(db, roles=[Role.FINANCE], now=now).actor


def _owing_bought(db: Session, now: datetime) -> World:
    """A wallet whose refunded purchase was spent, and a second purchase that can pay."""
    world = _bought(db, now, spent=80)
    _refunded(db, world, now + HOUR)
    return world


def _grant(db: Session, world: World, now: datetime) -> object:
    terms = {"purpose": "Tranche", "classes": None, "effective_at": now, "expires_at": now + timedelta(days=30), "by": make.TESTS, "now": now}
    return grants.give(db, grant_id=world["id"], wallet_id=world["wallet"], fund_id=world["fund"], amount_ucr=credits_ucr(5), **terms)


def _authorise(db: Session, world: World, now: datetime) -> object:
    return make.meter(db, world["wallet"], now=now, session_id=world["session"], started=False)


def _move(db: Session, world: World, now: datetime) -> object:
    terms = {"lot_id": world["lot"], "target_wallet_id": world["other"], "amount_ucr": credits_ucr(30)}
    return transfers.transfer(db, transfer_id=world["id"], by=make.TESTS, now=now, **terms)


def _lend(db: Session, world: World, now: datetime) -> object:
    terms = {"lot_id": world["lot"], "target_wallet_id": world["other"], "amount_ucr": credits_ucr(9), "returns_at": now + HOUR}
    return transfers.lend(db, loan_id=world["id"], by=make.TESTS, now=now, **terms)


def _issue(db: Session, world: World, now: datetime) -> object:
    terms = {"amount_ucr": credits_ucr(90), "expires_at": now + timedelta(days=700)}
    return purchases.issue(db, purchase_id=world["id"], wallet_id=world["wallet"], by=make.TESTS, now=now, **terms)


def _write_off(db: Session, world: World, now: datetime) -> object:
    terms = {"amount_ucr": credits_ucr(1) // 2, "reason": "Hub's fault", "by": world["by"], "approved_by": world["second"]}
    return debts.write_off(db, write_off_id=world["id"], wallet_id=world["wallet"], now=now + HOUR, **terms)


def _corrected_by_hand(db: Session, world: World, now: datetime) -> object:
    what = {"session_id": world["session"], "generation": 1, "from_s": 300, "reason": "Hub's fault"}
    return adjustments.correct(db, adjustment_id=world["id"], **what, by=world["by"], now=now + HOUR)


def _write_off_asked(db: Session, now: datetime) -> World:
    world = _indebted(db, now)
    terms = {"amount_ucr": credits_ucr(1) // 2, "reason": "Hub's fault", "by": world["by"], "now": now + HOUR}
    adjustments.write_off(db, adjustment_id=world["id"], wallet_id=world["wallet"], **terms)
    return world


def _extension_asked(db: Session, now: datetime) -> World:
    world = _wallet(db, now, credits_=9000) | {"by": _officer(db, now), "second": _officer(db, now)}
    terms = {"expires_at": now + timedelta(days=60), "reason": "Moved", "by": world["by"], "now": now}
    adjustments.extend(db, adjustment_id=world["id"], lot_id=world["lot"], **terms)
    return world


def _approve(db: Session, world: World, now: datetime) -> object:
    return adjustments.approve(db, adjustment_id=world["id"], by=world["second"], now=now + HOUR)


def _supplement(db: Session, world: World, now: datetime) -> object:
    terms = {"amount_ucr": credits_ucr(5), "expires_at": now + timedelta(days=60), "by": make.TESTS, "now": now}
    return requests.supplement(db, grant_id=world["id"], lot_id=world["lot"], **terms)


def _spender(db: Session, now: datetime) -> World:
    ada = pool.spender(db, now=now)
    return {"wallet": ada.wallet_id, "spender": ada}


def _lost(db: Session, now: datetime) -> World:
    """A session whose machine died after 40 minutes."""
    world = _spender(db, now)
    session_id, plugin = pool.running(db, world["spender"], now=now)
    pool.deliver(db, [plugin.seen(2400)], now=now + HOUR)
    row = pool.row_of(db, session_id)
    endings.lose(db, row, observations.lives(db, {row.id: row})[row.id], by=make.TESTS, now=now + HOUR)
    return world | {"session": session_id}


def _outage(db: Session, now: datetime) -> World:
    """An incident that staff confirmed, with one session to make good."""
    world, staff = _spender(db, now), people.person(db, roles=[Role.STAFF], now=now)
    session_id, plugin = pool.running(db, world["spender"], now=now)
    pool.deliver(db, [plugin.exited(2400)], now=now + HOUR)
    times = {"starts_at": now + timedelta(minutes=20), "ends_at": now + timedelta(minutes=30), "now": now + HOUR}
    number = incidents.open(db, kind=IncidentKind.OUTAGE, node_id=None, note="Outage", by=staff.actor, **times)
    incident = incident_by_number(db, number)
    # Worlds of other runs are struck as well; each is made good by the first.
    seen_ucr = sum(row.total_ucr for row in touched(db, incident, now=now + HOUR))
    incidents.confirm(db, incident_id=incident.id, seen_ucr=seen_ucr, by=staff.actor, now=now + HOUR)
    return world | {"session": session_id, "incident": incident.id}


def _idle(db: Session, now: datetime) -> World:
    """A session that was stopped for idleness, and whose end is on its way."""
    world = _spender(db, now)
    session_id, plugin = pool.running(db, world["spender"], now=now)
    by, end = world["spender"].actor, now + timedelta(minutes=50)
    pool.deliver(db, [plugin.seen(2995)], now=end)
    sessions.stop(db, session_id=session_id, by=by, now=end, cause=StopCause.IDLE, idle_since=now + timedelta(minutes=20), grace=timedelta(minutes=10))
    return world | {"session": session_id, "seen": [plugin.exited(3000)]}


COMMANDS = {
    "grant": Command(lambda db, now: _wallet(db, now) | {"fund": make.fund(db, now=now)}, _grant),
    "authorise": Command(_wallet, _authorise),
    "start": Command(_running, lambda db, w, now: meters.start(db, session_id=w["session"], generation=1, started_at=now, now=now)),
    "prove": Command(_running, lambda db, w, now: meters.record_proven(db, [make.proven(w["session"], started_at=now, proven_s=60)], now=now + HOUR)),
    "roll: extend": Command(_proven(11), lambda db, _, now: meters.roll_due(db, now=now), timedelta(minutes=11)),
    "roll: book": Command(_proven(16), lambda db, _, now: meters.roll_due(db, now=now), timedelta(minutes=16)),
    "settle": Command(_running, _settle),
    "void": Command(_running, lambda db, w, now: meters.void(db, session_id=w["session"], generation=1, reason="failed", now=now)),
    "reprice": Command(_running, lambda db, w, now: meters.reprice(db, [meters.Rate(w["session"], 1, credits_ucr(9))], by=make.TESTS, now=now)),
    "forgive": Command(
        _settled,
        lambda db, w, now: corrections.forgive_from(db, session_id=w["session"], generation=1, from_s=300, reason="idle", by=make.TESTS, now=now + HOUR),
    ),
    "expire": Command(lambda db, now: _wallet(db, now, days_=1 / 24), lambda db, _, now: expiry.sweep(db, now=now), timedelta(hours=2)),
    "revoke": Command(_wallet, lambda db, w, now: revocations.revoke(db, lot_id=w["lot"], reason="Ended", by=make.TESTS, now=now)),
    "transfer": Command(_two_wallets, _move),
    "lend": Command(_two_wallets, _lend),
    "give back": Command(_lent, lambda db, w, now: transfers.give_back(db, loan_id=w["id"], by=make.TESTS, now=now)),
    "extend": Command(_wallet, lambda db, w, now: transfers.extend(db, lot_id=w["lot"], expires_at=now + timedelta(days=60), by=make.TESTS, now=now)),
    "purchase": Command(_wallet, _issue),
    "paid by card": Command(_bought, _paid),
    "paid by bank": Command(_by_bank, lambda db, w, now: bank_transfers.approve(db, transfer_id=w["transfer"], by=w["by"], now=now)),
    "refunded, 80 of 100 spent": Command(lambda db, now: _bought(db, now, spent=80), _refunded, HOUR),
    "disputed": Command(lambda db, now: _bought(db, now, spent=20), _disputed(DisputeOutcome.OPEN), HOUR),
    "dispute lost": Command(lambda db, now: _bought(db, now, spent=20), _disputed(DisputeOutcome.LOST), HOUR),
    "refund asked for": Command(
        lambda db, now: _bought(db, now, spent=20),
        lambda db, w, now: refunds.ask_self(db, refund_id=w["id"], purchase_id=w["purchase"], reason="x", by=w["buyer"], now=now),
        HOUR,
    ),
    "debt paid by a purchase": Command(_owing_bought, _issue, HOUR),
    "write off": Command(_indebted, _write_off),
    "correct by hand": Command(lambda db, now: _settled(db, now) | {"by": _officer(db, now)}, _corrected_by_hand),
    "write off asked for and approved": Command(_write_off_asked, _approve),
    "extension asked for and approved": Command(_extension_asked, _approve),
    "supplement": Command(_wallet, _supplement),
    "make good by rule": Command(_lost, lambda db, w, now: incidents.note_end(db, session_id=w["session"], now=now), HOUR),
    "make good by staff": Command(_outage, lambda db, w, now: incidents.give_next(db, incident_id=w["incident"], now=now), HOUR),
    "idle tail": Command(_idle, lambda db, w, now: pool.deliver(db, w["seen"], now=now), HOUR),
}


def summary(db: Session, world: World) -> dict[str, list[Any]]:
    """Return everything that a world's wallets came to, without ids: they differ from run to run."""
    wallets = {"ids": [world[name] for name in ("wallet", "other") if name in world]}
    queries = {
        "bookings": "SELECT t.operation, array_agg(a.kind || ' ' || e.amount_ucr ORDER BY a.kind, e.amount_ucr) FROM ledger_transaction t"
        " JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id WHERE t.wallet_id = ANY(:ids) GROUP BY t.id, 1",
        "lots": "SELECT l.origin, l.issued_ucr, a.balance_ucr, h.balance_ucr, f.balance_ucr FROM lot l JOIN ledger_account a ON a.id = l.available_account_id"
        " JOIN ledger_account h ON h.id = l.held_account_id JOIN ledger_account f ON f.id = l.frozen_account_id WHERE l.wallet_id = ANY(:ids)",
        "debts": "SELECT a.balance_ucr, a.lower_bound_ucr FROM wallet w JOIN ledger_account a ON a.id IN (w.debt_usage_account_id, w.debt_clawback_account_id)"
        " WHERE w.id = ANY(:ids)",
        "meters": "SELECT state, proven_s, booked_s, booked_ucr, window_count, capture_count, debt_ucr, written_off_ucr, corrected_ucr, next_rate_ucr_per_hour"
        " FROM meter WHERE wallet_id = ANY(:ids)",
        "holds": "SELECT window_number, amount_ucr, captured_ucr, released_ucr, state FROM hold WHERE wallet_id = ANY(:ids)",
        "adjustments": "SELECT kind, state, amount_ucr, takes_two FROM adjustment WHERE wallet_id = ANY(:ids)",
        "gifts": "SELECT rule, duration_s, amount_ucr FROM make_good WHERE wallet_id = ANY(:ids)",
        "purchases": "SELECT p.state, p.gross_minor, (SELECT count(*) FROM document d WHERE d.purchase_id = p.id), (SELECT count(*) FROM refund r WHERE r.purchase_id = p.id),"
        " (SELECT count(*) FROM dispute d WHERE d.purchase_id = p.id), (SELECT count(*) FROM cash_transaction c WHERE c.purchase_id = p.id)"
        " FROM purchase p WHERE p.wallet_id = ANY(:ids)",
    }
    return {name: sorted(map(repr, (tuple(row) for row in db.execute(text(query), wallets)))) for name, query in queries.items()}


def act(sessions: Sessions, command: Command, world: World, now: datetime) -> None:
    """Give the command; a refusal because it was done already is an answer too."""
    with suppress(DomainError), transaction(sessions) as db:
        command.act(db, world, now + command.later)


def killed_at(url: str, command: Command, world: World, now: datetime, point: int | str) -> bool:
    """Run a command in a process that is killed at a point; return whether it was."""
    with warnings.catch_warnings():
        # Newer Pythons warn of threads; the child only opens a connection of its own, and dies.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            _die_at(url, command, world, now, point)
        finally:
            os._exit(0)
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    raise TimeoutError(point)


def _die_at(url: str, command: Command, world: World, now: datetime, point: int | str) -> None:
    engine = database.make_engine(url, poolclass=NullPool)
    sessions, count = database.make_sessions(engine), 0

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def statement(*_: object) -> None:
        nonlocal count
        count += 1
        if count == point:
            die()

    event.listen(engine, "before_cursor_execute", statement)
    if point == "before commit":
        event.listen(engine, "commit", die)
    with transaction(sessions) as db:
        command.act(db, world, now + command.later)
    if point == "after commit":
        die()


def statements(sessions: Sessions, command: Command, world: World, now: datetime) -> int:
    """Return how many statements a command takes."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    engine = sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", note)
    act(sessions, command, world, now)
    event.remove(engine, "before_cursor_execute", note)
    return count


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_f01_f02_a_kill_at_any_point_changes_nothing_in_the_end(own_sessions: Sessions, now: datetime, name: str) -> None:
    command = COMMANDS[name]
    url = own_sessions.kw["bind"].url.render_as_string(hide_password=False)

    def prepared() -> World:
        with transaction(own_sessions) as db:
            return command.prepare(db, now)

    # The first of all makes accounts that the others find.
    statements(own_sessions, command, prepared(), now)
    reference = prepared()
    count = statements(own_sessions, command, reference, now)
    with transaction(own_sessions) as db:
        expected = summary(db, reference)
    assert count > 0
    for point in [*range(1, count + 1), "before commit", "after commit"]:
        world = prepared()
        assert killed_at(url, command, world, now, point), f"{name} was not killed at {point}"
        for _ in range(2):
            act(own_sessions, command, world, now)
        with transaction(own_sessions) as db:
            assert summary(db, world) == expected, f"killed at {point}"
    with transaction(own_sessions) as db:
        # A session that was authorised alone lapses after a window; everything else is looked at an hour later.
        check(db, now=now + command.later + (timedelta(minutes=5) if name == "authorise" else HOUR))
        kinds = set(db.execute(text("SELECT DISTINCT operation FROM ledger_transaction")).scalars())
    assert kinds >= BOOKS.get(name, set())


# What each command books, beyond what its preparation books.
BOOKS = {
    "grant": {"grant"},
    "authorise": {"hold"},
    "roll: extend": {"hold"},
    "roll: book": {"capture"},
    "settle": {"capture", "release"},
    "void": {"release"},
    "forgive": {"correction"},
    "expire": {"expiry"},
    "revoke": {"revoke"},
    "transfer": {"transfer"},
    "purchase": {"purchase"},
    "refunded, 80 of 100 spent": {"clawback"},
    "disputed": {"freeze"},
    "debt paid by a purchase": {"repayment"},
    "write off": {"write_off"},
    "correct by hand": {"correction"},
    "write off asked for and approved": {"write_off"},
    "extension asked for and approved": {"transfer"},
    "supplement": {"grant"},
    "make good by rule": {"grant"},
    "make good by staff": {"grant"},
    "idle tail": {"correction"},
}


def test_every_kind_of_booking_that_the_ledger_knows_is_crashed_in(own_sessions: Sessions) -> None:
    with transaction(own_sessions) as db:
        rule = db.execute(text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ck_ledger_transaction__operation'")).scalar_one()
    assert set(re.findall(r"'(\w+)'", rule)) == set().union(*BOOKS.values())


BACKGROUND: dict[str, Callable[[Session, datetime], object]] = {
    "seal": lambda db, now: seal.seal_due(db, now=now),
    "sum days": lambda db, now: days.sum_due(db, now=now),
    "close a month": lambda db, now: months.close(db, month=date(2026, 11, 1), by=make.TESTS, now=now),
    "return loans": lambda db, now: transfers.return_due(db, now=now),
    "collect debts": lambda db, now: debts.collect(db, now=now),
    "take back revoked lots": lambda db, now: revocations.sweep(db, now=now),
}


@pytest.mark.parametrize("name", sorted(BACKGROUND))
def test_f16_background_work_that_is_killed_or_runs_twice_has_one_effect(own_sessions: Sessions, now: datetime, name: str) -> None:
    url = own_sessions.kw["bind"].url.render_as_string(hide_password=False)
    command = Command(lambda db, at: _lent(db, at) | _running(db, at), lambda db, _, at: BACKGROUND[name](db, at), datetime(2026, 12, 3, tzinfo=UTC) - now)
    with transaction(own_sessions) as db:
        world = command.prepare(db, now)
        meters.settle(db, session_id=world["session"], generation=1, proven_s=60, ended_at=now + timedelta(seconds=60), now=now + HOUR)
    for point in (1, 2, "before commit"):
        killed_at(url, command, world, now, point)
    act(own_sessions, command, world, now)
    with transaction(own_sessions) as db:
        once = [db.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in TABLES]
    for _ in range(2):
        act(own_sessions, command, world, now)
    with transaction(own_sessions) as db:
        assert [db.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in TABLES] == once
        check(db, now=now + command.later)


TABLES = ("ledger_transaction", "ledger_entry", "ledger_block", "ledger_seal", "ledger_month", "wallet_month", "summed_day", "lot_day", "credit_loan")
