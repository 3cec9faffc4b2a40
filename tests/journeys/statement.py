"""A statement as finance reads it: the CSV of the page, line by line."""

import csv
import io
from dataclasses import dataclass
from decimal import Decimal

from portal.core.quantities import UCR_PER_CREDIT
from tests.journeys.browser import Browser, PageError
from tests.journeys.people import Launched


@dataclass(frozen=True)
class Charge:
    """What a statement says of one session. adds_up: opening, lines and closing agree, and so does each line's balance."""

    seconds: int
    amount_ucr: int
    lines: int
    adds_up: bool


def charge_of(browser: Browser, project: str, session: Launched) -> Charge:
    """Read the wallet's statement and return what it says of a session. Raises PageError."""
    page = browser.get(f"/wallets/{project}/statement")
    browser.get(page.link(containing="csv"))
    rows = list(csv.DictReader(io.StringIO(browser.html.lstrip("\ufeff"))))
    mine = [row for row in rows if session.server in row["label"].split()]
    if not mine:
        raise PageError(f"{session.server} is not on the statement: {rows[:5]}")
    return Charge(sum(int(row["seconds"]) for row in mine), -sum(_ucr(row["credits"]) for row in mine), len(mine), _adds_up(rows))


def _adds_up(rows: list[dict[str, str]]) -> bool:
    opening, lines, closing = rows[0], rows[1:-1], rows[-1]
    balance = _ucr(opening["balance"])
    for line in lines:
        balance += _ucr(line["credits"])
        if balance != _ucr(line["balance"]):
            return False
    return (opening["what"], closing["what"]) == ("opening", "closing") and balance == _ucr(closing["balance"])


def _ucr(text: str) -> int:
    return int(Decimal(text.lstrip("'")) * UCR_PER_CREDIT)
