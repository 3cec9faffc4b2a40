"""Days and months of the hub's zone, as instants."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from portal.settings import TIME_ZONE

ZONE = ZoneInfo(TIME_ZONE)


def day_start(on: date) -> datetime:
    """Return the instant at which a day begins in the hub's zone."""
    return datetime.combine(on, time.min, ZONE).astimezone(UTC)


def day_end(on: date) -> datetime:
    """Return the instant at which a day ends in the hub's zone."""
    return day_start(on + timedelta(days=1))


def local_day(instant: datetime) -> date:
    """Return the day of an instant in the hub's zone."""
    return instant.astimezone(ZONE).date()


def week_start(instant: datetime) -> date:
    """Return the Monday of an instant's week in the hub's zone."""
    on = local_day(instant)
    return on - timedelta(days=on.weekday())


def month_after(month: date) -> date:
    """Return the first day of the month after the one that begins on a day."""
    return (month + timedelta(days=31)).replace(day=1)
