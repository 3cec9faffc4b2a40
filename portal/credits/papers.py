"""Statements as files: PDF and spreadsheet, in the language of whoever asked, with the words of the page."""

import html
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
from flask import Flask
from flask_babel import gettext
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font

from portal.core import typeset
from portal.core.quantities import UCR_PER_CREDIT
from portal.credits.calendar import ZONE
from portal.credits.queries.closing import Head
from portal.credits.queries.statements import Statement, StatementLine
from portal.credits.sheets import safe_text
from portal.credits.states import ExportFormat
from portal.settings import TIME_ZONE, Settings
from portal.web.formats import credits_exact, date_, datetime_
from portal.web.i18n import reading_as

TEMPLATE = Path(__file__).resolve().parent / "templates" / "credits" / "statement.typ"
STEP = 250
_ISOLATE, _POP = "\u2068", "\u2069"
Note = Callable[[int], None]


@dataclass(frozen=True)
class StatementPaper:
    """A statement to write: in which format and language, of which project and days; head: what it is sealed with."""

    format: ExportFormat
    language: str
    statement: Statement
    project: str
    days: tuple[date, date]
    head: Head | None

    def exact(self, amount_ucr: int) -> str:
        """Return credits with all their decimals."""
        return credits_exact(amount_ucr, self.language)

    @property
    def sums(self) -> list[tuple[str, int]]:
        """Return what the statement adds up to, in words and µcredits."""
        first, last = (date_(on, self.language, ZONE) for on in self.days)
        found = self.statement
        return [
            (gettext("Opening, %(day)s", day=first), found.opening_ucr),
            (gettext("Came in"), found.given_ucr),
            (gettext("Went out"), found.taken_ucr),
            (gettext("Closing, %(day)s", day=last), found.closing_ucr),
        ]

    @property
    def title(self) -> str:
        """Return the heading."""
        first, last = (date_(on, self.language, ZONE) for on in self.days)
        return str(gettext("Statement, %(first)s to %(last)s", first=first, last=last))


class StatementWriter:
    """Writes statements; handed to jobs as the resource `write_statement`."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        settings: Settings = app.extensions["portal_settings"]
        self._portal_url = settings.public_url

    def __call__(self, paper: StatementPaper, *, note: Note) -> bytes:
        """Return the file; `note` is told how many lines are written, every few hundred."""
        with reading_as(self._app, language=paper.language, zone=TIME_ZONE, base_url=self._portal_url):
            return self._xlsx(paper, note) if paper.format is ExportFormat.XLSX else self._pdf(paper, note)

    def _pdf(self, paper: StatementPaper, note: Note) -> bytes:
        lines = []
        for title, about, line in self._words(paper.statement.lines, note):
            booked = datetime_(line.booked_at, paper.language, ZONE, seconds=True)
            lines.append([title, about, booked, paper.exact(line.amount_ucr), paper.exact(line.balance_ucr)])
        head = paper.head
        data = {
            "lang": paper.language,
            "title": paper.title,
            "project": paper.project,
            "lead": gettext("Everything booked from the first to the last day, in Casablanca time. Opening, lines and closing add up exactly."),
            "page": gettext("Page"),
            "seal": gettext("Sealed: block %(number)s, %(digest)s", number=head.number, digest=head.short) if head is not None else "",
            "sums": [[words, paper.exact(amount_ucr)] for words, amount_ucr in paper.sums],
            "columns": [gettext("What"), gettext("Booked"), gettext("Credits"), gettext("Balance")],
            "lines": lines,
            "empty": gettext("Nothing was booked in these days."),
        }
        return typeset.pdf(TEMPLATE, data, made_at=paper.statement.as_of)

    def _xlsx(self, paper: StatementPaper, note: Note) -> bytes:
        book = openpyxl.Workbook(write_only=True)
        sheet = book.create_sheet(f"{paper.days[0]} {paper.days[1]}")
        sheet.sheet_view.rightToLeft = paper.language == "ar"
        for width, column in zip((60, 20, 16, 16, 60), "ABCDE", strict=True):
            sheet.column_dimensions[column].width = width
        sheet.append([_bold(sheet, safe_text(paper.project)), None, None, None, _bold(sheet, paper.title)])
        sheet.append([_bold(sheet, word) for word in (gettext("What"), gettext("Booked"), gettext("Credits"), gettext("Balance"), gettext("Details"))])
        opening, _, _, closing = paper.sums
        sheet.append([opening[0], None, None, _number(opening[1])])
        for title, about, line in self._words(paper.statement.lines, note):
            booked = line.booked_at.astimezone(ZONE).replace(tzinfo=None, microsecond=0)
            sheet.append([safe_text(_bare(title)), booked, _number(line.amount_ucr), _number(line.balance_ucr), safe_text(_bare(about))])
        sheet.append([closing[0], None, None, _number(closing[1])])
        out = io.BytesIO()
        book.save(out)
        return out.getvalue()

    def _words(self, lines: Sequence[StatementLine], note: Note) -> Iterator[tuple[str, str, StatementLine]]:
        """Give each line with its title and details, in the words of the page."""
        words: Any = self._app.jinja_env.get_template("credits/_lines.html").module
        for place, line in enumerate(lines, start=1):
            yield _plain(words.line_title(line)), _plain(words.line_note(line)), line
            if place % STEP == 0:
                note(place)


def install(app: Flask) -> None:
    """Hand the writer to jobs."""
    app.extensions.setdefault("job_resources", {})["write_statement"] = StatementWriter(app)


def _plain(markup: str) -> str:
    """Return markup as text; what it isolates stays isolated."""
    text = re.sub(r"<bdi[^>]*>", _ISOLATE, str(markup)).replace("</bdi>", _POP)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", text)).split(" ")).strip()


def _bare(text: str) -> str:
    return text.replace(_ISOLATE, "").replace(_POP, "")


def _number(amount_ucr: int) -> float:
    # A spreadsheet knows no other numbers; six places of up to nine digits are exact in it.
    return amount_ucr / UCR_PER_CREDIT


def _bold(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, value=text)
    cell.font = Font(bold=True)
    return cell


def file_name(slug: str, fmt: ExportFormat, first_on: date, last_on: date) -> str:
    """Return a file's name."""
    return f"statement-{slug}-{first_on}-{last_on}.{fmt.value}"
