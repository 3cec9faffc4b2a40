"""Statements: the page, CSV at once, PDF and spreadsheet in the background with progress; and closing months."""

from datetime import date, datetime, timedelta
from io import BytesIO

from flask import Response, flash, make_response, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.core.errors import N_, Invalid, NotFound
from portal.core.ids import new_id
from portal.core.quantities import decimal_credits
from portal.credits import queries
from portal.credits.calendar import day_end, day_start, local_day
from portal.credits.operations import exports, months
from portal.credits.papers import file_name
from portal.credits.permissions import HOLDERS, Permission
from portal.credits.queries.closing import head
from portal.credits.queries.closing import months as closed_months
from portal.credits.queries.exports import content_of, export_by_number
from portal.credits.queries.statement_pages import statement_page
from portal.credits.queries.statements import Statement, StatementLine
from portal.credits.sheets import csv_bytes, safe_text
from portal.credits.states import ExportFormat, ExportState
from portal.credits.views.base import blueprint
from portal.web import access, i18n
from portal.web.actors import current_actor
from portal.web.database import session
from portal.web.once import once_view

LONGEST = timedelta(days=366)
TYPES = {ExportFormat.PDF: "application/pdf", ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}


class BadPeriod(Invalid):
    """The dates of a statement cannot be read, or lie the wrong way round or too far apart."""

    text = N_("Choose a first and a last day, at most a year apart.")


@blueprint.get("/wallets/<ref>/statement")
@access.signed_in
def statement(ref: str) -> ResponseReturnValue:
    """Show what was booked in a period, a hundred lines a page; made to be printed."""
    now = clock.now()
    first_on, last_on = _period(now)
    card = queries.wallet_by_ref(session(), ref, actor=current_actor())
    mark = request.args.get("mark")
    found = statement_page(session(), card.id, starts_at=day_start(first_on), ends_at=day_end(last_on), mark=mark, now=now)
    balance = queries.balance(session(), card.id, now=now) if found.ends_at > now else None
    context = {"first_on": first_on, "last_on": last_on, "head": head(session())}
    return render_template("credits/statement.html", wallet=card, statement=found, balance=balance, **context)


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


@blueprint.post("/wallets/<ref>/statement/<any(pdf, xlsx):fmt>")
@access.signed_in
@once_view
def ask_for_file(ref: str, fmt: str) -> ResponseReturnValue:
    """Ask for the statement as a file, and show how far it has come."""
    now, actor = clock.now(), current_actor()
    first_on, last_on = _period(now)
    card = queries.wallet_by_ref(session(), ref, actor=actor)
    number = exports.ask(
        session(),
        export_id=new_id(),
        wallet_id=card.id,
        fmt=ExportFormat(fmt),
        language=str(i18n.current_locale()),
        first_on=first_on,
        last_on=last_on,
        by=actor,
        now=now,
    )
    return redirect(url_for("credits.statement_file", ref=ref, number=number), 303)


@blueprint.get("/wallets/<ref>/statement-files/<int:number>")
@access.signed_in
def statement_file(ref: str, number: int) -> ResponseReturnValue:
    """Show how far a file has come; the page renews itself until it is there."""
    card = queries.wallet_by_ref(session(), ref, actor=current_actor())
    found = export_by_number(session(), card.id, number, actor=current_actor())
    is_open = found.state in {ExportState.WAITING, ExportState.RUNNING}
    name = "credits/_export.html" if request.headers.get("HX-Request") else "credits/export.html"
    return render_template(name, wallet=card, found=found, is_open=is_open)


@blueprint.get("/wallets/<ref>/statement-files/<int:number>/download")
@access.signed_in
def download(ref: str, number: int) -> ResponseReturnValue:
    """Give the file."""
    card = queries.wallet_by_ref(session(), ref, actor=current_actor())
    found = export_by_number(session(), card.id, number, actor=current_actor())
    if found.state is not ExportState.DONE:
        raise NotFound
    content = content_of(session(), card.id, number, actor=current_actor())
    name = file_name(card.project_slug, found.format, found.first_on, found.last_on)
    return send_file(BytesIO(content), TYPES[found.format], as_attachment=True, download_name=name)


@blueprint.get("/months")
@access.needs(Permission.SEE_FUNDS, HOLDERS)
def month_list() -> ResponseReturnValue:
    """List closed months, and offer the next one to whoever may close it."""
    now = clock.now()
    may_close = current_actor().has(*HOLDERS[Permission.CLOSE_MONTH])
    rows = closed_months(session(), before=_month(request.args.get("before")))
    return render_template("credits/months.html", months=rows, following=months.next_month(session(), now=now), may_close=may_close, head=head(session()))


@blueprint.post("/months/<month>/close")
@access.needs(Permission.CLOSE_MONTH, HOLDERS)
@once_view
def close_month(month: str) -> ResponseReturnValue:
    """Close a month: nothing is booked into it any more."""
    on = _month(month)
    if on is None:
        raise NotFound
    months.close(session(), month=on, by=current_actor(), now=clock.now())
    flash(gettext("The month is closed."), "good")
    return redirect(url_for("credits.month_list"), 303)


def _month(text: str | None) -> date | None:
    try:
        return date.fromisoformat(f"{text}-01") if text else None
    except ValueError:
        return None
