"""The blueprint, which the modules of pages add their routes to, and the days of the hub's zone."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint

from portal.settings import TIME_ZONE

ZONE = ZoneInfo(TIME_ZONE)

blueprint = Blueprint("credits", __name__, template_folder="../templates")


def day_start(on: date) -> datetime:
    """Return the instant at which a day begins in the hub's zone."""
    return datetime.combine(on, time.min, ZONE).astimezone(UTC)


def day_end(on: date) -> datetime:
    """Return the instant at which a day ends in the hub's zone."""
    return day_start(on + timedelta(days=1))


def local_day(instant: datetime) -> date:
    """Return the day of an instant in the hub's zone."""
    return instant.astimezone(ZONE).date()
