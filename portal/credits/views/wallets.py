"""Wallets: the list, one with what it has and how it will fare, and its balance day by day."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from flask import render_template, request
from flask.typing import ResponseReturnValue

from portal.core import clock
from portal.credits import queries
from portal.credits.calendar import day_start, local_day
from portal.credits.permissions import HOLDERS, Permission
from portal.credits.queries.ahead import WalletAhead, look_ahead
from portal.credits.queries.freshness import freshness
from portal.credits.queries.statements import DayChange, changes_by_day
from portal.credits.queries.wallets import holdings, page_of_wallets
from portal.credits.queries.watches import wanted
from portal.credits.views.base import blueprint
from portal.credits.views.drawings import burn_down
from portal.settings import TIME_ZONE
from portal.web import access
from portal.web.actors import current_actor
from portal.web.database import session

CHART_DAYS = 90
CHARGES_SHOWN = 10


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
    """Show what a wallet has, where it comes from, how long it lasts, and what happens next."""
    now, db = clock.now(), session()
    card = queries.wallet_by_ref(db, ref, actor=current_actor())
    balance, changes = queries.balance(db, card.id, now=now), _changes(card, now)
    ahead = _ahead(balance, changes, now)
    wants = wanted(db, current_actor().id, [card.id])[card.id]
    return render_template(
        "credits/wallet.html",
        wallet=card,
        balance=balance,
        ahead=ahead,
        charges=queries.page_of_charges(db, card.id, mark=request.args.get("mark"), now=now, size=CHARGES_SHOWN),
        changes=changes,
        drawings=burn_down(changes, balance, ahead.outlook, now),
        watch=wants.watch,
        is_lead=wants.is_lead,
        fresh=freshness(db),
        may_grant=current_actor().has(*HOLDERS[Permission.GIVE_GRANT]),
        may_adjust=current_actor().has(*HOLDERS[Permission.ADJUST]),
        now=now,
    )


@blueprint.get("/wallets/<ref>/days")
@access.signed_in
def wallet_days(ref: str) -> ResponseReturnValue:
    """Show the burn-down chart as a table: what was booked on each day, and what is expected."""
    now, db = clock.now(), session()
    card = queries.wallet_by_ref(db, ref, actor=current_actor())
    balance, changes = queries.balance(db, card.id, now=now), _changes(card, now)
    ahead = _ahead(balance, changes, now)
    return render_template("credits/days.html", wallet=card, balance=balance, days=days_of(changes, balance), ahead=ahead, expected=expected_of(ahead))


def _ahead(balance: queries.Balance, changes: Sequence[DayChange], now: datetime) -> WalletAhead:
    having = holdings(session(), [balance.wallet_id], now=now)[balance.wallet_id]
    return look_ahead(session(), balance, having, {change.on: change.used_ucr for change in changes}, now=now)


def _changes(card: queries.WalletCard, now: datetime) -> list[DayChange]:
    return changes_by_day(session(), card.id, since=day_start(local_day(now) - timedelta(days=CHART_DAYS)), zone=TIME_ZONE, now=now)


def days_of(changes: Sequence[DayChange], balance: queries.Balance) -> list[tuple[DayChange, int]]:
    """Return days with what the wallet had at the end of each, the newest first; today ends with what it has now."""
    closing_ucr, rows = balance.balance_ucr, []
    for change in reversed(changes):
        rows.append((change, closing_ucr))
        closing_ucr -= change.total_ucr
    return rows


def expected_of(ahead: WalletAhead) -> list[tuple[datetime, int, int]]:
    """Return the instants at which the course of the forecast changes: what begins (+) or ends unused (-) then, and what is left."""
    course = ahead.outlook.ahead.course if ahead.outlook is not None else []
    rows: list[tuple[datetime, int, int]] = []
    for (_, before_ucr), (at, after_ucr) in pairwise(course):
        if rows and rows[-1][0] == at:
            rows[-1] = (at, rows[-1][1] + after_ucr - before_ucr, after_ucr)
        else:
            rows.append((at, 0, after_ucr))
    return rows
