"""/v1/…: what the `stripe` package calls."""

import re
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from tests.fakes.stripe_server.ledger import Ledger, Wrong
from tests.fakes.stripe_server.store import Missing, Store, Thing
from tests.fakes.stripe_server.webhooks import Faults

blueprint = Blueprint("api", __name__, url_prefix="/v1")
LISTS = {"refunds": "refund", "disputes": "dispute", "events": "event", "balance_transactions": "balance_transaction"}


def store() -> Store:
    found: Store = current_app.extensions["store"]
    return found


def ledger() -> Ledger:
    found: Ledger = current_app.extensions["ledger"]
    return found


def failure(status: int, kind: str, message: str) -> tuple[Response, int]:
    """Return an error as Stripe words it."""
    return jsonify({"error": {"type": kind, "message": message}}), status


@blueprint.before_request
def check() -> tuple[Response, int] | None:
    """Check the key, and fail as the switches say."""
    if request.headers.get("Authorization") != f"Bearer {current_app.config['SECRET']}":
        return failure(401, "invalid_request_error", "Invalid API Key provided")
    faults: Faults = current_app.extensions["faults"]
    if faults.too_many > 0:
        faults.too_many -= 1
        return failure(429, "rate_limit_error", "Too many requests")
    if faults.broken > 0:
        faults.broken -= 1
        return failure(500, "api_error", "Something went wrong")
    return None


@blueprint.errorhandler(Missing)
def _missing(error: Missing) -> tuple[Response, int]:
    return failure(404, "invalid_request_error", str(error))


@blueprint.errorhandler(Wrong)
def _wrong(error: Wrong) -> tuple[Response, int]:
    return failure(400, "invalid_request_error", str(error))


def making(view: Callable[[], Thing]) -> Callable[[], Any]:
    """Let a POST with a key answer the second time as it did the first; other parameters with the same key are an error."""

    @wraps(view)
    def once() -> Any:
        key, faults = request.headers.get("Idempotency-Key"), current_app.extensions["faults"]
        body = [list(item) for item in sorted(request.form.items(multi=True))]
        with store().lock:
            known = store().answers.get(key) if key else None
            if known is not None and known["body"] != body:
                return failure(400, "idempotency_error", "Keys for idempotent requests can only be used with the same parameters they were first used with.")
            if known is None:
                made = view()
                if key:
                    store().answers[key] = {"body": body, "kind": made["object"], "id": made["id"]}
                store().save()
            else:
                made = store().get(known["kind"], known["id"])
        if faults.time_out > 0:
            # It was made all the same.
            faults.time_out -= 1
            time.sleep(faults.time_out_s)
        return jsonify(made)

    return once


def nested() -> dict[str, Any]:
    """Return the form body as nested dicts: a[b][0][c]=1."""
    out: dict[str, Any] = {}
    for name, value in request.form.items():
        parts = re.findall(r"[^\[\]]+", name)
        place = out
        for part in parts[:-1]:
            place = place.setdefault(part, {})
        place[parts[-1]] = value
    return out


@blueprint.post("/checkout/sessions")
@making
def open_session() -> Thing:
    form = nested()
    price = form["line_items"]["0"]["price_data"]
    amount = int(price["unit_amount"]) * int(form["line_items"]["0"]["quantity"])
    if form.get("mode") != "payment" or amount <= 0:
        raise Wrong("Invalid session")
    return ledger().open_session(
        amount=amount,
        currency=price["currency"],
        url_base=request.host_url.rstrip("/"),
        mode="payment",
        name=price["product_data"]["name"],
        client_reference_id=form.get("client_reference_id"),
        customer_email=form.get("customer_email"),
        success_url=form["success_url"],
        cancel_url=form["cancel_url"],
        locale=form.get("locale"),
        metadata=form.get("metadata", {}),
        intent_metadata=form.get("payment_intent_data", {}).get("metadata", {}),
    )


@blueprint.get("/checkout/sessions/<id_>")
def session(id_: str) -> Response:
    found = store().get("checkout.session", id_)
    if found["status"] == "open" and found["expires_at"] < time.time():
        with store().lock:
            ledger().expire_session(id_)
    return jsonify(found)


@blueprint.post("/checkout/sessions/<id_>/expire")
def expire(id_: str) -> Response:
    with store().lock:
        return jsonify(ledger().expire_session(id_))


@blueprint.get("/payment_intents/<id_>")
def intent(id_: str) -> Response:
    return jsonify(store().get("payment_intent", id_))


@blueprint.post("/refunds")
@making
def refund() -> Thing:
    form = nested()
    return ledger().refund(payment_intent=form["payment_intent"], amount=int(form["amount"]), metadata=form.get("metadata", {}))


@blueprint.get("/<any(refunds, disputes, events, balance_transactions):name>")
def listing(name: str) -> Response:
    """List things, newest first, a page at a time."""
    things = store().all(LISTS[name])
    if request.args.get("payment_intent"):
        things = [thing for thing in things if thing.get("payment_intent") == request.args["payment_intent"]]
    if request.args.get("created[gte]"):
        things = [thing for thing in things if thing["created"] >= int(request.args["created[gte]"])]
    after = request.args.get("starting_after")
    if after:
        places = [place for place, thing in enumerate(things) if thing["id"] == after]
        things = things[places[0] + 1 :] if places else []
    size = int(request.args.get("limit", 10))
    shown = things[:size]
    if name == "balance_transactions" and "data.source" in request.args.getlist("expand[0]"):
        shown = [thing | {"source": _source(thing["source"])} for thing in shown]
    return jsonify({"object": "list", "url": f"/v1/{name}", "has_more": len(things) > size, "data": shown})


def _source(id_: str) -> Any:
    return next((thing for thing in store() if thing["id"] == id_), id_)
