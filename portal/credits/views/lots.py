"""One lot: what it is and has, and what may be done with it: moving, lending, giving back, a later end, taking back."""

import uuid
from datetime import date, datetime, timedelta

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # newer than its type stubs

from portal.core import clock
from portal.core.errors import NotFound
from portal.core.ids import new_id
from portal.credits import queries
from portal.credits.calendar import day_end, local_day
from portal.credits.forms import ExtendForm, MoveForm, RevokeForm, SupplementForm
from portal.credits.operations import adjustments, grants, requests, revocations, transfers
from portal.credits.permissions import HOLDERS, Permission
from portal.credits.queries.lots import LotView, is_led_by, lot_by_number, targets
from portal.credits.queries.pacing import outlooks
from portal.credits.views.adjustments import ALONE, say
from portal.credits.views.base import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view


def _found(ref: str, number: int, now: datetime) -> tuple[queries.WalletCard, LotView]:
    card = queries.wallet_by_ref(session(), ref, actor=current_actor())
    return card, lot_by_number(session(), card, number, now=now)


def _led(card: queries.WalletCard) -> None:
    if not is_led_by(session(), card, current_actor()):
        raise NotFound


@blueprint.get("/wallets/<ref>/lots/<int:number>")
@access.signed_in
def lot(ref: str, number: int) -> ResponseReturnValue:
    """Show a lot, and what may be done with it."""
    now = clock.now()
    card, found = _found(ref, number, now)
    may_change = current_actor().has(*HOLDERS[Permission.CHANGE_LOT])
    balance = queries.balance(session(), card.id, now=now)
    ahead = outlooks(session(), {card.id: balance}, {card.id: found.among}, now=now).by_wallet[card.id]
    context = {"ahead": ahead, "is_lead": is_led_by(session(), card, current_actor()), "may_change": may_change, "now": now}
    context["may_grant"] = current_actor().has(*HOLDERS[Permission.GIVE_GRANT])
    return render_template("credits/lot.html", wallet=card, found=found, lot=found.row, **context)


@blueprint.route("/wallets/<ref>/lots/<int:number>/move", methods=["GET", "POST"])
@access.signed_in
@once_view
def move_lot(ref: str, number: int) -> ResponseReturnValue:
    """Move free credits to another project of the lead's, for good or until a day."""
    now, db = clock.now(), session()
    card, found = _found(ref, number, now)
    _led(card)
    form = MoveForm()
    form.target.choices = [SelectChoice(str(id_), name) for id_, name in targets(db, card, current_actor())]
    if form.validate_on_submit():
        with form.catching():
            target_id, amount_ucr, on = uuid.UUID(form.target.data), form.amount.ucr or 0, form.returns_on.data
            what = {"lot_id": found.row.id, "target_wallet_id": target_id}
            if isinstance(on, date):
                transfers.lend(db, loan_id=new_id(), amount_ucr=amount_ucr, returns_at=day_end(on), by=current_actor(), now=now, **what)
                flash(gettext("The credits are lent. What is left goes back by itself."), "good")
            else:
                transfers.transfer(db, transfer_id=new_id(), amount_ucr=amount_ucr, by=current_actor(), now=now, **what)
                flash(gettext("The credits are moved, with the same fund, purpose and last day."), "good")
            return redirect(url_for("credits.wallet", ref=ref), 303)
    return render_template("credits/move_lot.html", form=form, wallet=card, lot=found.row), form.status


@blueprint.post("/wallets/<ref>/lots/<int:number>/give-back")
@access.signed_in
@once_view
def give_back_lot(ref: str, number: int) -> ResponseReturnValue:
    """Give a loan back before its day."""
    now = clock.now()
    card, found = _found(ref, number, now)
    _led(card)
    if found.loan is None:
        raise NotFound
    transfers.give_back(session(), loan_id=found.loan.id, by=current_actor(), now=now)
    flash(gettext("What was free of the loan went back."), "good")
    return redirect(url_for("credits.wallet", ref=ref), 303)


@blueprint.route("/wallets/<ref>/lots/<int:number>/extend", methods=["GET", "POST"])
@access.needs(Permission.CHANGE_LOT, HOLDERS)
@once_view
def extend_lot(ref: str, number: int) -> ResponseReturnValue:
    """Give what is free of a lot a later end."""
    now = clock.now()
    card, found = _found(ref, number, now)
    form = ExtendForm()
    on = form.expires_on.data
    if form.validate_on_submit() and isinstance(on, date):
        with form.catching():
            ends_at, reason = day_end(on), str(form.reason.data)
            state = adjustments.extend(session(), adjustment_id=new_id(), lot_id=found.row.id, expires_at=ends_at, reason=reason, by=current_actor(), now=now)
            say(state, gettext("What was free of it has a later end now."))
            return redirect(url_for("credits.wallet", ref=ref), 303)
    return render_template("credits/extend_lot.html", form=form, wallet=card, lot=found.row, alone=ALONE), form.status


@blueprint.route("/wallets/<ref>/lots/<int:number>/supplement", methods=["GET", "POST"])
@access.needs(Permission.GIVE_GRANT, HOLDERS)
@once_view
def supplement_lot(ref: str, number: int) -> ResponseReturnValue:
    """Add to a grant: more from the same fund for the same purpose."""
    now = clock.now()
    card, found = _found(ref, number, now)
    form = SupplementForm(expires_on=local_day(found.row.expires_at - timedelta(seconds=1)))
    on = form.expires_on.data
    if form.validate_on_submit() and isinstance(on, date):
        with form.catching():
            amount_ucr, ends_at, actor = form.amount.ucr or 0, day_end(on), current_actor()
            lot_id = requests.supplement(session(), grant_id=new_id(), lot_id=found.row.id, amount_ucr=amount_ucr, expires_at=ends_at, by=actor, now=now)
            flash(gettext("The credits are granted.") if lot_id else gettext("The grant waits for a second person."), "good" if lot_id else "info")
            return redirect(url_for("credits.wallet", ref=ref) if lot_id else url_for("credits.waiting_grants"), 303)
    return render_template("credits/supplement_lot.html", form=form, wallet=card, lot=found.row, alone=ALONE), form.status


@blueprint.route("/wallets/<ref>/lots/<int:number>/revoke", methods=["GET", "POST"])
@access.needs(Permission.CHANGE_LOT, HOLDERS)
@once_view
def revoke_lot(ref: str, number: int) -> ResponseReturnValue:
    """Take a grant back to its fund."""
    now = clock.now()
    card, found = _found(ref, number, now)
    form = RevokeForm()
    if form.validate_on_submit():
        with form.catching():
            grants.refuse_own_project(session(), card.project_id, {current_actor().id})
            revocations.revoke(session(), lot_id=found.row.id, reason=str(form.reason.data), by=current_actor(), now=now)
            flash(gettext("The grant is taken back. What running sessions hold of it goes back when they end."), "info")
            return redirect(url_for("credits.wallet", ref=ref), 303)
    return render_template("credits/revoke_lot.html", form=form, wallet=card, lot=found.row), form.status
