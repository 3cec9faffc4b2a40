"""The two calls of the hub's plug-in, and the health of this worker."""

import json
import re
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from portal.compute.operations import observations, tickets
from portal.core import clock
from portal.core.access import Actor
from portal.core.errors import N_, Invalid
from portal.web import access
from portal.web.database import session

blueprint = Blueprint("hub_api", __name__)

HUB = Actor.process("hub")
MOST_BYTES = 2 * 2**20
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}", re.ASCII)


class MalformedRequest(Invalid):
    """The body is not what the protocol says."""

    text = N_("The request is not what the protocol says: %(where)s.")


@blueprint.get("/health")
@access.machine("hub")
def health() -> ResponseReturnValue:
    """Say that this worker answers."""
    return jsonify(ok=True)


@blueprint.post("/tickets/redeem")
@access.machine("hub")
def redeem_ticket() -> ResponseReturnValue:
    """Spend a ticket and say everything that the start may use."""
    body = _body()
    names = {key: _name(body, key) for key in ("ticket", "username", "server")}
    grant = tickets.redeem(session(), token=names["ticket"], username=names["username"], server=names["server"], now=clock.now())
    return jsonify(grant.as_json())


@blueprint.post("/observations")
@access.machine("hub")
def receive_observations() -> ResponseReturnValue:
    """Take what the plug-in saw, and answer with the leases of what it runs."""
    body = _body()
    agent, items = body.get("agent"), body.get("observations")
    if not isinstance(agent, str):
        raise MalformedRequest(where="agent")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise MalformedRequest(where="observations")
    receipt = observations.receive(session(), agent=agent, items=items, by=HUB, now=clock.now())
    leases = {str(key): {"held_until": lease.held_until.isoformat().replace("+00:00", "Z"), "stop": lease.stop} for key, lease in receipt.leases.items()}
    return jsonify(acknowledged_offset=receipt.acknowledged_offset, leases=leases)


def _body() -> dict[str, Any]:
    request.max_content_length = MOST_BYTES
    try:
        body = json.loads(request.get_data(cache=False))
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise MalformedRequest(where="body")
    return body


def _name(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise MalformedRequest(where=key)
    return value
