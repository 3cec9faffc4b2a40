"""Warnings: which ones a person wants for which wallet, and the daily mail that brings them."""

from datetime import datetime

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_timezone, gettext

from portal.core import clock
from portal.core.quantities import short_credits
from portal.credits import queries
from portal.credits.calendar import ZONE
from portal.credits.forms import WatchForm
from portal.credits.operations import watches
from portal.credits.queries.wallets import page_of_wallets
from portal.credits.queries.watches import is_switched_off, wanted
from portal.credits.rules.thresholds import Watch
from portal.credits.views.base import blueprint
from portal.web import access, i18n
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.formats import date_
from portal.web.formats.filters import isolate
from portal.web.once import once_view


@blueprint.get("/wallets/warnings")
@access.signed_in
def warning_list() -> ResponseReturnValue:
    """Show what the person wants to hear about each wallet, and the switch of the daily mail."""
    db, actor = session(), current_actor()
    page = page_of_wallets(db, actor, mark=request.args.get("mark"))
    chosen = wanted(db, actor.id, [wallet.id for wallet in page.rows])
    return render_template("credits/warnings.html", wallets=page, wanted=chosen, is_off=is_switched_off(db, actor.id))


@blueprint.post("/wallets/warnings/mail")
@access.signed_in
@once_view
def switch_digest() -> ResponseReturnValue:
    """Switch the daily mail off, or on again."""
    is_off = request.form.get("to") == "off"
    watches.switch(session(), is_off=is_off, by=current_actor(), now=clock.now())
    flash(gettext("You get no daily mail about credits any more.") if is_off else gettext("The daily mail about credits is on again."), "good")
    return redirect(url_for("credits.warning_list"), 303)


@blueprint.route("/wallets/<ref>/warnings", methods=["GET", "POST"])
@access.signed_in
@once_view
def edit_warnings(ref: str) -> ResponseReturnValue:
    """Choose the warnings of one wallet; an empty field is no warning."""
    now, db, actor = clock.now(), session(), current_actor()
    card = queries.wallet_by_ref(db, ref, actor=actor)
    present = wanted(db, actor.id, [card.id])[card.id]
    form = WatchForm(data=_written(present.watch))
    if "usual" in request.form and request.method == "POST":
        watches.forget(db, wallet_id=card.id, by=actor, now=now)
        flash(gettext("This wallet has its usual warnings again."), "good")
        return redirect(url_for("credits.warning_list"), 303)
    if form.validate_on_submit():
        with form.catching():
            watches.choose(db, wallet_id=card.id, watch=_read(form), by=actor, now=now)
            flash(gettext("Your warnings are kept."), "good")
            return redirect(url_for("credits.warning_list"), 303)
    return render_template("credits/edit_warnings.html", form=form, wallet=card, present=present, is_off=is_switched_off(db, actor.id)), form.status


def _written(watch: Watch) -> dict[str, str]:
    """Return a person's warnings as the form shows them."""
    counts = {name: getattr(watch, name) for name in ("days_left", "lot_days", "used_percent", "idle_days")}
    shown = {name: str(count) for name, count in counts.items() if count is not None}
    amounts = {"below": watch.below_ucr, "lot_over": watch.lot_over_ucr or None}
    return shown | {name: short_credits(amount_ucr) for name, amount_ucr in amounts.items() if amount_ucr is not None}


def _read(form: WatchForm) -> Watch:
    lot_over_ucr = (form.lot_over.ucr or 0) if form.lot_days.count is not None else None
    return Watch(form.below.ucr, form.days_left.count, form.lot_days.count, lot_over_ucr, form.used_percent.count, form.idle_days.count)


@blueprint.app_template_filter("iso_day_text")
def iso_day_text(text: str) -> str:
    """Return an ISO instant of a mail's context as the reader's day; plain text."""
    lang = str(i18n.current_locale())
    return isolate(date_(datetime.fromisoformat(text), lang, get_timezone() or ZONE, "weekday"), lang)
