"""Funds, grants, and grants that wait for a second person."""

import uuid
from datetime import date, datetime

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.core.ids import new_id
from portal.core.quantities import UCR_PER_CREDIT
from portal.credits import queries
from portal.credits.calendar import day_end, day_start, local_day
from portal.credits.forms import FundForm, GrantForm
from portal.credits.operations import funds as fund_operations
from portal.credits.operations import grants, requests
from portal.credits.permissions import HOLDERS, Permission
from portal.credits.queries import funds as fund_queries
from portal.credits.queries.adjustments import page_of_waiting
from portal.credits.views.base import blueprint
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view


@blueprint.get("/funds")
@access.needs(Permission.SEE_FUNDS, HOLDERS)
def funds() -> ResponseReturnValue:
    """List the funds."""
    page = fund_queries.page_of_funds(session(), mark=request.args.get("mark"))
    return render_template("credits/funds.html", funds=page, may_open=current_actor().has(*HOLDERS[Permission.OPEN_FUND]))


@blueprint.route("/funds/new", methods=["GET", "POST"])
@access.needs(Permission.OPEN_FUND, HOLDERS)
@once_view
def new_fund() -> ResponseReturnValue:
    """Open a fund."""
    form = FundForm()
    if form.validate_on_submit():
        with form.catching():
            terms = {"slug": str(form.slug.data), "name": str(form.name.data), "sponsor": str(form.sponsor.data)}
            fund_operations.open(session(), **terms, budget_ucr=form.budget.ucr or 0, by=current_actor(), now=clock.now())
            flash(gettext("The fund is open."), "good")
            return redirect(url_for("credits.fund", slug=form.slug.data), 303)
    return render_template("credits/new_fund.html", form=form), form.status


@blueprint.get("/funds/<slug>")
@access.needs(Permission.SEE_FUNDS, HOLDERS)
def fund(slug: str) -> ResponseReturnValue:
    """Show what became of a fund's credits, and its grants."""
    found = fund_queries.fund_by_slug(session(), slug)
    page = fund_queries.page_of_grants(session(), found.id, mark=request.args.get("mark"))
    return render_template("credits/fund.html", fund=found, grants=page, as_of=clock.now())


@blueprint.route("/wallets/<ref>/grants/new", methods=["GET", "POST"])
@access.needs(Permission.GIVE_GRANT, HOLDERS)
@once_view
def new_grant(ref: str) -> ResponseReturnValue:
    """Grant credits to a wallet, or ask a second person to."""
    now = clock.now()
    card = queries.wallet_by_ref(session(), ref, actor=current_actor())
    form = GrantForm(fund=request.args.get("fund"), begins_on=local_day(now))
    choices = fund_queries.choices(session())
    form.fund.choices = [(str(id_), name) for id_, name, _ in choices]
    if form.validate_on_submit():
        with form.catching():
            lot_id = _grant(form, card, now)
            flash(gettext("The credits are granted.") if lot_id else gettext("The grant waits for a second person."), "good" if lot_id else "info")
            return redirect(url_for("credits.wallet", ref=card.project_slug) if lot_id else url_for("credits.waiting_grants"), 303)
    page = render_template("credits/new_grant.html", form=form, wallet=card, funds=choices, alone=grants.ALONE_UCR // UCR_PER_CREDIT)
    return page, form.status


def _grant(form: GrantForm, card: queries.WalletCard, now: datetime) -> uuid.UUID | None:
    begins_on, expires_on = form.begins_on.data, form.expires_on.data
    if not isinstance(begins_on, date) or not isinstance(expires_on, date):
        abort(400)
    return requests.ask(
        session(),
        grant_id=new_id(),
        wallet_id=card.id,
        fund_id=uuid.UUID(form.fund.data),
        amount_ucr=form.amount.ucr or 0,
        purpose=str(form.purpose.data),
        classes=form.classes.names,
        effective_at=max(day_start(begins_on), now) if begins_on == local_day(now) else day_start(begins_on),
        expires_at=day_end(expires_on),
        by=current_actor(),
        now=now,
    )


@blueprint.get("/grant-requests")
@access.needs(Permission.DECIDE_GRANT, HOLDERS)
def waiting_grants() -> ResponseReturnValue:
    """List the grants and adjustments that wait for a second person."""
    page = page_of_waiting(session(), mark=request.args.get("mark"))
    return render_template("credits/waiting_grants.html", requests=page, me=current_actor().person_id)


@blueprint.post("/grant-requests/<uuid:request_id>/approve")
@access.needs(Permission.DECIDE_GRANT, HOLDERS)
@once_view
def approve_grant(request_id: uuid.UUID) -> ResponseReturnValue:
    """Approve a grant as the second person."""
    requests.approve(session(), request_id=request_id, by=current_actor(), now=clock.now())
    flash(gettext("The credits are granted."), "good")
    return redirect(url_for("credits.waiting_grants"), 303)


@blueprint.post("/grant-requests/<uuid:request_id>/decline")
@access.needs(Permission.DECIDE_GRANT, HOLDERS)
@once_view
def decline_grant(request_id: uuid.UUID) -> ResponseReturnValue:
    """Decline a grant as the second person."""
    requests.decline(session(), request_id=request_id, by=current_actor(), now=clock.now())
    flash(gettext("The grant is declined. Nothing was booked."), "info")
    return redirect(url_for("credits.waiting_grants"), 303)


@blueprint.post("/grant-requests/<uuid:request_id>/withdraw")
@access.needs(Permission.GIVE_GRANT, HOLDERS)
@once_view
def withdraw_grant(request_id: uuid.UUID) -> ResponseReturnValue:
    """Withdraw a grant that one asked for oneself."""
    requests.withdraw(session(), request_id=request_id, by=current_actor(), now=clock.now())
    flash(gettext("The grant is withdrawn. Nothing was booked."), "info")
    return redirect(url_for("credits.waiting_grants"), 303)
