"""A hub in memory, with the gateway's signatures; `tests/compute/test_hub_gateway.py` holds both to the same checks."""

from collections.abc import Callable
from dataclasses import dataclass, field

from portal.compute.hub_gateway import HubAway, HubRefused, HubServer, Progress

OnStart = Callable[[str, str, str], None]


@dataclass
class FakeHub:
    """on_start is called with user, server and ticket, as the plug-in's hook is, and may raise HubRefused.

    slow_for: how many looks a started server needs before it answers. away: every call fails.
    """

    on_start: OnStart | None = None
    slow_for: int = 0
    is_away: bool = False
    users: set[str] = field(default_factory=set)
    running: dict[tuple[str, str], int] = field(default_factory=dict)
    stopped: list[tuple[str, str]] = field(default_factory=list)
    tickets: list[str] = field(default_factory=list)

    def ensure_user(self, username: str) -> None:
        self._answer()
        self.users.add(username)

    def start(self, username: str, server: str, *, ticket: str) -> Progress:
        self._answer()
        if username not in self.users:
            raise HubRefused(404, "no such user")
        if (username, server) in self.running:
            return Progress.PENDING
        self.tickets.append(ticket)
        if self.on_start is not None:
            self.on_start(username, server, ticket)
        self.running[username, server] = self.slow_for
        return Progress.PENDING if self.slow_for else Progress.DONE

    def stop(self, username: str, server: str) -> Progress:
        self._answer()
        if self.running.pop((username, server), None) is not None:
            self.stopped.append((username, server))
        return Progress.DONE

    def server(self, username: str, server: str) -> HubServer | None:
        self._answer()
        if (username, server) not in self.running:
            return None
        left = self.running[username, server]
        self.running[username, server] = max(0, left - 1)
        return HubServer(username, server, left <= 1, None if left <= 1 else "spawn")

    def servers(self) -> list[HubServer]:
        self._answer()
        return [HubServer(username, server, left == 0, "spawn" if left else None) for (username, server), left in self.running.items()]

    def _answer(self) -> None:
        if self.is_away:
            raise HubAway("the fake hub is away")
