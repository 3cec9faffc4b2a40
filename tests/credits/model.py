"""The ledger again, naively: one wallet in plain Python, window ends found by trying every second."""

from dataclasses import dataclass, field
from typing import Any

WINDOW, RENEW, WIDEST = 900, 300, 1 << 30


def cost(rate: int, seconds: int) -> int:
    return rate * seconds // 3600


@dataclass
class ModelLot:
    name: Any
    avail: int
    classes: frozenset[str] | None
    priority: int
    effective: int
    expires: int
    order: int
    held: int = 0
    used: int = 0
    expired: int = 0

    def place(self) -> tuple[int, int, int, int]:
        return self.priority, self.expires, WIDEST if self.classes is None else len(self.classes), self.order


@dataclass
class ModelWindow:
    starts: int
    ends: int
    parts: list[list[Any]]  # [lot, amount still open]


@dataclass
class ModelSession:
    name: Any
    kind: str
    rate: int
    limit: int | None
    authorised: int
    order: int
    covered: int
    due: int | None = None
    started: int | None = None
    proven: int = 0
    booked_s: int = 0
    booked: int = 0
    debt: int = 0
    lost: int = 0
    lifted: int = 0
    back: int = 0
    forgiven_from: int | None = None
    takes: list[list[Any]] = field(default_factory=list)  # [lot, amount], in the order in which they were taken
    state: str = "open"
    windows: list[ModelWindow] = field(default_factory=list)

    def limit_at(self) -> int | None:
        return None if self.started is None or self.limit is None else self.started + self.limit

    def next_due(self) -> int | None:
        if self.state != "open":
            return None
        if self.started is None:
            return self.covered
        limit_at = self.limit_at()
        renew = self.covered if limit_at is not None and self.covered >= limit_at else self.covered - RENEW
        return min([renew, *[window.ends for window in self.windows]])


