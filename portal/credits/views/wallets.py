"""Wallet, statement, and the statement as CSV."""

from datetime import date, datetime, timedelta

from flask import Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.core.errors import N_, Invalid
from portal.core.quantities import decimal_credits
from portal.credits import queries
from portal.credits.permissions import HOLDERS, Permission
from portal.credits.queries.statements import DayChange, Statement, StatementLine, changes_by_day
from portal.credits.queries.wallets import page_of_wallets
from portal.credits.rules.pacing import Pace, pace
from portal.credits.sheets import csv_bytes, safe_text
from portal.credits.views.base import ZONE, blueprint, day_end, day_start, local_day
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
        may_grant=current_actor().has(*HOLDERS[Permission.GIVE_GRANT]),
        now=now,
    )


@blueprint.get("/wallets/<ref>/statement")
@access.signed_in
def statement(ref: str) -> ResponseReturnValue:
    """Show what was booked in a period; made to be printed."""
    now = clock.now()
    first_on, last_on = _period(now)
    card = queries.wallet_by_ref(session(), ref, actor=current_actor())
    found = _statement(card, first_on, last_on, now)
    balance = queries.balance(session(), card.id, now=now) if found.ends_at > now else None
    return render_template("credits/statement.html", wallet=card, statement=found, balance=balance, first_on=first_on, last_on=last_on, shown=LINES_SHOWN)


@blueprint.get("/wallets/<ref>/statement.csv")
@access.signed_in
def statement_csv(ref: str) -> ResponseReturnValue:
    """Give the statement as CSV, with exact decimals and times in UTC."""
    now = clock.now()
    first_on, last_on = _period(now)
    card = queries.wallet_by_ref(session(), ref, actor=current_actor())
    found = _statement(card, first_on, last_on, now)
    head = ["booked_at", "what", "label", "class", "seconds", "credits_per_hour", "lots", "credits", "balance", "debt", "written_off"]
    opening = [found.starts_at.isoformat(), "opening", "", "", "", "", "", "", decimal_credits(found.opening_ucr), "", ""]
    closing = [found.ends_at.isoformat(), "closing", "", "", "", "", "", "", decimal_credits(found.closing_ucr), "", ""]
    response: Response = make_response(csv_bytes(head, [opening, *[_cells(line) for line in found.lines], closing]))
    response.headers["Content-Type"] = "text/csv; charset=utf-8"
    response.headers["Content-Disposition"] = f'attachment; filename="statement-{card.project_slug}-{first_on}-{last_on}.csv"'
    return response


def _statement(card: queries.WalletCard, first_on: date, last_on: date, now: datetime) -> Statement:
    return queries.statement(session(), card.id, starts_at=day_start(first_on), ends_at=day_end(last_on), now=now)


def _period(now: datetime) -> tuple[date, date]:
    """Return the first and the last day asked for; the present month when nothing is. Raises BadPeriod."""
    today = local_day(now)
    try:
        first_on = date.fromisoformat(request.args.get("from") or today.replace(day=1).isoformat())
        last_on = date.fromisoformat(request.args.get("to") or max(today, first_on).isoformat())
    except ValueError as error:
        raise BadPeriod from error
    if not first_on <= last_on <= first_on + LONGEST or not 2000 <= first_on.year <= 2200:
        raise BadPeriod
    return first_on, last_on


def _cells(line: StatementLine) -> list[str]:
    lots = "; ".join(f"{part.lot_number} {part.purpose}: {decimal_credits(part.amount_ucr)}" for part in line.lots)
    rates = "; ".join(f"{part.duration_s} s x {decimal_credits(part.rate_ucr_per_hour)}" for part in line.prices)
    figures = [decimal_credits(value) for value in (line.amount_ucr, line.balance_ucr, line.debt_ucr, line.written_off_ucr)]
    seconds = str(line.duration_s) if line.prices else ""
    return [line.booked_at.isoformat(), line.operation, safe_text(line.label), safe_text(line.charge_class), seconds, rates, safe_text(lots), *figures]


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
