"""The hub's REST API, as far as the portal uses it (docs/hub-protocol.md). Called by jobs alone, never inside a transaction."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from portal.settings import Settings

PAGE_SIZE = 200
# The hub answers a start at the latest after its own ten seconds, then goes on by itself.
TIMEOUT = httpx.Timeout(connect=2.0, read=30.0, write=5.0, pool=5.0)
PAGINATED = "application/jupyterhub-pagination+json"


class HubAway(RuntimeError):
    """The hub did not answer, or not in a way that it speaks; whether it acted is not known."""


class HubRefused(RuntimeError):
    """The hub answered no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}".strip())
        self.status = status
        self.message = message


class Progress(StrEnum):
    """How far a start or a stop has come when the hub answers."""

    DONE = "done"
    PENDING = "pending"


@dataclass(frozen=True)
class HubServer:
    """One named server as the hub knows it. pending: "spawn", "stop", "check" or nothing."""

    username: str
    server: str
    is_ready: bool
    pending: str | None = None


class Hub(Protocol):
    """What jobs need of a hub: the gateway, or the tests' fake."""

    def ensure_user(self, username: str) -> None:
        """Make the user unless there is one. Raises HubAway, HubRefused."""
        ...

    def start(self, username: str, server: str, *, ticket: str) -> Progress:
        """Start a server; DONE when it answers already. Raises HubAway, HubRefused."""
        ...

    def stop(self, username: str, server: str) -> Progress:
        """Stop and forget a server; DONE also when there is none. Raises HubAway, HubRefused."""
        ...

    def server(self, username: str, server: str) -> HubServer | None:
        """Return a server that runs, starts or stops. Raises HubAway, HubRefused."""
        ...

    def servers(self) -> list[HubServer]:
        """Return all servers that run, start or stop. Raises HubAway, HubRefused."""
        ...


@dataclass(frozen=True)
class HubGateway:
    """Talks to a real hub; `client` is replaced in tests of the transport."""

    rest_url: str
    token: str = field(repr=False)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=TIMEOUT, follow_redirects=False, trust_env=False), repr=False)

    def ensure_user(self, username: str) -> None:
        """Make the user unless there is one."""
        answer = self._call("POST", f"/users/{_part(username)}")
        if answer.status_code not in {201, 409}:
            raise _refused(answer)

    def start(self, username: str, server: str, *, ticket: str) -> Progress:
        """Start a server with a ticket; the hub answers 400 when it is starting or running already."""
        answer = self._call("POST", f"/users/{_part(username)}/servers/{_part(server)}", json={"user_options": {"ticket": ticket}})
        if answer.status_code == 201:
            return Progress.DONE
        if answer.status_code == 202:
            return Progress.PENDING
        if answer.status_code == 400 and self.server(username, server) is not None:
            return Progress.PENDING
        raise _refused(answer)

    def stop(self, username: str, server: str) -> Progress:
        """Stop and forget a server."""
        path = f"/users/{_part(username)}/servers/{_part(server)}" if server else f"/users/{_part(username)}/server"
        answer = self._call("DELETE", path, json={"remove": True} if server else None)
        if answer.status_code in {204, 404}:
            return Progress.DONE
        if answer.status_code in {202, 400}:
            # 400: a stop is on its way, or the server is still starting and cannot be stopped yet.
            return Progress.PENDING
        raise _refused(answer)

    def server(self, username: str, server: str) -> HubServer | None:
        """Return one server, None when it does not run."""
        answer = self._call("GET", f"/users/{_part(username)}")
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise _refused(answer)
        return next((found for found in _servers_of(_object(answer)) if found.server == server), None)

    def servers(self) -> list[HubServer]:
        """Return all servers, page by page: without pages the hub stops at 200 users and does not say so."""
        found: list[HubServer] = []
        offset = 0
        while True:
            answer = self._call("GET", f"/users?state=active&limit={PAGE_SIZE}&offset={offset}", headers={"Accept": PAGINATED})
            if answer.status_code != 200:
                raise _refused(answer)
            page = _object(answer)
            items, pagination = page.get("items"), page.get("_pagination")
            if not isinstance(items, list) or not isinstance(pagination, Mapping):
                raise HubAway("the list of users is not in pages")
            for user in items:
                found.extend(_servers_of(user))
            following = pagination.get("next")
            if not following:
                return found
            offset = int(following["offset"])

    def _call(self, method: str, path: str, *, json: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
        sent = {"Authorization": f"token {self.token}", **(headers or {})}
        try:
            answer = self.client.request(method, self.rest_url + path, json=json, headers=sent)
        except httpx.HTTPError as error:
            raise HubAway(f"{type(error).__name__}: {error}") from error
        if answer.status_code in {502, 504}:
            raise HubAway(f"something before the hub answered {answer.status_code}")
        return answer


def from_settings(settings: Settings) -> HubGateway:
    """Return the gateway to the deployment's hub; the composition root of the worker hands it to the jobs as "hub"."""
    return HubGateway(settings.hub.rest_url, settings.hub.service_token)


def _part(name: str) -> str:
    return quote(name, safe="")


def _object(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError as error:
        raise HubAway("the hub's answer is no JSON") from error
    if not isinstance(body, Mapping):
        raise HubAway("the hub's answer is no object")
    return body


def _servers_of(user: Mapping[str, Any]) -> Iterator[HubServer]:
    for name, server in (user.get("servers") or {}).items():
        pending = server.get("pending")
        is_ready = bool(server.get("ready"))
        if is_ready or pending:
            yield HubServer(str(user["name"]), str(name), is_ready, pending)


def _refused(answer: httpx.Response) -> HubRefused:
    try:
        message = str(answer.json().get("message", ""))
    except (ValueError, AttributeError):
        message = ""
    return HubRefused(answer.status_code, message[:500])
