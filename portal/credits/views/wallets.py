"""Wallet, statement, and the statement as CSV."""

from datetime import datetime, timedelta

from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.core.errors import N_, Invalid
from portal.credits import queries
from portal.credits.calendar import ZONE, day_start, local_day
from portal.credits.permissions import HOLDERS, Permission
from portal.credits.queries.lots import is_led_by
from portal.credits.queries.statements import DayChange, changes_by_day
from portal.credits.queries.wallets import page_of_wallets
from portal.credits.rules.pacing import Pace, pace
from portal.credits.views.base import blueprint
from portal.settings import TIME_ZONE
from portal.web import access, charts, i18n
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.formats import credits_, date_

CHART_DAYS = 90
PACE_DAYS = 28
CHARGES_SHOWN = 10
LINES_SHOWN = 500
LONGEST = timedelta(days=366)


class BadPeriod(Invalid):
    """The dates of a statement cannot be read, or lie the wrong way round or too far apart."""

    text = N_("Choose a first and a last day, at most a year apart.")


@blueprint.get("/wallets")
@access.signed_in
def wallets() -> ResponseReturnValue:
    """List the wallets that the person may see."""
    now = clock.now()
    page = page_of_wallets(session(), current_actor(), mark=request.args.get("mark"))
    balances = queries.balances(session(), [wallet.id for wallet in page.rows], now=now)
    return render_template("credits/wallets.html", wallets=page, balances=balances, as_of=now)


@blueprint.get("/wallets/<ref>")
@access.signed_in
def wallet(ref: str) -> ResponseReturnValue:
    """Show what a wallet has, where it comes from, and where it goes."""
    now, db = clock.now(), session()
    card = queries.wallet_by_ref(db, ref, actor=current_actor())
    balance = queries.balance(db, card.id, now=now)
    changes = changes_by_day(db, card.id, since=day_start(local_day(now) - timedelta(days=CHART_DAYS)), zone=TIME_ZONE, now=now)
    found = pace(_use_by_day(changes, now), balance.balance_ucr, now=now)
    return render_template(
        "credits/wallet.html",
        wallet=card,
        balance=balance,
        lots=queries.lots_of_wallet(db, card.id, now=now),
        charges=queries.page_of_charges(db, card.id, mark=request.args.get("mark"), now=now, size=CHARGES_SHOWN),
        changes=changes,
        pace=found,
        drawings=_burn_down(changes, balance, found, now),
        is_lead=is_led_by(db, card, current_actor()),
        may_grant=current_actor().has(*HOLDERS[Permission.GIVE_GRANT]),
        now=now,
    )


def _use_by_day(changes: list[DayChange], now: datetime) -> list[int]:
    """Return the use of each whole day of the last four weeks, from the first day that anything was used on."""
    used = {change.on: change.used_ucr for change in changes}
    today = local_day(now)
    days = [today - timedelta(days=back) for back in range(PACE_DAYS, 0, -1)]
    first = next((on for on in days if used.get(on)), None)
    return [used.get(on, 0) for on in days if first is not None and on >= first]


def _burn_down(changes: list[DayChange], balance: queries.Balance, found: Pace | None, now: datetime) -> tuple[charts.Drawing, charts.Drawing] | None:
    """Return the drawings of the balance over the last months; None when there is nothing to draw yet."""
    if not changes or (now - day_start(changes[0].on)) < timedelta(days=2):
        return None
    value_ucr = balance.balance_ucr
    points = [(now, value_ucr / 1_000_000)]
    for change in reversed(changes):
        value_ucr -= change.total_ucr
        points.append((max(day_start(change.on), day_start(changes[0].on)), max(value_ucr, 0) / 1_000_000))
    lang = str(i18n.current_locale())
    now_text = gettext("%(credits)s now", credits=credits_(balance.balance_ucr, lang))
    forecast = None
    if found is not None:
        named = gettext("Forecast: %(day)s", day=date_(found.zero_at, lang, ZONE, "day"))
        between = gettext("between %(early)s", early=date_(found.early_at, lang, ZONE, "day"))
        until = gettext("and %(late)s", late=date_(found.late_at, lang, ZONE, "day"))
        forecast = charts.Forecast(found.zero_at, found.early_at, found.late_at, [named, between, until])
    return charts.burn_down(list(reversed(points)), now_text=now_text, lang=lang, tz=ZONE, forecast=forecast)
