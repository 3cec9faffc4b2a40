"""Giving back what a settled session was charged from a second on: the idle tail, and what finance decides to forgive.

The credits go where they came from, the last taken first: debts that the session made, then its lots in the
reverse of the recorded order. What was written off for it stays written off.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal.core import audit
from portal.core.access import Actor
from portal.core.errors import N_, Conflict, Invalid
from portal.core.quantities import decimal_credits
from portal.credits.models import LedgerAccount, LedgerEntry, LedgerTransaction, Lot, Meter
from portal.credits.operations import debts, journal, work
from portal.credits.states import MeterState


class NotSettled(Conflict):
    """Only what is booked for good can be given back."""

    text = N_("This session is not settled yet. Its charge can be corrected once it is.")


class BadSecond(Invalid):
    """The second lies outside the session, or after what was given back before."""

    text = N_("Choose a moment within the session, not after what was given back already.")
    field = "kept"


def back_ucr(db: Session, *, session_id: uuid.UUID, generation: int, from_s: int) -> int:
    """Return what `forgive_from` would give back; the wallet stays locked. Raises NotSettled, BadSecond, NotFound."""
    return _back_ucr(work.locked(db, session_id, generation), from_s)


def forgive_from(db: Session, *, session_id: uuid.UUID, generation: int, from_s: int, reason: str, by: Actor, now: datetime) -> int:
    """Give back what a session was charged from its second `from_s` on, and return how much; the same again changes nothing.

    Raises NotSettled, BadSecond, NotFound.
    """
    meter = work.locked(db, session_id, generation)
    amount_ucr = _back_ucr(meter, from_s)
    if amount_ucr <= 0:
        return 0
    _book(db, meter, amount_ucr, from_s, by=by, now=now)
    db.execute(update(Meter).where(Meter.id == meter.id).values(forgiven_from_s=from_s, corrected_ucr=meter.corrected_ucr + amount_ucr))
    audit.record(db, "corrected", "compute_session", session_id, by=by, now=now, amount=decimal_credits(amount_ucr), from_s=from_s, reason=reason)
    return amount_ucr


def forgive_tail(db: Session, *, session_id: uuid.UUID, generation: int, from_s: int, reason: str, by: Actor, now: datetime) -> int:
    """Give back what lies after a second, where anything does; return how much. Raises NotFound."""
    meter = work.locked(db, session_id, generation)
    kept_s = meter.booked_s if meter.forgiven_from_s is None else meter.forgiven_from_s
    if meter.state == MeterState.OPEN or from_s >= kept_s:
        return 0
    return forgive_from(db, session_id=session_id, generation=generation, from_s=max(0, from_s), reason=reason, by=by, now=now)


def keep(db: Session, meters: Iterable[work.MeterWork], *, by: Actor, now: datetime) -> None:
    """Give back what late evidence added to closed meters after the second from which they are not charged."""
    for meter in meters:
        if meter.forgiven_from_s is not None and meter.state != MeterState.OPEN:
            terms = {"session_id": meter.session_id, "generation": meter.generation, "from_s": meter.forgiven_from_s}
            forgive_from(db, **terms, reason="late_evidence", by=by, now=now)  # type: ignore[arg-type]


def _back_ucr(meter: work.MeterWork, from_s: int) -> int:
    if meter.state == MeterState.OPEN:
        raise NotSettled
    if not 0 <= from_s <= meter.booked_s or (meter.forgiven_from_s is not None and from_s > meter.forgiven_from_s):
        raise BadSecond
    return meter.booked_ucr - meter.cost_ucr(from_s) - meter.corrected_ucr


def _book(db: Session, meter: work.MeterWork, amount_ucr: int, from_s: int, *, by: Actor, now: datetime) -> None:
    number = journal.count_of(db, "correction", LedgerTransaction.meter_id == meter.id) + 1
    lines = [journal.Line(meter.usage_account_id, -amount_ucr)]
    left_ucr, lifted_ucr = amount_ucr, 0
    owed_ucr = debts.of_wallet(db, meter.wallet_id).usage_ucr
    for kind, account_id, paid_ucr in _sources(db, meter.id):
        part_ucr = min(paid_ucr, left_ucr)
        if kind == "debt_usage":
            part_ucr = min(part_ucr, owed_ucr - lifted_ucr)
            lifted_ucr += part_ucr
        left_ucr -= part_ucr
        lines.append(journal.Line(account_id, part_ucr))
    if left_ucr:
        # Debt that is paid or written off by now: the hub, not a lot, bore it.
        lines.append(journal.Line(journal.WRITEOFF_ACCOUNT_ID, left_ucr))
    body = {"from_s": from_s, "amount": amount_ucr}
    key = f"corr:{meter.session_id}:{meter.generation}:{number}"
    journal.post(db, [journal.Booking(key, "correction", body, lines, wallet_id=meter.wallet_id, meter_id=meter.id)], by=by, now=now)
    debts.widen(db, meter.debt_account_id, -lifted_ucr)


def _sources(db: Session, meter_id: uuid.UUID) -> list[tuple[str, uuid.UUID, int]]:
    """Return what the session's captures took, and corrections have not given back: (kind, account, amount), debt first, then the last taken first.

    An amount that came from a lot's held account goes back to what the lot has available.
    """
    query = (
        select(LedgerAccount.kind, LedgerAccount.id, Lot.available_account_id, LedgerEntry.amount_ucr)
        .select_from(LedgerTransaction)
        .join(LedgerEntry, LedgerEntry.transaction_id == LedgerTransaction.id)
        .join(LedgerAccount, LedgerAccount.id == LedgerEntry.account_id)
        .join(Lot, (Lot.held_account_id == LedgerAccount.id) | (Lot.available_account_id == LedgerAccount.id), isouter=True)
        .where(LedgerTransaction.meter_id == meter_id, LedgerTransaction.operation.in_(["capture", "correction"]))
        .where(LedgerAccount.kind.in_(["debt_usage", "lot_held", "lot_available"]))
        .order_by(LedgerEntry.id)
    )
    taken: list[tuple[str, uuid.UUID, int]] = []
    for kind, account_id, available_id, amount_ucr in db.execute(query):
        source = (kind, account_id) if kind == "debt_usage" else ("lot", available_id)
        taken = _moved(taken, *source, -amount_ucr)
    taken.reverse()
    return [source for source in taken if source[0] == "debt_usage"] + [source for source in taken if source[0] != "debt_usage"]


def _moved(taken: list[tuple[str, uuid.UUID, int]], kind: str, account_id: uuid.UUID, amount_ucr: int) -> list[tuple[str, uuid.UUID, int]]:
    """Add what was taken from an account, or take away, from the last on, what was given back to it."""
    if amount_ucr >= 0:
        return [*taken, (kind, account_id, amount_ucr)]
    left: list[tuple[str, uuid.UUID, int]] = []
    for source in reversed(taken):
        part_ucr = min(source[2], -amount_ucr) if source[1] == account_id else 0
        amount_ucr += part_ucr
        left.append((source[0], source[1], source[2] - part_ucr))
    return [source for source in reversed(left) if source[2]]
