"""`portal ledger verify`: the ledger's invariants as SQL, each naming the first row that breaks it.

It reads alone, in a few statements for each invariant, and trusts no figure that it can count again. Numbers are
those of the ledger's design.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.credits.operations import reconciliations
from portal.credits.states import Reconciliation
from portal.credits.verify import closing, holds, journal, lots, meters, purchases
from portal.credits.verify.check import Check

CHECKS: Sequence[Check] = [*journal.CHECKS, *lots.CHECKS, *holds.CHECKS, *meters.CHECKS, *purchases.CHECKS, *closing.CHECKS]
NAMES = {
    1: "Every transaction sums to zero and has two entries or more",
    2: "Every live balance equals its entries, without gaps, within its bounds",
    3: "Every lot adds up to what was issued",
    4: "Holds and their shares add up, windows never overlap, none outlives its session",
    5: "Nothing is held outside a lot's validity or out of order",
    6: "No fund issued more than its budget; every purchase was issued once and gave back no more",
    7: "Sessions are charged for their proven seconds, once",
    8: "The journal is sealed in a chain of blocks, and nothing in it can be changed",
    9: "Closed months add up, each opens where the one before closed",
    10: "Everything sums to zero, and what is kept equals what the journal says",
}


@dataclass(frozen=True)
class InvariantResult:
    """One invariant; `first_bad` names what broke it, None when it holds."""

    number: int
    name: str
    rows_checked: int
    first_bad: str | None

    @property
    def holds(self) -> bool:
        """Return whether nothing is wrong."""
        return self.first_bad is None


def run(db: Session, *, now: datetime | None = None) -> list[InvariantResult]:
    """Check everything. now: for what must not outlive its time; the database's clock when it is not given."""
    instant = now or db.execute(text("SELECT now()")).scalar_one()
    results = []
    for number, name in NAMES.items():
        found = [_run(db, check, instant) for check in CHECKS if check.number == number]
        bad = next((first_bad for _, first_bad in found if first_bad is not None), None)
        results.append(InvariantResult(number, name, sum(rows for rows, _ in found), bad))
    return results


def run_and_note(db: Session, *, now: datetime) -> list[InvariantResult]:
    """Check everything, and note what was found, so that every wallet says when that was."""
    results = run(db, now=now)
    reconciliations.note(db, Reconciliation.LEDGER, compared=len(results), problems=sum(not result.holds for result in results), now=now)
    return results


def _run(db: Session, check: Check, now: datetime) -> tuple[int, str | None]:
    """Return how many rows a check read, and the first bad one with what is wrong with it."""
    arguments = {"now": now} if ":now" in check.bad_sql else {}
    row = db.execute(text(f"SELECT (SELECT count(*) FROM {check.table}) AS read, ({check.bad_sql}) AS bad"), arguments).one()  # noqa: S608 -- constants of this package
    return row.read, None if row.bad is None else f"{row.bad}: {check.problem}"
