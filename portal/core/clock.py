"""The present, read in one place: views, jobs, the command line and tests call `now`; below, it is an argument."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)
