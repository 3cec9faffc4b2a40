"""What finance changes by hand: charges given back, debts written off; and what of it waits for a second person."""

import uuid

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.core.ids import new_id
from portal.core.quantities import UCR_PER_CREDIT
from portal.credits import queries
from portal.credits.forms import CorrectForm, WriteOffForm
from portal.credits.operations import adjustments, corrections
from portal.credits.permissions import HOLDERS, Permission
from portal.credits.queries.adjustments import Charge, charge, returned
from portal.credits.states import AdjustmentState
from portal.credits.views.base import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view

ALONE = adjustments.ALONE_UCR // UCR_PER_CREDIT


@blueprint.route("/wallets/<ref>/charges/<uuid:meter_id>/correct", methods=["GET", "POST"])
@access.needs(Permission.ADJUST, HOLDERS)
@once_view
def correct_charge(ref: str, meter_id: uuid.UUID) -> ResponseReturnValue:
    """Give back what a session was charged from a second on; the figures are shown before it is booked."""
    card = queries.wallet_by_ref(session(), ref, actor=current_actor())
    found, form, back_ucr = charge(session(), card, meter_id), CorrectForm(), None
    if form.validate_on_submit():
        with form.catching():
            from_s = form.kept.count or 0
            back_ucr = corrections.back_ucr(session(), session_id=found.session_id, generation=found.generation, from_s=from_s)
            if form.seen.data == f"{from_s}:{back_ucr}":
                _correct(found, from_s, str(form.reason.data))
                return redirect(url_for("credits.wallet", ref=ref), 303)
            form.seen.data = f"{from_s}:{back_ucr}"
    gifts = [row for row in returned(session(), found.session_id) if row.rule is not None]
    return render_template("credits/correct_charge.html", form=form, wallet=card, charge=found, back_ucr=back_ucr, gifts=gifts, alone=ALONE), form.status


def _correct(found: Charge, from_s: int, reason: str) -> None:
    state = adjustments.correct(
        session(),
        adjustment_id=new_id(),
        session_id=found.session_id,
        generation=found.generation,
        from_s=from_s,
        reason=reason,
        by=current_actor(),
        now=clock.now(),
    )
    say(state, gettext("The charge is corrected, and the leads of the project are told."))


@blueprint.route("/wallets/<ref>/write-off", methods=["GET", "POST"])
@access.needs(Permission.ADJUST, HOLDERS)
@once_view
def write_off(ref: str) -> ResponseReturnValue:
    """Ask that a wallet's debt be written off."""
    now = clock.now()
    card = queries.wallet_by_ref(session(), ref, actor=current_actor())
    form = WriteOffForm()
    if form.validate_on_submit():
        with form.catching():
            amount_ucr, reason = form.amount.ucr or 0, str(form.reason.data)
            adjustments.write_off(session(), adjustment_id=new_id(), wallet_id=card.id, amount_ucr=amount_ucr, reason=reason, by=current_actor(), now=now)
            flash(gettext("It waits for a second person."), "info")
            return redirect(url_for("credits.waiting_grants"), 303)
    balance = queries.balance(session(), card.id, now=now)
    return render_template("credits/write_off.html", form=form, wallet=card, balance=balance), form.status


@blueprint.post("/adjustments/<uuid:adjustment_id>/approve")
@access.needs(Permission.DECIDE_GRANT, HOLDERS)
@once_view
def approve_adjustment(adjustment_id: uuid.UUID) -> ResponseReturnValue:
    """Approve as the second person: it is booked."""
    adjustments.approve(session(), adjustment_id=adjustment_id, by=current_actor(), now=clock.now())
    flash(gettext("It is booked, and the leads of the project are told."), "good")
    return redirect(url_for("credits.waiting_grants"), 303)


@blueprint.post("/adjustments/<uuid:adjustment_id>/decline")
@access.needs(Permission.DECIDE_GRANT, HOLDERS)
@once_view
def decline_adjustment(adjustment_id: uuid.UUID) -> ResponseReturnValue:
    """Decline as the second person."""
    adjustments.decline(session(), adjustment_id=adjustment_id, by=current_actor(), now=clock.now())
    flash(gettext("It is declined. Nothing was booked."), "info")
    return redirect(url_for("credits.waiting_grants"), 303)


@blueprint.post("/adjustments/<uuid:adjustment_id>/withdraw")
@access.needs(Permission.ADJUST, HOLDERS)
@once_view
def withdraw_adjustment(adjustment_id: uuid.UUID) -> ResponseReturnValue:
    """Withdraw what one asked for oneself."""
    adjustments.withdraw(session(), adjustment_id=adjustment_id, by=current_actor(), now=clock.now())
    flash(gettext("It is withdrawn. Nothing was booked."), "info")
    return redirect(url_for("credits.waiting_grants"), 303)


def say(state: AdjustmentState, booked: str) -> None:
    """Tell whether an adjustment is booked, or waits."""
    if state is AdjustmentState.BOOKED:
        flash(booked, "good")
    else:
        flash(gettext("It waits for a second person."), "info")
