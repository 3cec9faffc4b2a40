"""Changes to many meters, collected in memory and written in one statement."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal.core.access import Actor
from portal.core.ids import new_id
from portal.credits import bulk
from portal.credits.models import Hold, HoldShare, Meter, MeterSegment
from portal.credits.operations.journal import WRITEOFF_ACCOUNT_ID, Booking, Line, post
from portal.credits.operations.work import HoldWork, MeterWork, ShareWork
from portal.credits.rules.costs import Segment, segment_at
from portal.credits.rules.windows import SECONDS_PER_HOUR, WINDOW, WINDOW_S, Window, late_end, late_window, take
from portal.credits.states import HoldState, MeterState


class Batch:
    """What is to be written. Planning changes the `MeterWork` objects; `write` puts their final state down."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now
        self._bookings: list[Booking] = []
        self._new_holds: list[tuple[MeterWork, HoldWork]] = []
        self._changed_holds: dict[uuid.UUID, HoldWork] = {}
        self._new_meters: list[tuple[MeterWork, Mapping[str, object]]] = []
        self._new_segments: list[tuple[MeterWork, Segment]] = []
        self._meters: dict[uuid.UUID, MeterWork] = {}
        self._bounds: defaultdict[uuid.UUID, int] = defaultdict(int)

    def touch(self, meter: MeterWork) -> None:
        """Write the meter's row at the end."""
        self._meters[meter.id] = meter

    def place(self, meter: MeterWork, window: Window) -> HoldWork:
        """Hold a planned window, whose shares were taken from the lots."""
        meter.window_count += 1
        meter.windows_end_at = window.ends_at
        hold = _hold(meter, window)
        meter.holds.append(hold)
        self._new_holds.append((meter, hold))
        lines = [line for share in hold.shares for line in _moved(share.lot.available_account_id, share.lot.held_account_id, share.amount_ucr)]
        key = f"hold:{meter.session_id}:{meter.generation}:{hold.window}"
        self._book(meter, key, "hold", lines, hold)
        return hold

    def begin_segment(self, meter: MeterWork) -> None:
        """Let the meter's next price hold from the end of its windows on."""
        starts_s = meter.seconds_at(meter.windows_end_at)
        rate = meter.next_rate_ucr_per_hour
        if rate is None or starts_s <= meter.segments[-1].starts_s:
            return
        segment = Segment(meter.segments[-1].number + 1, starts_s, rate)
        meter.segments.append(segment)
        meter.next_rate_ucr_per_hour = None
        self._new_segments.append((meter, segment))
        room_ucr = max(meter.debt_room_ucr, window_room_ucr(rate))
        self._bounds[meter.debt_account_id] -= room_ucr - meter.debt_room_ucr
        meter.debt_room_ucr = room_ucr

    def capture(self, meter: MeterWork, hold: HoldWork, until_s: int) -> None:
        """Book the session up to a second out of a hold, in the recorded order of its shares."""
        while until_s > meter.booked_s and meter.cost_ucr(until_s) - meter.booked_ucr > hold.open_ucr:
            until_s -= 1  # The hold pays what it can; the seconds after it are booked from the next one, or late.
        amount_ucr = meter.cost_ucr(until_s) - meter.booked_ucr
        if until_s <= meter.booked_s or amount_ucr <= 0:
            return
        lines = [Line(meter.usage_account_id, amount_ucr)]
        left_ucr = amount_ucr
        for share in hold.shares:
            part_ucr = min(share.open_ucr, left_ucr)
            share.captured_ucr += part_ucr
            left_ucr -= part_ucr
            lines.append(Line(share.lot.held_account_id, -part_ucr))
        hold.captured_ucr += amount_ucr
        self._changed(hold)
        self._book_use(meter, lines, until_s, amount_ucr, hold)

    def release(self, meter: MeterWork, hold: HoldWork) -> None:
        """Give back what a hold has not used; the hold is closed then."""
        self._changed(hold)
        lines = []
        for share in hold.shares:
            part_ucr = share.open_ucr
            share.released_ucr += part_ucr
            share.lot.available_ucr += part_ucr
            lines += _moved(share.lot.held_account_id, share.lot.available_account_id, part_ucr)
        left_ucr = hold.open_ucr
        hold.released_ucr += left_ucr
        meter.holds = [other for other in meter.holds if other.id != hold.id]
        if left_ucr:
            self._book(meter, f"rel:{hold.id}", "release", lines, hold)

    def book_late(self, meter: MeterWork) -> None:
        """Book proven seconds that no hold covered: lots valid then, then debt of one window at most, then write-off."""
        lots = meter.payers()
        at_s = meter.booked_s
        while meter.started_at is not None and at_s < meter.proven_s:
            starts_at = meter.started_at + timedelta(seconds=at_s)
            used_until = meter.started_at + timedelta(seconds=meter.proven_s)
            ends_at = late_end(lots, starts_at, min(starts_at + WINDOW, used_until))
            at_s = min(meter.proven_s, max(at_s + 1, meter.seconds_at(ends_at)), _segment_end(meter, at_s))
            amount_ucr = meter.cost_ucr(at_s) - meter.booked_ucr
            if amount_ucr > 0:
                self._book_late_piece(meter, late_window(lots, amount_ucr, starts_at, ends_at), at_s, amount_ucr)

    def _book_late_piece(self, meter: MeterWork, window: Window, until_s: int, amount_ucr: int) -> None:
        take(window)
        hold = None
        if window.shares:
            meter.window_count += 1
            hold = _hold(meter, window)
            hold.is_late = True
            hold.captured_ucr = hold.amount_ucr
            for share in hold.shares:
                share.captured_ucr = share.amount_ucr
            self._new_holds.append((meter, hold))
        unpaid_ucr = amount_ucr - window.amount_ucr
        debt_ucr = min(unpaid_ucr, meter.debt_room_ucr - meter.debt_ucr)
        if meter.state != MeterState.OPEN:
            self._bounds[meter.debt_account_id] -= debt_ucr
        meter.debt_ucr += debt_ucr
        meter.written_off_ucr += unpaid_ucr - debt_ucr
        lines = [Line(meter.usage_account_id, amount_ucr), Line(meter.debt_account_id, -debt_ucr), Line(WRITEOFF_ACCOUNT_ID, debt_ucr - unpaid_ucr)]
        lines += [Line(share.lot.available_account_id, -share.amount_ucr) for share in window.shares]
        self._book_use(meter, lines, until_s, amount_ucr, hold)

    def begin(self, meter: MeterWork, row: Mapping[str, object]) -> None:
        """Add a new meter, and widen the wallet's debt bound by one window of it. row: what never changes."""
        self._new_meters.append((meter, row))
        self._new_segments.append((meter, meter.segments[0]))
        self._bounds[meter.debt_account_id] -= meter.debt_room_ucr

    def close(self, meter: MeterWork, state: MeterState) -> None:
        """End a meter and take back the room for debt that it did not use."""
        if meter.state == MeterState.OPEN:
            self._bounds[meter.debt_account_id] += meter.debt_room_ucr - meter.debt_ucr
            meter.closed_at = self.now
        meter.state = state
        self.touch(meter)

    def write(self, db: Session, *, by: Actor) -> None:
        """Write everything in one statement."""
        for meter, _ in self._new_meters:
            self._meters.pop(meter.id)
        fresh = {hold.id for _, hold in self._new_holds}
        changed = [hold for hold in self._changed_holds.values() if hold.id not in fresh]
        parts = [
            bulk.insert_part(Meter, [{**row, **_meter_change(meter)} for meter, row in self._new_meters]),
            bulk.insert_part(MeterSegment, [_segment_row(meter, segment) for meter, segment in self._new_segments]),
            bulk.insert_part(Hold, [_hold_row(meter, hold, self.now) for meter, hold in self._new_holds]),
            bulk.insert_part(HoldShare, [_share_row(hold, share) for _, hold in self._new_holds for share in hold.shares]),
            bulk.update_part(Hold, [_hold_change(hold) for hold in changed]),
            bulk.update_part(HoldShare, [_share_change(hold, share) for hold in changed for share in hold.shares], key=("hold_id", "position")),
            bulk.update_part(Meter, [_meter_change(meter) for meter in self._meters.values()]),
        ]
        post(db, self._bookings, by=by, now=self.now, before=parts, bounds=self._bounds)

    def _changed(self, hold: HoldWork) -> None:
        self._changed_holds[hold.id] = hold

    def _book_use(self, meter: MeterWork, lines: Iterable[Line], until_s: int, amount_ucr: int, hold: HoldWork | None) -> None:
        meter.capture_count += 1
        key = f"cap:{meter.session_id}:{meter.generation}:{meter.capture_count}"
        self._book(meter, key, "capture", lines, hold, from_s=meter.booked_s, until_s=until_s)
        meter.booked_s = until_s
        meter.booked_ucr += amount_ucr
        self.touch(meter)

    def _book(
        self, meter: MeterWork, key: str, operation: str, lines: Iterable[Line], hold: HoldWork | None, *, from_s: int | None = None, until_s: int | None = None
    ) -> None:
        kept = [line for line in lines if line.amount_ucr]
        body = {"lines": [(line.account_id, line.amount_ucr) for line in kept], "from_s": from_s, "until_s": until_s}
        booking = Booking(
            key,
            operation,
            body,
            kept,
            wallet_id=meter.wallet_id,
            meter_id=meter.id,
            hold_id=hold.id if hold else None,
            segment=segment_at(meter.segments, from_s).number if from_s is not None else None,
            from_s=from_s,
            until_s=until_s,
        )
        self._bookings.append(booking)
        self.touch(meter)


