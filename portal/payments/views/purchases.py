"""Purchases: the list, one with everything about it, the way to the payment page and back, cancelling, refunds."""

import uuid
from enum import StrEnum

from flask import current_app, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock, jobs
from portal.core.ids import new_id
from portal.payments.forms import ReasonForm, RefundForm
from portal.payments.operations import purchases, refunds
from portal.payments.permissions import HOLDERS, Permission
from portal.payments.queries import purchases as queries
from portal.payments.states import BADGES, DISPUTE_WORDS, PURCHASE_WORDS, REFUND_WORDS, Method, PurchaseState
from portal.payments.views.base import blueprint
from portal.web import access, i18n
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view

WORDS: dict[StrEnum, str] = {**PURCHASE_WORDS, **REFUND_WORDS, **DISPUTE_WORDS}


@blueprint.get("/purchases")
@access.signed_in
def purchase_list() -> ResponseReturnValue:
    """List the purchases that the person may see; finance sees all of them."""
    asked = request.args.get("state", "")
    state = PurchaseState(asked) if asked in set(PurchaseState) else None
    page = queries.page_of_purchases(session(), current_actor(), mark=request.args.get("mark"), state=state)
    return render_template("payments/purchases.html", purchases=page, state=state, words=WORDS, badges=BADGES, states=list(PurchaseState))


@blueprint.get("/purchases/<int:number>")
@access.signed_in
def purchase(number: int) -> ResponseReturnValue:
    """Show one purchase: how it stands, its price, what came back, its documents."""
    now, db, actor = clock.now(), session(), current_actor()
    found = queries.purchase_by_number(db, number, actor=actor)
    documents = queries.documents_of(db, found.row.id)
    return render_template(
        "payments/purchase.html",
        found=found,
        row=found.row,
        back=queries.money_back(db, found.row.id),
        documents=documents,
        links_of={one.id: _links(number, one.id) for one in documents},
        refundable_minor=refunds.refundable_minor(db, found.row.id),
        may_refund_self=found.paid_at is not None and now - found.paid_at <= refunds.SELF_SERVICE,
        may_refund=actor.has(*HOLDERS[Permission.REFUND]),
        words=WORDS,
        badges=BADGES,
        has_page=found.has_page(now),
        is_checking=request.args.get("checking") == "1" and found.row.state is PurchaseState.AWAITING,
        seller=current_app.extensions["portal_settings"].seller,
        now=now,
    )


@blueprint.get("/purchases/<int:number>/standing")
@access.signed_in
def standing(number: int) -> ResponseReturnValue:
    """Tell a page that waits whether the purchase has moved on; it then opens the whole page again."""
    found = queries.purchase_by_number(session(), number, actor=current_actor())
    if found.row.state is PurchaseState.AWAITING:
        return "", 204
    response = make_response("")
    response.headers["HX-Redirect"] = url_for("payments.purchase", number=number)
    return response


@blueprint.get("/purchases/<int:number>/checkout")
@access.signed_in
def checkout(number: int) -> ResponseReturnValue:
    """Lead to the payment page as soon as it is open; until then say so, and ask again."""
    found = queries.own_purchase(session(), number, actor=current_actor())
    if found.has_page(clock.now()) and found.checkout_url:
        if request.headers.get("HX-Request"):
            response = make_response("")
            response.headers["HX-Redirect"] = found.checkout_url
            return response
        return redirect(found.checkout_url, 303)
    if found.row.state is not PurchaseState.AWAITING:
        return redirect(url_for("payments.purchase", number=number), 303)
    if request.headers.get("HX-Request"):
        return "", 204
    return render_template("payments/checkout.html", found=found, row=found.row)


@blueprint.post("/purchases/<int:number>/pay")
@access.signed_in
@once_view
def pay(number: int) -> ResponseReturnValue:
    """Ask for a payment page and go there."""
    found = queries.own_purchase(session(), number, actor=current_actor())
    purchases.open_checkout(session(), purchase_id=found.row.id, by=current_actor(), now=clock.now())
    return redirect(url_for("payments.checkout", number=number), 303)


@blueprint.get("/purchases/<int:number>/back")
@access.signed_in
def back(number: int) -> ResponseReturnValue:
    """Come back from the payment page: have Stripe asked how it went, and show the purchase."""
    found = queries.own_purchase(session(), number, actor=current_actor())
    if found.row.state is not PurchaseState.PAID:
        jobs.enqueue(session(), "payments.settle", purchase_id=str(found.row.id), once_as=f"settle:{found.row.id}")
    return redirect(url_for("payments.purchase", number=number, checking=1), 303)


@blueprint.post("/purchases/<int:number>/cancel")
@access.signed_in
@once_view
def cancel(number: int) -> ResponseReturnValue:
    """Cancel what is not paid."""
    found = queries.own_purchase(session(), number, actor=current_actor())
    purchases.cancel(session(), purchase_id=found.row.id, by=current_actor(), now=clock.now())
    flash(gettext("The purchase is cancelled. Nothing was charged."), "info")
    return redirect(url_for("payments.purchase", number=number), 303)


@blueprint.route("/purchases/<int:number>/refund", methods=["GET", "POST"])
@access.signed_in
@once_view
def refund(number: int) -> ResponseReturnValue:
    """Send back what stands for unused credits."""
    now, db, actor = clock.now(), session(), current_actor()
    found = queries.own_purchase(db, number, actor=actor)
    amount_minor = refunds.refundable_minor(db, found.row.id)
    form = ReasonForm()
    if form.validate_on_submit():
        with form.catching():
            refunds.ask_self(db, refund_id=new_id(), purchase_id=found.row.id, reason=str(form.reason.data), by=actor, now=now)
            flash(_sent(found.row.method), "good")
            return redirect(url_for("payments.purchase", number=number), 303)
    return render_template("payments/refund.html", form=form, found=found, row=found.row, amount_minor=amount_minor), form.status


@blueprint.route("/purchases/<int:number>/finance-refund", methods=["GET", "POST"])
@access.needs(Permission.REFUND, HOLDERS)
@once_view
def finance_refund(number: int) -> ResponseReturnValue:
    """Ask, as finance, for any part of the price; a second person decides."""
    now, db, actor = clock.now(), session(), current_actor()
    found = queries.purchase_by_number(db, number, actor=actor)
    form = RefundForm()
    if form.validate_on_submit():
        with form.catching():
            reason, amount_minor = str(form.reason.data), form.amount.minor or 0
            refunds.ask(db, refund_id=new_id(), purchase_id=found.row.id, amount_minor=amount_minor, reason=reason, by=actor, now=now)
            flash(gettext("The refund waits for a second person."), "info")
            return redirect(url_for("payments.refund_list"), 303)
    most_minor = refunds.left_minor(db, found.row.id)
    return render_template("payments/finance_refund.html", form=form, found=found, row=found.row, most_minor=most_minor), form.status


def _links(number: int, document_id: uuid.UUID) -> list[dict[str, str]]:
    """Return the ways to a document, one for each language."""
    names = i18n.NAMES.items()
    return [{"code": code, "name": name, "url": url_for("payments.document", number=number, document_id=document_id, lang=code)} for code, name in names]


def _sent(method: Method) -> str:
    if method is Method.CARD:
        return str(gettext("The refund is on its way. Until it has arrived, the credits it stands for are frozen."))
    return str(gettext("The refund waits for a second person."))
