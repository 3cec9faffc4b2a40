"""Incoming bank transfers: entered or read from the bank's list, matched by one person, approved by another."""

import uuid

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from portal.core import clock
from portal.core.ids import new_id
from portal.payments.forms import BankListForm, MatchForm, NoteForm, TransferForm
from portal.payments.operations import bank_transfers
from portal.payments.permissions import HOLDERS, Permission
from portal.payments.queries import finance as queries
from portal.payments.states import BADGES, TRANSFER_WORDS, TransferState
from portal.payments.views.base import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view

ENDED = (TransferState.APPROVED, TransferState.SET_ASIDE)


@blueprint.get("/finance/transfers")
@access.needs(Permission.MATCH_TRANSFERS, HOLDERS)
def transfer_list() -> ResponseReturnValue:
    """List incoming transfers: those to work on, or those that are done with."""
    is_ended = request.args.get("ended") == "1"
    page = queries.page_of_transfers(session(), mark=request.args.get("mark"), states=ENDED if is_ended else queries.OPEN_TRANSFERS)
    context = {"words": TRANSFER_WORDS, "badges": BADGES, "states": TransferState, "me": current_actor().person_id}
    return render_template("payments/transfers.html", transfers=page, is_ended=is_ended, **context)


@blueprint.route("/finance/transfers/new", methods=["GET", "POST"])
@access.needs(Permission.MATCH_TRANSFERS, HOLDERS)
@once_view
def new_transfer() -> ResponseReturnValue:
    """Enter one line of the bank's list."""
    form = TransferForm()
    if form.validate_on_submit():
        with form.catching():
            bank_transfers.enter(session(), form.line(), transfer_id=new_id(), by=current_actor(), now=clock.now())
            flash(gettext("The transfer is entered."), "good")
            return redirect(url_for("payments.transfer_list"), 303)
    return render_template("payments/new_transfer.html", form=form), form.status


@blueprint.route("/finance/transfers/import", methods=["GET", "POST"])
@access.needs(Permission.MATCH_TRANSFERS, HOLDERS)
@once_view
def import_transfers() -> ResponseReturnValue:
    """Read the bank's list; lines that are known already are left out."""
    form = BankListForm()
    if form.validate_on_submit():
        with form.catching():
            made = bank_transfers.enter_all(session(), form.lines, by=current_actor(), now=clock.now())
            told = ngettext("%(num)s new transfer was entered", "%(num)s new transfers were entered", made)
            known = len(form.lines) - made
            flash(told + (gettext(", %(known)s were known already.", known=known) if known else "."), "good")
            return redirect(url_for("payments.transfer_list"), 303)
    return render_template("payments/import_transfers.html", form=form), form.status


@blueprint.route("/finance/transfers/<uuid:transfer_id>/match", methods=["GET", "POST"])
@access.needs(Permission.MATCH_TRANSFERS, HOLDERS)
@once_view
def match_transfer(transfer_id: uuid.UUID) -> ResponseReturnValue:
    """Say which purchase a transfer pays."""
    found = queries.transfer(session(), transfer_id)
    form = MatchForm(purchase=found.purchase.number if found.purchase else None)
    if form.validate_on_submit():
        with form.catching():
            bank_transfers.match(session(), transfer_id=transfer_id, purchase_number=form.purchase.data or 0, by=current_actor(), now=clock.now())
            flash(gettext("The transfer is matched and waits for a second person."), "info")
            return redirect(url_for("payments.transfer_list"), 303)
    return render_template("payments/match_transfer.html", form=form, found=found), form.status


@blueprint.route("/finance/transfers/<uuid:transfer_id>/set-aside", methods=["GET", "POST"])
@access.needs(Permission.MATCH_TRANSFERS, HOLDERS)
@once_view
def set_transfer_aside(transfer_id: uuid.UUID) -> ResponseReturnValue:
    """Say that a transfer pays no purchase, and what it is."""
    found = queries.transfer(session(), transfer_id)
    form = NoteForm()
    if form.validate_on_submit():
        with form.catching():
            bank_transfers.set_aside(session(), transfer_id=transfer_id, note=str(form.note.data), by=current_actor(), now=clock.now())
            flash(gettext("The transfer is set aside."), "info")
            return redirect(url_for("payments.transfer_list"), 303)
    return render_template("payments/set_transfer_aside.html", form=form, found=found), form.status


@blueprint.post("/finance/transfers/<uuid:transfer_id>/unmatch")
@access.needs(Permission.MATCH_TRANSFERS, HOLDERS)
@once_view
def unmatch_transfer(transfer_id: uuid.UUID) -> ResponseReturnValue:
    """Take a match back."""
    bank_transfers.unmatch(session(), transfer_id=transfer_id, by=current_actor(), now=clock.now())
    return redirect(url_for("payments.transfer_list"), 303)


@blueprint.post("/finance/transfers/<uuid:transfer_id>/approve")
@access.needs(Permission.MATCH_TRANSFERS, HOLDERS)
@once_view
def approve_transfer(transfer_id: uuid.UUID) -> ResponseReturnValue:
    """Approve a match as the second person: the credits are issued."""
    bank_transfers.approve(session(), transfer_id=transfer_id, by=current_actor(), now=clock.now())
    flash(gettext("The transfer is approved and the credits are there."), "good")
    return redirect(url_for("payments.transfer_list"), 303)
