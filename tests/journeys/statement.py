"""A statement as finance reads it: the CSV of the page, line by line."""

import csv
import io
from dataclasses import dataclass

from portal.core.quantities import parse_credits
from tests.journeys.browser import Browser, PageError
from tests.journeys.people import Launched


@dataclass(frozen=True)
class Charge:
    """What a statement says of one session."""

    seconds: int
    amount_ucr: int
    lines: int
    adds_up: bool


def charge_of(browser: Browser, project: str, session: Launched) -> Charge:
    """Read the wallet's statement and return what it says of a session. Raises PageError."""
    page = browser.get(f"/wallets/{project}/statement")
    browser.get(page.link(containing="csv"))
    rows = list(csv.DictReader(io.StringIO(browser.html)))
    mine = [row for row in rows if session.server in " ".join(row.values())]
    if not mine:
        raise PageError(f"{session.server} is not on the statement: {rows[:5]}")
    raise NotImplementedError(str(rows))


__all__ = ["Charge", "charge_of", "parse_credits"]
