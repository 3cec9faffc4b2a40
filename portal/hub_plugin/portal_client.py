"""The two calls that the hub makes to the portal (docs/hub-protocol.md), over Tornado's own client."""

import json
from collections.abc import Sequence
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from portal.hub_plugin.contract import DeliveryAnswer, Grant, MalformedAnswer, parse_delivery_answer, parse_grant

REFUSALS = {403: {"ticket_unknown", "ticket_used", "ticket_expired", "ticket_not_yours"}, 409: {"session_not_starting"}}


class PortalUnavailable(RuntimeError):
    """The portal could not be reached, or answered what the protocol does not know."""


class TicketRefused(RuntimeError):
    """The portal said no to a ticket, with one of the protocol's codes."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class PortalClient:
    """Calls `/hub-api/v1` with the plug-in's key."""

    def __init__(self, base_url: str, key: str, *, connect_timeout_s: float = 3.0, answer_timeout_s: float = 15.0) -> None:
        self._base_url = base_url
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Accept": "application/json"}
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        # A client of our own: the hub's shared one lets ten calls through at a time, and starts must not wait behind others.
        self._client = AsyncHTTPClient(force_instance=True, defaults={"follow_redirects": False})

    async def redeem(self, *, ticket: str, username: str, server: str) -> Grant:
        """Spend a ticket. Raises TicketRefused or PortalUnavailable; never tries twice, a ticket is good for once."""
        status, body = await self._post("/tickets/redeem", {"ticket": ticket, "username": username, "server": server})
        if status == 200:
            try:
                return parse_grant(body)
            except MalformedAnswer as error:
                raise PortalUnavailable(f"the portal's answer is malformed: {error}") from error
        code = body.get("code") if isinstance(body, dict) else None
        if isinstance(code, str) and code in REFUSALS.get(status, set()):
            raise TicketRefused(code, status)
        raise PortalUnavailable(f"the portal answered {status} {code or ''}".rstrip())

    async def deliver(self, *, agent: str, observations: Sequence[dict[str, Any]]) -> DeliveryAnswer:
        """Hand over observations. Raises PortalUnavailable."""
        status, body = await self._post("/observations", {"agent": agent, "observations": list(observations)})
        if status != 200:
            code = body.get("code") if isinstance(body, dict) else None
            raise PortalUnavailable(f"the portal answered {status} {code or ''}".rstrip())
        try:
            return parse_delivery_answer(body)
        except MalformedAnswer as error:
            raise PortalUnavailable(f"the portal's answer is malformed: {error}") from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    async def _post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        request = HTTPRequest(
            self._base_url + path,
            method="POST",
            headers=self._headers,
            body=json.dumps(body),
            connect_timeout=self._connect_timeout_s,
            request_timeout=self._answer_timeout_s,
        )
        try:
            response = await self._client.fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            raise PortalUnavailable(f"the portal cannot be reached: {error}") from error
        if response.code == 599:
            raise PortalUnavailable(f"the portal cannot be reached: {response.error}")
        try:
            return response.code, json.loads(response.body or b"null")
        except ValueError:
            return response.code, None