def window_room_ucr(rate_ucr_per_hour: int) -> int:
    """Return what one whole window costs at a rate: the most debt that a meter may make."""
    return -(-rate_ucr_per_hour * WINDOW_S // SECONDS_PER_HOUR)


def _segment_end(meter: MeterWork, second: int) -> int:
    return min((segment.starts_s for segment in meter.segments if segment.starts_s > second), default=meter.proven_s)


def _moved(source_id: uuid.UUID, target_id: uuid.UUID, amount_ucr: int) -> list[Line]:
    return [Line(source_id, -amount_ucr), Line(target_id, amount_ucr)] if amount_ucr else []


def _hold(meter: MeterWork, window: Window) -> HoldWork:
    shares = [ShareWork(position, share.lot, share.amount_ucr) for position, share in enumerate(window.shares)]
    return HoldWork(new_id(), meter.window_count, meter.segments[-1].number, window.starts_at, window.ends_at, window.amount_ucr, shares)


def _segment_row(meter: MeterWork, segment: Segment) -> dict[str, object]:
    return {"meter_id": meter.id, "segment": segment.number, "starts_s": segment.starts_s, "rate_ucr_per_hour": segment.rate_ucr_per_hour}


def _hold_row(meter: MeterWork, hold: HoldWork, now: datetime) -> dict[str, object]:
    row = {"id": hold.id, "meter_id": meter.id, "wallet_id": meter.wallet_id, "window_number": hold.window, "segment": hold.segment}
    times = {"amount_ucr": hold.amount_ucr, "starts_at": hold.starts_at, "ends_at": hold.ends_at, "placed_at": now, "is_late": hold.is_late}
    return row | times | _hold_change(hold)


def _hold_change(hold: HoldWork) -> dict[str, object]:
    state = HoldState.OPEN if hold.open_ucr else HoldState.CLOSED
    return {"id": hold.id, "captured_ucr": hold.captured_ucr, "released_ucr": hold.released_ucr, "state": state.value}


def _share_row(hold: HoldWork, share: ShareWork) -> dict[str, object]:
    return {"lot_id": share.lot.id, "amount_ucr": share.amount_ucr} | _share_change(hold, share)


def _share_change(hold: HoldWork, share: ShareWork) -> dict[str, object]:
    return {"hold_id": hold.id, "position": share.position, "captured_ucr": share.captured_ucr, "released_ucr": share.released_ucr}


def _meter_change(meter: MeterWork) -> dict[str, object]:
    return {
        "id": meter.id,
        "state": meter.state.value,
        "next_rate_ucr_per_hour": meter.next_rate_ucr_per_hour,
        "started_at": meter.started_at,
        "proven_s": meter.proven_s,
        "windows_end_at": meter.windows_end_at,
        "window_count": meter.window_count,
        "capture_count": meter.capture_count,
        "booked_s": meter.booked_s,
        "booked_ucr": meter.booked_ucr,
        "debt_room_ucr": meter.debt_room_ucr,
        "debt_ucr": meter.debt_ucr,
        "written_off_ucr": meter.written_off_ucr,
        "ended_at": meter.ended_at,
        "closed_at": meter.closed_at,
        "void_reason": meter.void_reason,
        "refused_at": meter.refused_at,
        "forgiven_from_s": meter.forgiven_from_s,
        "corrected_ucr": meter.corrected_ucr,
        "due_at": meter.next_due_at(),
    }
