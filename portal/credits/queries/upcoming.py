"""What happens to a wallet next: dated events in order, each with the figures of its sentence."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from portal.credits.queries.pacing import LoanRow, MonthAhead, Outlook, ahead_of
from portal.credits.queries.wallets import LotRow, RunningRow
from portal.credits.rules.forecasts import LotAhead, forecast

HOURS_A_DAY = 24
# A session without a limit of its own is looked at no further.
LONGEST = timedelta(days=90)


class Happening(StrEnum):
    """Kinds of events; the order in which those of one instant stand."""

    SESSION_STOPS = "session_stops"
    LOT_BEGINS = "lot_begins"
    LOAN_COMES_BACK = "loan_comes_back"
    LOAN_GOES_BACK = "loan_goes_back"
    LOT_ENDS = "lot_ends"
    RUNS_DRY = "runs_dry"
    MONTH_ENDS = "month_ends"


_ORDER = {kind: place for place, kind in enumerate(Happening)}


@dataclass(frozen=True)
class Event:
    """Something that will happen. amount: what the lot has; lost: what of it is expected to end unused, None if unknown."""

    at: datetime
    kind: Happening
    lot: LotRow | None = None
    lost_ucr: int | None = None
    emptied_at: datetime | None = None
    name: str = ""
    session_id: uuid.UUID | None = None
    month: MonthAhead | None = None


def upcoming(lots: Sequence[LotRow], loans: Sequence[LoanRow], running: Sequence[RunningRow], found: Outlook | None, *, now: datetime) -> list[Event]:
    """Return what happens next, the soonest first."""
    ahead = {lot.id: lot for lot in ahead_of(lots, loans, now=now)}
    events = [*_of_lots(lots, ahead, found, now), *_of_sessions(list(ahead.values()), running, now)]
    events += [Event(loan.returns_at, Happening.LOAN_COMES_BACK, name=loan.other) for loan in loans if not loan.is_borrowed]
    if found is not None:
        events.append(Event(found.month.ends_at, Happening.MONTH_ENDS, month=found.month))
        if found.dry_at is not None and found.dry_at > now and not any(lot.ends_at == found.dry_at for lot in ahead.values()):
            events.append(Event(found.dry_at, Happening.RUNS_DRY))
    return sorted((event for event in events if event.at > now), key=lambda event: (event.at, _ORDER[event.kind]))


def _of_lots(lots: Sequence[LotRow], ahead: dict[uuid.UUID, LotAhead], found: Outlook | None, now: datetime) -> list[Event]:
    events = []
    for lot in lots:
        if lot.id not in ahead:
            continue
        if lot.effective_at > now:
            events.append(Event(lot.effective_at, Happening.LOT_BEGINS, lot))
        ends_at = ahead[lot.id].ends_at
        fate = found.fate(lot.id) if found is not None else None
        kind = Happening.LOAN_GOES_BACK if ends_at < lot.expires_at else Happening.LOT_ENDS
        events.append(Event(ends_at, kind, lot, fate.lost_ucr if fate else None, fate.emptied_at if fate else None))
    return events


def _of_sessions(ahead: Sequence[LotAhead], running: Sequence[RunningRow], now: datetime) -> list[Event]:
    """Return the sessions that end because nothing pays for them any more, at what all running ones cost together."""
    if not running:
        return []
    a_day: dict[str, int] = {}
    for row in running:
        a_day[row.charge_class] = a_day.get(row.charge_class, 0) + row.rate_ucr_per_hour * HOURS_A_DAY
    unpaid_at = forecast(ahead, a_day, now=now, until=now + LONGEST).unpaid_at
    events = []
    for row in running:
        at = row.window_ends_at if row.is_refused else max(row.window_ends_at, unpaid_at.get(row.charge_class, now + LONGEST))
        if at < (row.ends_at or now + LONGEST):
            events.append(Event(at, Happening.SESSION_STOPS, name=row.label, session_id=row.session_id))
    return events