class Model:
    """All amounts in microcredits, all times in whole seconds."""

    def __init__(self) -> None:
        self.lots: list[ModelLot] = []
        self.sessions: list[ModelSession] = []

    def payers(self, kind: str) -> list[ModelLot]:
        return sorted((lot for lot in self.lots if lot.classes is None or kind in lot.classes), key=ModelLot.place)

    def window(self, kind: str, rate: int, starts: int, latest: int, most: int | None) -> ModelWindow | None:
        """Return the longest window whose lots, spent in order, all last until its end; None when they cannot pay it."""
        valid = [lot for lot in self.payers(kind) if lot.avail > 0 and lot.effective <= starts < lot.expires]
        for ends in range(latest, starts, -1):
            left = -(-rate * min(ends - starts, most or WIDEST) // 3600)
            parts: list[list[Any]] = []
            for lot in valid:
                if left:
                    parts.append([lot, min(lot.avail, left)])
                    left -= parts[-1][1]
            if all(lot.expires >= ends for lot, _ in parts):
                return None if left else ModelWindow(starts, ends, parts)
        return None

    def chain(self, kind: str, rate: int, *, starts: int, until: int, limit_at: int | None, most: int | None) -> tuple[list[ModelWindow], bool]:
        windows = []
        while starts <= until and (limit_at is None or starts < limit_at):
            latest = starts + WINDOW if limit_at is None else min(starts + WINDOW, limit_at)
            window = self.window(kind, rate, starts, latest, most)
            coming = [lot.effective for lot in self.payers(kind) if lot.avail > 0 and starts < lot.effective < latest]
            if window is None and coming:
                window = self.window(kind, rate, starts, min(coming), most)
            if window is None:
                return windows, True
            for lot, amount in window.parts:
                lot.avail -= amount
                lot.held += amount
            windows.append(window)
            starts = window.ends
        return windows, False

    def authorise(self, name: Any, kind: str, rate: int, limit: int | None, now: int) -> ModelSession | None:
        windows, is_short = self.chain(kind, rate, starts=now, until=now + RENEW, limit_at=None, most=limit)
        if is_short:
            for window in windows:
                self.give_back(window)
            return None
        session = ModelSession(name, kind, rate, limit, now, len(self.sessions), windows[-1].ends, windows=windows)
        session.due = session.next_due()
        self.sessions.append(session)
        return session

    def give_back(self, window: ModelWindow) -> None:
        for part in window.parts:
            part[0].held -= part[1]
            part[0].avail += part[1]
            part[1] = 0

    def evidence(self, session: ModelSession, started: int, proven: int, now: int) -> None:
        is_first = session.started is None
        if is_first:
            session.started = max(started, session.authorised)
        proven = min(proven, now - session.authorised)
        if session.state == "open" and is_first:
            session.due = session.covered - RENEW
        elif session.state != "open" and proven > session.proven:
            session.due = now
        session.proven = max(session.proven, proven)

    def roll(self, now: int) -> None:
        due = [session for session in self.sessions if session.due is not None and session.due <= now]
        for session in sorted(due, key=lambda each: (each.due, each.order)):
            if session.state != "open":
                self.close(session)
            elif session.started is None:
                self.close(session, is_void=True)
            else:
                for window in list(session.windows):
                    if window.ends > now or session.proven < window.ends - session.started:
                        break
                    self.book(session, window, window.ends - session.started)
                limit_at = session.limit_at()
                if (limit_at is None or session.covered < limit_at) and session.covered - now <= RENEW:
                    windows, _ = self.chain(session.kind, session.rate, starts=session.covered, until=now + RENEW, limit_at=limit_at, most=None)
                    session.windows += windows
                    session.covered = windows[-1].ends if windows else session.covered
            session.due = session.next_due()
        for session in due:
            self.keep(session)

    def forgive(self, session: ModelSession, from_s: int) -> int:
        """Give back what is charged from a second on: the session's own debt, then its lots, the last taken first; the rest was the hub's."""
        amount = given = session.booked - cost(session.rate, from_s) - session.back
        if amount <= 0:
            return 0
        lifted = min(amount, session.debt - session.lifted)
        session.lifted += lifted
        amount -= lifted
        for take in reversed(session.takes):
            part = min(take[1], amount)
            take[1] -= part
            take[0].avail += part
            take[0].used -= part
            amount -= part
        session.back += given
        session.forgiven_from = from_s
        return given

    def keep(self, session: ModelSession) -> None:
        """What is proven later of a session that is forgiven from a second on is not charged either."""
        if session.forgiven_from is not None and session.state != "open":
            self.forgive(session, session.forgiven_from)

    def book(self, session: ModelSession, window: ModelWindow, until: int) -> None:
        """Book a window's use and give the rest of it back."""
        held = sum(amount for _, amount in window.parts)
        while until > session.booked_s and cost(session.rate, until) - session.booked > held:
            assert session.limit is not None, "a window always pays for its own seconds, but for a session past its limit"
            until -= 1
        amount = cost(session.rate, until) - session.booked if until > session.booked_s else 0
        if amount > 0:
            session.booked += amount
            session.booked_s = until
            for part in window.parts:
                taken = min(part[1], amount)
                part[1] -= taken
                part[0].held -= taken
                part[0].used += taken
                session.takes.append([part[0], taken])
                amount -= taken
        self.give_back(window)
        session.windows.remove(window)

    def close(self, session: ModelSession, *, is_void: bool = False) -> None:
        for window in list(session.windows):
            lasted = 0 if session.started is None else max(0, window.ends - session.started)
            self.book(session, window, min(session.proven, lasted))
        if session.started is not None:
            self.book_late(session, session.started)
        session.state = "voided" if is_void and session.proven == 0 else "settled" if session.state == "open" or session.proven else session.state
        session.due = None

    def book_late(self, session: ModelSession, started: int) -> None:
        at = session.booked_s
        room = -(-session.rate * WINDOW // 3600)
        while at < session.proven:
            bounds = [edge for lot in self.payers(session.kind) if lot.avail > 0 for edge in (lot.effective, lot.expires)]
            latest = min(started + at + WINDOW, started + session.proven)
            ends = min([edge for edge in bounds if started + at < edge < latest], default=latest)
            valid = [lot for lot in self.payers(session.kind) if lot.effective <= started + at < lot.expires]
            at = ends - started
            amount = cost(session.rate, at) - session.booked
            if amount <= 0:
                continue
            session.booked += amount
            session.booked_s = at
            for lot in valid:
                taken = min(lot.avail, amount)
                lot.avail -= taken
                lot.used += taken
                session.takes.append([lot, taken])
                amount -= taken
            owed = min(amount, room - session.debt)
            session.debt += owed
            session.lost += amount - owed

    def sweep(self, now: int) -> None:
        for lot in self.lots:
            waits = any((session.state == "open" or session.due is not None) and session.covered < lot.expires for session in self.sessions)
            if lot.expires <= now and not waits:
                lot.expired += lot.avail
                lot.avail = 0

    def balance(self, now: int) -> tuple[int, int]:
        """Return held and free."""
        free = sum(lot.avail for lot in self.lots if lot.effective <= now < lot.expires)
        held = sum(lot.held for lot in self.lots)
        for session in self.sessions:
            if session.state == "open" and session.started is not None:
                seconds = max(min(now, session.covered) - session.started, session.booked_s, 0)
                held -= cost(session.rate, seconds) - session.booked
        return held, free
