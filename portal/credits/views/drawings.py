"""The burn-down chart of a wallet: what it had on each day, and what it will have at the present pace."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from flask_babel import gettext

from portal.credits.calendar import ZONE, day_end, day_start
from portal.credits.queries import Balance
from portal.credits.queries.pacing import Outlook
from portal.credits.queries.statements import DayChange
from portal.web import charts, i18n
from portal.web.formats import credits_, date_

UCR = 1_000_000
LEAST_HISTORY = timedelta(days=2)


def burn_down(changes: Sequence[DayChange], balance: Balance, found: Outlook | None, now: datetime) -> tuple[charts.Drawing, charts.Drawing] | None:
    """Return the wide and the narrow drawing; None when there is nothing to draw yet."""
    if not changes or (now - day_start(changes[0].on)) < LEAST_HISTORY:
        return None
    value_ucr = balance.balance_ucr
    points = [(now, value_ucr / UCR)]
    for change in reversed(changes):
        # A day without bookings lies flat: what it ended with is what the next one with any begins with.
        points.append((min(day_end(change.on), points[-1][0]), value_ucr / UCR))
        value_ucr = max(value_ucr - change.total_ucr, 0)
        points.append((day_start(change.on), value_ucr / UCR))
    lang = str(i18n.current_locale())
    now_text = gettext("%(credits)s now", credits=credits_(balance.balance_ucr, lang))
    forecast = _forecast(found, lang) if found is not None and balance.balance_ucr > 0 else None
    # A forecast that ends tomorrow still needs room for its name beside the line.
    room = now + (now - points[-1][0]) / 2 if forecast is not None else None
    return charts.burn_down(list(reversed(points)), now_text=now_text, lang=lang, tz=ZONE, forecast=forecast, until=room)


def _forecast(found: Outlook, lang: str) -> charts.Forecast | None:
    """Return the line ahead with its edges; None where nothing ends within the forecast."""
    zero_at, early_at, late_at = found.ahead.dry_at, found.early.dry_at, found.late.dry_at
    if zero_at is None:
        return None
    early_at, late_at = early_at or zero_at, late_at or found.late.until
    lines = [gettext("Forecast: %(day)s", day=date_(zero_at, lang, ZONE, "day"))]
    if early_at.date() < late_at.date():
        lines.append(gettext("between %(early)s", early=date_(early_at, lang, ZONE, "day")))
        lines.append(gettext("and %(late)s", late=date_(late_at, lang, ZONE, "day")))
    course, low, high = ([(at, value / UCR) for at, value in part.course if at <= late_at] for part in (found.ahead, found.early, found.late))
    return charts.Forecast(zero_at, early_at, late_at, lines, course, low, high)
