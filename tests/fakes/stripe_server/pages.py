"""The payment page that people click through, and the switches for faults."""

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue

from tests.fakes.stripe_server.api import ledger, store
from tests.fakes.stripe_server.ledger import Wrong
from tests.fakes.stripe_server.store import Missing
from tests.fakes.stripe_server.webhooks import Faults, described

blueprint = Blueprint("pages", __name__, template_folder="templates")
NUMBERS = {"late_s": float, "too_many": int, "broken": int, "time_out": int}
SWITCHES = ("is_twice", "is_shuffled", "is_lost")


@blueprint.errorhandler(Missing)
@blueprint.errorhandler(Wrong)
@blueprint.errorhandler(StopIteration)
def _refused(error: Exception) -> tuple[str, int]:
    return render_template("closed.html", why=str(error) or "No such payment."), 400


@blueprint.get("/pay/<id_>")
def page(id_: str) -> ResponseReturnValue:
    found = store().get("checkout.session", id_)
    if found["status"] != "open":
        raise Wrong("This page is closed.")
    return render_template("pay.html", session=found)


@blueprint.post("/pay/<id_>")
def pay(id_: str) -> ResponseReturnValue:
    how = request.form.get("how", "pay")
    with store().lock:
        found = store().get("checkout.session", id_)
        if how == "cancel":
            return redirect(found["cancel_url"], 303)
        ledger().pay(id_, is_delayed=how == "delayed", is_declined=how == "declined")
    if how == "declined":
        return render_template("pay.html", session=found, declined=True), 402
    return redirect(found["success_url"], 303)


@blueprint.get("/")
def desk() -> str:
    sessions = store().all("checkout.session")[:50]
    events = store().all("event")[:30]
    disputes, refunds = store().all("dispute")[:20], store().all("refund")[:20]
    context = {"sessions": sessions, "events": events, "disputes": disputes, "refunds": refunds}
    return render_template("desk.html", faults=described(current_app.extensions["faults"]), **context)


@blueprint.post("/do/<act>")
def do(act: str) -> ResponseReturnValue:
    """Act as the buyer's bank, as Stripe, or as somebody at Stripe's own pages."""
    form, books = request.form, ledger()
    with store().lock:
        if act == "dispute":
            books.dispute(payment_intent=form["payment_intent"], amount=int(form["amount"]) if form.get("amount") else None)
        elif act in {"win", "lose"}:
            books.close_dispute(form["dispute"], is_won=act == "win")
        elif act == "refund":
            books.refund(payment_intent=form["payment_intent"], amount=int(form["amount"]), metadata={}, status=form.get("status", "succeeded"))
        elif act == "fail_refund":
            books.fail_refund(form["refund"])
        elif act in {"delayed_paid", "delayed_failed"}:
            books.settle_delayed(form["session"], is_paid=act == "delayed_paid")
        elif act == "payout":
            books.pay_out(form["currency"])
        else:
            return {"error": "unknown"}, 404
        store().save()
    return _answer()


@blueprint.post("/faults")
def faults() -> ResponseReturnValue:
    """Set switches; what is not named stays."""
    found: Faults = current_app.extensions["faults"]
    for name, read in NUMBERS.items():
        if request.form.get(name):
            setattr(found, name, read(request.form[name]))
    for name in SWITCHES:
        if name in request.form:
            setattr(found, name, request.form[name] == "1")
    return _answer()


def _answer() -> ResponseReturnValue:
    if "text/html" in request.headers.get("Accept", ""):
        return redirect("/", 303)
    return jsonify(described(current_app.extensions["faults"]))


@blueprint.get("/health")
def health() -> Response:
    return jsonify({"ok": True})
