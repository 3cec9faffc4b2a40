"""States of a compute session, why it stops, why it failed, and what devices and observations there are."""

from enum import StrEnum

from portal.core.errors import N_
from portal.core.states import Machine


class SessionState(StrEnum):
    """Where a compute session is."""

    REQUESTED = "requested"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    LOST = "lost"


SESSION = Machine(
    SessionState,
    [
        ("begin", [SessionState.REQUESTED], SessionState.STARTING),
        ("run", [SessionState.STARTING], SessionState.RUNNING),
        ("ask_stop", [SessionState.STARTING, SessionState.RUNNING], SessionState.STOPPING, N_("Stop the session")),
        ("cancel", [SessionState.REQUESTED], SessionState.STOPPED, N_("Cancel the start")),
        ("end_unused", [SessionState.STOPPING], SessionState.STOPPED),
        ("finish", [SessionState.STARTING, SessionState.RUNNING, SessionState.STOPPING, SessionState.LOST], SessionState.STOPPED),
        ("fail", [SessionState.REQUESTED, SessionState.STARTING, SessionState.RUNNING], SessionState.FAILED),
        ("lose", [SessionState.STARTING, SessionState.RUNNING, SessionState.STOPPING], SessionState.LOST),
    ],
)

# A live session holds a device and credits. A lost one does not, although its end may still be found.
LIVE = (SessionState.REQUESTED, SessionState.STARTING, SessionState.RUNNING, SessionState.STOPPING)
ENDED = (SessionState.STOPPED, SessionState.FAILED, SessionState.LOST)


class StopCause(StrEnum):
    """Why a session was stopped."""

    PERSON = "person"
    STAFF = "staff"
    DURATION = "duration"
    CREDIT = "credit"
    SUSPENDED = "suspended"
    NO_EVIDENCE = "no_evidence"
    ITSELF = "itself"


class Failure(StrEnum):
    """Why a session never ran."""

    HUB_AWAY = "hub_away"
    HUB_REFUSED = "hub_refused"
    DID_NOT_START = "did_not_start"
    PERSON_INACTIVE = "person_inactive"


class DeviceKind(StrEnum):
    """What a device is: a seat has no device file and is never handed to the hub."""

    SEAT = "seat"
    SIMULATED = "simulated"
    NVIDIA = "nvidia"


class ChargeClass(StrEnum):
    """What lots of credits may be limited to."""

    CPU = "cpu"
    SLICE = "slice"
    FULL = "full"


class ObservationKind(StrEnum):
    """What the plug-in saw of a process."""

    STARTED = "started"
    SEEN = "seen"
    EXITED = "exited"


class Quarantine(StrEnum):
    """Why an observation is kept but not counted."""

    MALFORMED = "malformed"
    FUTURE = "future"
    TOO_OLD = "too_old"
    UNKNOWN_SESSION = "unknown_session"


class AskState(StrEnum):
    """Where a request for more of a weekly allowance is."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


ASK = Machine(
    AskState,
    [
        ("accept", [AskState.OPEN], AskState.ACCEPTED, N_("Give more")),
        ("decline", [AskState.OPEN], AskState.DECLINED, N_("Decline")),
        ("withdraw", [AskState.OPEN], AskState.WITHDRAWN, N_("Withdraw")),
    ],
)
