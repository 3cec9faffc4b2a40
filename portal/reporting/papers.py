"""Reports as files, in the words of the page: CSV, spreadsheet, PDF."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
from flask_babel import gettext
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font

from portal.core import typeset
from portal.core.quantities import UCR_PER_CREDIT, decimal_credits
from portal.credits.calendar import ZONE
from portal.credits.sheets import csv_bytes, safe_text
from portal.reporting.queries import Report
from portal.reporting.rules import Flow
from portal.web.formats import credits_exact, date_

TEMPLATE = Path(__file__).resolve().parent / "templates" / "reporting" / "report.typ"
COLUMNS = ("opening", "issued", "used", "expired", "returned", "moved", "closing")


@dataclass(frozen=True)
class Paper:
    """A report with its heading, in a language."""

    report: Report
    title: str
    lead: str
    language: str

    def month(self, on: date) -> str:
        """Return a month in words."""
        return date_(on, self.language, ZONE, "month")

    def rows(self) -> Iterator[tuple[str, str, Flow]]:
        """Give kind, name and flow of every row: months, projects, the whole."""
        for row in self.report.months:
            yield "month", row.month.isoformat()[:7], row.flow
        for project in self.report.projects:
            yield "project", project.name, project.flow
        yield "total", "", self.report.whole


def amounts(flow: Flow) -> tuple[int, ...]:
    """Return a flow's figures in the order of the columns."""
    return (flow.opening_ucr, flow.issued_ucr, -flow.used_ucr, -flow.expired_ucr, -flow.returned_ucr, flow.moved_ucr, flow.closing_ucr)


def words() -> list[str]:
    """Return the columns in words."""
    return [gettext("Opening"), gettext("Issued"), gettext("Used"), gettext("Ended unused"), gettext("Returned"), gettext("Moved"), gettext("Closing")]


def csv(paper: Paper) -> bytes:
    """Return the report as CSV, with exact decimals."""
    rows = [[kind, safe_text(name), *(decimal_credits(amount) for amount in amounts(flow))] for kind, name, flow in paper.rows()]
    return csv_bytes(["row", "name", *COLUMNS], rows)


def xlsx(paper: Paper) -> bytes:
    """Return the report as a spreadsheet: a sheet of months, a sheet of projects."""
    book = openpyxl.Workbook(write_only=True)
    by_month = [(paper.month(row.month), row.flow) for row in paper.report.months]
    by_project = [(row.name, row.flow) for row in paper.report.projects]
    for name, rows in ((gettext("Months"), by_month), (gettext("Projects"), by_project)):
        sheet = book.create_sheet(name)
        sheet.sheet_view.rightToLeft = paper.language == "ar"
        for width, column in zip((40, *[16] * 7), "ABCDEFGH", strict=True):
            sheet.column_dimensions[column].width = width
        sheet.append([_bold(sheet, safe_text(paper.title))])
        sheet.append([_bold(sheet, word) for word in ("", *words())])
        for label, flow in rows:
            sheet.append([safe_text(label), *(_number(amount) for amount in amounts(flow))])
        sheet.append([_bold(sheet, gettext("Total")), *(_number(amount) for amount in amounts(paper.report.whole))])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def pdf(paper: Paper) -> bytes:
    """Return the report as PDF."""
    found = paper.report
    data = {
        "lang": paper.language,
        "title": paper.title,
        "lead": paper.lead,
        "page": gettext("Page"),
        "seal": gettext("Sealed: block %(number)s, %(digest)s", number=found.head.number, digest=found.head.short) if found.head is not None else "",
        "columns": words(),
        "parts": [
            {"title": gettext("By month"), "name": gettext("Month"), "rows": [_line(paper, paper.month(row.month), row.flow) for row in found.months]},
            {"title": gettext("By project"), "name": gettext("Project"), "rows": [_line(paper, row.name, row.flow) for row in found.projects]},
        ],
        "total": _line(paper, gettext("Total"), found.whole),
    }
    return typeset.pdf(TEMPLATE, data, made_at=found.as_of)


def _line(paper: Paper, label: str, flow: Flow) -> Sequence[str]:
    return [label, *(credits_exact(amount, paper.language) for amount in amounts(flow))]


def _number(amount_ucr: int) -> float:
    # A spreadsheet knows no other numbers; six places of up to nine digits are exact in it.
    return amount_ucr / UCR_PER_CREDIT


def _bold(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, value=text)
    cell.font = Font(bold=True)
    return cell
