"""Finance's work list: refunds that wait for a second person, and differences between Stripe's balance and our books."""

import uuid

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.payments.forms import ResolveForm
from portal.payments.operations import balance, refunds
from portal.payments.permissions import HOLDERS, Permission
from portal.payments.queries import finance as queries
from portal.payments.queries.purchases import page_of_refunds
from portal.payments.states import BADGES, REFUND_WORDS, DifferenceState, RefundState
from portal.payments.views.base import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view

OPEN_REFUNDS = (RefundState.WAITING, RefundState.APPROVED, RefundState.PENDING)
ENDED_REFUNDS = (RefundState.DONE, RefundState.FAILED, RefundState.DECLINED)


@blueprint.get("/finance")
@access.needs(Permission.SEE_PAYMENTS, HOLDERS)
def finance_desk() -> ResponseReturnValue:
    """Show what waits for finance."""
    return render_template("payments/finance.html", waiting=queries.waiting(session(), now=clock.now()))


@blueprint.get("/finance/refunds")
@access.needs(Permission.REFUND, HOLDERS)
def refund_list() -> ResponseReturnValue:
    """List refunds: those under way, or those that ended."""
    is_ended = request.args.get("ended") == "1"
    page = page_of_refunds(session(), mark=request.args.get("mark"), states=ENDED_REFUNDS if is_ended else OPEN_REFUNDS)
    context = {"words": REFUND_WORDS, "badges": BADGES, "me": current_actor().person_id, "waiting": RefundState.WAITING}
    return render_template("payments/refunds.html", refunds=page, is_ended=is_ended, **context)


@blueprint.post("/finance/refunds/<uuid:refund_id>/approve")
@access.needs(Permission.REFUND, HOLDERS)
@once_view
def approve_refund(refund_id: uuid.UUID) -> ResponseReturnValue:
    """Approve a refund as the second person."""
    refunds.decide(session(), refund_id=refund_id, is_approved=True, by=current_actor(), now=clock.now())
    flash(gettext("The refund is approved."), "good")
    return redirect(url_for("payments.refund_list"), 303)


@blueprint.post("/finance/refunds/<uuid:refund_id>/decline")
@access.needs(Permission.REFUND, HOLDERS)
@once_view
def decline_refund(refund_id: uuid.UUID) -> ResponseReturnValue:
    """Decline a refund as the second person."""
    refunds.decide(session(), refund_id=refund_id, is_approved=False, by=current_actor(), now=clock.now())
    flash(gettext("The refund is declined. Its credits can be spent again."), "info")
    return redirect(url_for("payments.refund_list"), 303)


@blueprint.get("/finance/differences")
@access.needs(Permission.RESOLVE_DIFFERENCES, HOLDERS)
def difference_list() -> ResponseReturnValue:
    """List what Stripe's balance and our books do not agree on."""
    is_resolved = request.args.get("resolved") == "1"
    state = DifferenceState.RESOLVED if is_resolved else DifferenceState.OPEN
    page = queries.page_of_differences(session(), mark=request.args.get("mark"), state=state)
    return render_template("payments/differences.html", differences=page, is_resolved=is_resolved)


@blueprint.route("/finance/differences/<int:number>", methods=["GET", "POST"])
@access.needs(Permission.RESOLVE_DIFFERENCES, HOLDERS)
@once_view
def difference(number: int) -> ResponseReturnValue:
    """Show one difference, and close it with what it was."""
    found = queries.difference_by_number(session(), number)
    form = ResolveForm()
    if form.validate_on_submit():
        with form.catching():
            balance.resolve(session(), difference_id=found.id, resolution=str(form.resolution.data), by=current_actor(), now=clock.now())
            flash(gettext("The difference is closed."), "good")
            return redirect(url_for("payments.difference_list"), 303)
    return render_template("payments/difference.html", form=form, found=found, is_open=found.state is DifferenceState.OPEN), form.status
