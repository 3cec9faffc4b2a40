"""Rows as CSV that a spreadsheet opens as text: no cell of a person's words becomes a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

# What spreadsheets take as the beginning of a formula, in the plain and in the wide form (OWASP ASVS 1.2.10).
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")


def safe_text(text: str) -> str:
    """Return a text cell that begins with an apostrophe where it would begin a formula; `plain_text` undoes it."""
    return f"'{text}" if text.lstrip(" ").startswith((*_DANGEROUS, "'")) else text


def plain_text(cell: str) -> str:
    """Return what `safe_text` was given."""
    return cell[1:] if cell.startswith("'") and safe_text(cell[1:]) == cell else cell


def csv_bytes(head: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows as CSV in UTF-8 with the mark that spreadsheets need for Arabic. Cells are safe already."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows(rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()
