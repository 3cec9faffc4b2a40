"""How long things may take, and when a stop is due."""

from datetime import datetime, timedelta

DURATIONS_S = (3600, 2 * 3600, 4 * 3600, 8 * 3600)
EXTENSIONS_S = (3600, 2 * 3600)
SHORTEST_S = 60
LONGEST_S = 12 * 3600
WINDOW_S = 15 * 60

TICKET_LIFE = timedelta(seconds=120)
START_GIVES_UP = timedelta(minutes=3)
HUB_START_ATTEMPTS = 5
# A server that did not answer within the hub's own time limits is ended by the hub; longer lives were usable.
START_TIME_LIMIT_S = 180

STARTS_COUNTED_OVER = timedelta(minutes=10)
MOST_STARTS = 20
MOST_LIVE_OF_PERSON = 4

FUTURE_LIMIT = timedelta(minutes=5)
AGE_LIMIT = timedelta(days=35)

UNSEEN_SETTLES = timedelta(minutes=5)
SILENT_STOPS = timedelta(minutes=15)
HUB_AWAY_SETTLES = timedelta(hours=2)
WATCH_GAP = timedelta(minutes=3)

# A server needs some seconds to end; it is asked before its paid time is over, so that none of them is unpaid.
STOP_MARGIN = timedelta(seconds=12)

FILES_TOTAL_MAX_BYTES = 1_000_000

# A start that fails again and again earns nothing: the time waited is made good once a day for one person.
WAITS_MADE_GOOD_EVERY = timedelta(days=1)
# What ends within this time of an incident of the same kind, on the same node, belongs to it.
INCIDENT_GAP = timedelta(minutes=15)


def is_future(at: datetime, *, now: datetime) -> bool:
    """Return whether an instant is too far ahead to be believed."""
    return at > now + FUTURE_LIMIT


def is_too_old(at: datetime, *, now: datetime) -> bool:
    """Return whether an instant is older than the spools are kept."""
    return at < now - AGE_LIMIT


def failed_to_start(*, is_ready_known: bool, proven_s: int, was_asked_to_stop: bool) -> bool:
    """Return whether a process that ended never became a usable server: such a start is not charged."""
    return not is_ready_known and not was_asked_to_stop and proven_s < START_TIME_LIMIT_S


def start_wait_s(attempt: int) -> int:
    """Return how long to wait before asking an absent hub again: 1, 2, 4, 8 seconds."""
    return int(2 ** min(max(attempt, 1) - 1, 5))


def hold_s(duration_s: int) -> int:
    """Return how many seconds are held at the start: one window, or all of a shorter session."""
    return min(WINDOW_S, duration_s)
