"""A state machine over every operation, on two real connections, held against a naive model of the ledger.

LEDGER_EXAMPLES=500 runs it longer, each time with other random choices.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from portal.core.database import make_sessions, transaction
from portal.core.ids import new_id
from portal.core.quantities import charge_ucr
from portal.credits import queries, verify
from portal.credits.operations import corrections, expiry, grants, make_good, meters
from portal.credits.states import FaultRule
from tests.credits.model import Model, ModelLot, ModelSession
from tests.credits.paging import pages_of
from tests.factories import credits as make

EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "0"))
BASE = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
KINDS = ("cpu", "slice", "full")
RATES = (1, 3601, 400_000, 4_000_000, 4_000_001)
AMOUNTS = st.sampled_from([1, 100_000, 300_001, 1_000_000, 5_000_000, 20_000_000])
OFFSETS = st.sampled_from([-3600, -60, 0, 0, 0, 200, 700, 1500])
LIVES = st.sampled_from([100, 901, 2000, 7200, 50_000, 100_000, 100_000])
CLASSES = st.sampled_from([None, None, None, None, frozenset({"cpu"}), frozenset({"cpu", "slice"}), frozenset({"full"})])


class LedgerMachine(RuleBasedStateMachine):
    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.sessions = [make_sessions(self.engine), make_sessions(self.engine)]
        self.now, self.turn, self.model = 0, 0, Model()

    def do(self, work: Any) -> Any:
        """Run work in a transaction of its own, on the two connections in turn."""
        self.turn += 1
        with transaction(self.sessions[self.turn % 2]) as db:
            return work(db)

    def at(self, seconds: int) -> datetime:
        return BASE + timedelta(seconds=seconds)

    @initialize(amounts=st.lists(st.tuples(AMOUNTS, CLASSES, LIVES), min_size=2, max_size=4))
    def open(self, amounts: list[tuple[int, frozenset[str] | None, int]]) -> None:
        self.wallet_id = self.do(lambda db: make.wallet(db, now=BASE))
        self.fund_id = self.do(lambda db: make.fund(db, now=BASE, budget_ucr=10**12))
        for amount, classes, life in amounts:
            self.grant(amount, classes, priority=100, offset=0, life=life)

    @rule(amount=AMOUNTS, classes=CLASSES, priority=st.sampled_from([50, 100]), offset=OFFSETS, life=LIVES)
    def grant(self, amount: int, classes: frozenset[str] | None, priority: int, offset: int, life: int) -> None:
        effective = self.now + offset
        expires = max(effective, self.now) + life
        grant_id = new_id()
        terms = {"effective_at": self.at(effective), "expires_at": self.at(expires), "classes": classes, "priority": priority, "purpose": "Tranche"}

        def give(db: Session) -> Any:
            return grants.give(
                db, grant_id=grant_id, wallet_id=self.wallet_id, fund_id=self.fund_id, amount_ucr=amount, by=make.TESTS, now=self.at(self.now), **terms
            )

        lot_id = self.do(give)
        assert self.do(give) == lot_id
        self.model.lots.append(ModelLot(lot_id, amount, classes, priority, effective, expires, len(self.model.lots)))

    @precondition(lambda self: self.has("settled"))
    @rule(data=st.data(), amount=AMOUNTS, times=st.integers(1, 2))
    def make_good(self, data: Any, amount: int, times: int) -> None:
        """A fault of the hub gives a lot of fourteen days, once for a session."""
        session = self.pick(data, "settled")
        terms = {"rule": FaultRule.NODE_DEATH, "wallet_id": self.wallet_id, "amount_ucr": amount, "duration_s": 1, "note": ""}
        lots = {self.do(lambda db: make_good.give(db, session_id=session.name, now=self.at(self.now), **terms)) for _ in range(times)}
        assert len(lots) == 1
        lot_id = lots.pop()
        if lot_id not in {lot.name for lot in self.model.lots}:
            life = int(make_good.VALID.total_seconds())
            self.model.lots.append(ModelLot(lot_id, amount, None, 100, self.now, self.now + life, len(self.model.lots)))

    @rule(
        kind=st.sampled_from(KINDS),
        rate=st.sampled_from(RATES),
        limit=st.sampled_from([None, None, 50, 1000, 2000]),
        starts=st.sampled_from([True, True, False]),
    )
    def authorise(self, kind: str, rate: int, limit: int | None, starts: bool) -> None:
        session_id = new_id()

        def ask(db: Session) -> Any:
            return meters.authorise(
                db,
                session_id=session_id,
                generation=1,
                wallet_id=self.wallet_id,
                charge_class=kind,
                rate_ucr_per_hour=rate,
                label="Lab",
                by=make.TESTS,
                now=self.at(self.now),
                limit_s=limit,
            )

        expected = self.model.authorise(session_id, kind, rate, limit, self.now)
        try:
            window = self.do(ask)
        except meters.NoCredit:
            assert expected is None
            return
        assert expected is not None
        assert window.ends_at == self.at(expected.covered)
        assert self.do(ask) == window
        if starts:
            self.do(lambda db: meters.start(db, session_id=session_id, generation=1, started_at=self.at(self.now), now=self.at(self.now)))
            self.model.evidence(expected, self.now, 0, self.now)

    def pick(self, data: Any, *states: str) -> ModelSession:
        return data.draw(st.sampled_from([session for session in self.model.sessions if session.state in states]))

    def has(self, *states: str) -> bool:
        return any(session.state in states for session in self.model.sessions)

    @precondition(lambda self: self.has("open", "settled", "voided"))
    @rule(data=st.data(), back=st.sampled_from([0, 1, 30, 400, 2000]), ran=st.sampled_from([0, 1, 60, 899, 900, 901, 5000]), times=st.integers(1, 3))
    def evidence(self, data: Any, back: int, ran: int, times: int) -> None:
        session = self.pick(data, "open", "settled", "voided")
        started = session.started if session.started is not None else max(session.authorised, self.now - back)
        proven = min(ran, max(0, self.now - started))
        rows = [meters.Proven(session.name, 1, self.at(started), proven, self.at(self.now))] * times
        for _ in range(times):
            self.do(lambda db: meters.record_proven(db, rows, now=self.at(self.now)))
        self.model.evidence(session, started, proven, self.now)
        self.do(self.compare)

    @precondition(lambda self: self.has("open"))
    @rule(seconds=st.sampled_from([1, 29, 60, 300, 599, 600, 900, 4000]))
    def run_on(self, seconds: int) -> None:
        """Time passes and every running session is seen to run."""
        self.now += seconds
        for session in self.model.sessions:
            if session.state == "open" and session.started is not None:
                started, proven = session.started, self.now - session.started
                limit_at = session.limit_at()
                proven = proven if limit_at is None else min(proven, limit_at - started)
                row = meters.Proven(session.name, 1, self.at(started), proven, self.at(self.now))
                self.do(lambda db, row=row: meters.record_proven(db, [row], now=self.at(self.now)))
                self.model.evidence(session, started, proven, self.now)

    @rule(seconds=st.sampled_from([1, 60, 299, 600, 601, 2000]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(times=st.integers(1, 2))
    def roll(self, times: int) -> None:
        for _ in range(times):
            rolled = self.do(lambda db: meters.roll_due(db, now=self.at(self.now)))
            assert rolled.skipped == []
            self.model.roll(self.now)
        self.do(self.compare)

    @rule(times=st.integers(1, 2))
    def sweep(self, times: int) -> None:
        for _ in range(times):
            self.do(lambda db: expiry.sweep(db, now=self.at(self.now)))
        self.model.sweep(self.now)

    @precondition(lambda self: self.has("open", "settled"))
    @rule(data=st.data(), ran=st.sampled_from([0, 1, 60, 899, 905, 3000]), times=st.integers(1, 2))
    def settle(self, data: Any, ran: int, times: int) -> None:
        session = self.pick(data, "open", "settled")
        if session.started is None:
            ran = 0
        else:
            ran = min(ran, max(0, self.now - session.started))
            self.model.evidence(session, session.started, ran, self.now)
        for _ in range(times):
            self.do(lambda db: meters.settle(db, session_id=session.name, generation=1, proven_s=ran, ended_at=self.at(self.now), now=self.at(self.now)))
        self.model.close(session)
        self.model.keep(session)
        self.do(self.compare)

    @precondition(lambda self: self.has("settled"))
    @rule(data=st.data(), kept=st.sampled_from([0, 1, 60, 450, 899, 900, 2000]), times=st.integers(1, 2))
    def forgive(self, data: Any, kept: int, times: int) -> None:
        """Give back the tail of a settled session, by rule or by finance: twice is once."""
        session = self.pick(data, "settled")
        most = session.booked_s if session.forgiven_from is None else session.forgiven_from
        from_s = min(kept, most, session.booked_s)
        expected = self.model.forgive(session, from_s)
        for time in range(times):
            given = self.do(
                lambda db: corrections.forgive_from(
                    db, session_id=session.name, generation=1, from_s=from_s, reason="idle", by=make.TESTS, now=self.at(self.now)
                )
            )
            assert given == (expected if time == 0 else 0)
        self.do(self.compare)

    @precondition(lambda self: self.has("open"))
    @rule(data=st.data(), times=st.integers(1, 2))
    def void(self, data: Any, times: int) -> None:
        session = self.pick(data, "open")
        for _ in range(times):
            self.do(lambda db: meters.void(db, session_id=session.name, generation=1, reason="failed", now=self.at(self.now)))
        self.model.close(session, is_void=True)

    def compare(self, db: Session) -> None:
        rows = db.execute(
            text(
                "SELECT l.id, a.balance_ucr AS avail, h.balance_ucr AS held FROM lot l JOIN ledger_account a ON a.id = l.available_account_id"
                " JOIN ledger_account h ON h.id = l.held_account_id WHERE l.wallet_id = :id"
            ),
            {"id": self.wallet_id},
        )
        assert {row.id: (row.avail, row.held) for row in rows} == {lot.name: (lot.avail, lot.held) for lot in self.model.lots}
        found = queries.balance(db, self.wallet_id, now=self.at(self.now))
        held, free = self.model.balance(self.now)
        assert (found.held_ucr, found.free_ucr, found.balance_ucr) == (held, free, held + free)
        assert found.debt_ucr == sum(session.debt - session.lifted for session in self.model.sessions)
        costs = queries.session_costs(db, [session.name for session in self.model.sessions], now=self.at(self.now))
        for session in self.model.sessions:
            cost = costs[session.name]
            assert (cost.booked_ucr, cost.debt_ucr, cost.written_off_ucr, cost.state) == (session.booked, session.debt, session.lost, session.state)
            assert (cost.window_ends_at, cost.proven_s) == (self.at(session.covered), session.proven)
            if session.state != "open" and session.due is None:
                assert cost.cost_ucr == charge_ucr(session.rate, session.proven)

    def teardown(self) -> None:
        self.do(self.compare)
        self.do(self.check_statement)
        results = self.do(lambda db: verify.run(db, now=self.at(self.now)))
        stale = "it never started, and its hold outlived its window by more than fifteen minutes"
        assert [result.first_bad for result in results if result.first_bad and stale not in result.first_bad] == []

    def check_statement(self, db: Session) -> None:
        found = queries.statement(db, self.wallet_id, starts_at=BASE, ends_at=self.at(self.now + 1), now=self.at(self.now))
        assert pages_of(db, self.wallet_id, starts_at=BASE, ends_at=self.at(self.now + 1), now=self.at(self.now)) == found.lines
        assert found.opening_ucr + sum(line.amount_ucr for line in found.lines) == found.closing_ucr
        assert found.closing_ucr == sum(lot.avail + lot.held for lot in self.model.lots)
        assert sum(line.debt_ucr for line in found.lines) == sum(session.debt - session.lifted for session in self.model.sessions)
        used = sum(-line.amount_ucr + line.debt_ucr + line.written_off_ucr for line in found.lines if line.operation == "capture")
        assert used == sum(session.booked for session in self.model.sessions)


def test_the_ledger_agrees_with_a_naive_model_whatever_happens(own_database: Engine) -> None:
    LedgerMachine.engine = own_database
    chosen = settings(
        max_examples=EXAMPLES or 25,
        stateful_step_count=40,
        deadline=None,
        derandomize=not EXAMPLES,
        database=None,
        suppress_health_check=list(HealthCheck),
        # A failure is shown as it was found: making it smaller takes minutes of a real database.
        phases=[Phase.generate],
    )
    run_state_machine_as_test(LedgerMachine, settings=chosen)
