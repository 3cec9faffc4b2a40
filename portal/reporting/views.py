"""Reports: the list, one of a fund or a cohort, and its files."""

from datetime import date, datetime

from flask import Blueprint, Response, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.core import clock
from portal.core.errors import N_, Invalid
from portal.core.pages import Page
from portal.core.quantities import UCR_PER_CREDIT
from portal.credits.calendar import ZONE, local_day, month_after
from portal.credits.queries.funds import page_of_funds
from portal.reporting import papers, queries
from portal.reporting.permissions import HOLDERS, Permission
from portal.reporting.queries import Kind, ProjectFlow, Report, Subject
from portal.web import access, charts, i18n
from portal.web.database import session
from portal.web.formats import date_

blueprint = Blueprint("reporting", __name__, template_folder="templates")
PROJECTS_SHOWN = 50
MOST_MONTHS = 36
FIRST_MONTHS, LEAST_MONTHS = 12, 6
FILES = {
    "csv": (papers.csv, "text/csv; charset=utf-8"),
    "xlsx": (papers.xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "pdf": (papers.pdf, "application/pdf"),
}


class BadMonths(Invalid):
    """The months of a report cannot be read, or lie the wrong way round or too far apart."""

    text = N_("Choose a first and a last month, at most three years apart.")


@blueprint.get("/")
@access.needs(Permission.SEE_REPORTS, HOLDERS)
def report_list() -> ResponseReturnValue:
    """List what there are reports of."""
    funds = page_of_funds(session(), mark=request.args.get("funds"))
    cohorts = queries.page_of_cohorts(session(), mark=request.args.get("mark"))
    return render_template("reporting/reports.html", funds=funds, cohorts=cohorts)


@blueprint.get("/<any(funds, calls):kind>/<slug>")
@access.needs(Permission.SEE_REPORTS, HOLDERS)
def report(kind: str, slug: str) -> ResponseReturnValue:
    """Show what became of a fund's credits, or of a cohort's, by month and by project."""
    found, months = _found(kind, slug)
    drawings = charts.columns([(_short(row.month), row.flow.used_ucr / UCR_PER_CREDIT) for row in found.months], lang=str(i18n.current_locale()))
    page = _page_of(found, request.args.get("mark"))
    return render_template("reporting/report.html", report=found, title=_title(found.subject), months=months, projects=page, drawings=drawings, kinds=Kind)


@blueprint.get("/<any(funds, calls):kind>/<slug>/report.<any(csv, xlsx, pdf):fmt>")
@access.needs(Permission.SEE_REPORTS, HOLDERS)
def report_file(kind: str, slug: str, fmt: str) -> ResponseReturnValue:
    """Give the report as a file."""
    found, months = _found(kind, slug)
    language = str(i18n.current_locale())
    first, last = (date_(on, language, ZONE, "month") for on in (months[0], months[-1]))
    lead = gettext("%(first)s to %(last)s, in Casablanca time. Opening, lines and closing add up exactly, from the journal.", first=first, last=last)
    write, mimetype = FILES[fmt]
    response: Response = make_response(write(papers.Paper(found, _title(found.subject), lead, language)))
    response.headers["Content-Type"] = mimetype
    name = f"report-{found.subject.slug}-{months[0]:%Y-%m}-{months[-1]:%Y-%m}.{fmt}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _found(kind: str, slug: str) -> tuple[Report, list[date]]:
    now = clock.now()
    subject = queries.subject_of(session(), Kind(kind), slug)
    months = _months(subject, now)
    return queries.report(session(), subject, months=months, now=now), months


def _months(subject: Subject, now: datetime) -> list[date]:
    """Return the months asked for; without, half a year, or as far back as the subject's first credits, a year at most. Raises BadMonths."""
    present = local_day(now).replace(day=1)
    last = _month(request.args.get("to")) or present
    first = _month(request.args.get("from"))
    if first is None:
        began_at = queries.first_booking(session(), subject) or now
        first = max(min(local_day(began_at).replace(day=1), _back(last, LEAST_MONTHS - 1)), _back(last, FIRST_MONTHS - 1))
    months = [first]
    while months[-1] < last and len(months) <= MOST_MONTHS:
        months.append(month_after(months[-1]))
    if months[-1] != last or len(months) > MOST_MONTHS:
        raise BadMonths
    return months


def _back(month: date, months: int) -> date:
    place = month.year * 12 + month.month - 1 - months
    return date(place // 12, place % 12 + 1, 1)


def _month(text: str | None) -> date | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise BadMonths from error
    if not 2000 <= found.year <= 2200:
        raise BadMonths
    return found


def _title(subject: Subject) -> str:
    if subject.kind is Kind.FUND:
        return subject.name
    language = str(i18n.current_locale())
    return subject.titles.get(language) or subject.titles.get("en") or next(iter(subject.titles.values()), subject.slug)


def _short(month: date) -> str:
    """Return a month for an axis, where twelve stand beside each other."""
    return f"{month:%m}"


def _page_of(found: Report, mark: str | None) -> Page[ProjectFlow]:
    begin = int(mark) if mark and mark.isascii() and mark.isdecimal() and len(mark) < 7 else 0
    end = begin + PROJECTS_SHOWN
    rows = found.projects[begin:end]
    return Page(rows, str(end) if end < len(found.projects) else None, str(max(0, begin - PROJECTS_SHOWN)) if begin else None)
