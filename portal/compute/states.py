"""States of a compute session, why it stops, why it failed, and what devices and observations there are."""

from enum import StrEnum

from portal.core.errors import N_
from portal.core.states import Machine


class SessionState(StrEnum):
    """Where a compute session is."""

    QUEUED = "queued"
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
        ("admit", [SessionState.QUEUED], SessionState.REQUESTED),
        ("begin", [SessionState.REQUESTED], SessionState.STARTING),
        ("run", [SessionState.STARTING], SessionState.RUNNING),
        ("ask_stop", [SessionState.STARTING, SessionState.RUNNING], SessionState.STOPPING, N_("Stop the session")),
        ("cancel", [SessionState.QUEUED, SessionState.REQUESTED], SessionState.STOPPED, N_("Cancel the start")),
        ("end_unused", [SessionState.STOPPING], SessionState.STOPPED),
        ("finish", [SessionState.STARTING, SessionState.RUNNING, SessionState.STOPPING, SessionState.LOST], SessionState.STOPPED),
        ("fail", [SessionState.REQUESTED, SessionState.STARTING, SessionState.RUNNING], SessionState.FAILED),
        ("lose", [SessionState.STARTING, SessionState.RUNNING, SessionState.STOPPING], SessionState.LOST),
    ],
)

# A live session holds a device and credits. A lost one does not, although its end may still be found.
LIVE = (SessionState.REQUESTED, SessionState.STARTING, SessionState.RUNNING, SessionState.STOPPING)
# Who waits holds neither, and has not ended.
UNENDED = (SessionState.QUEUED, *LIVE)
ENDED = (SessionState.STOPPED, SessionState.FAILED, SessionState.LOST)


class StopCause(StrEnum):
    """Why a session was stopped."""

    PERSON = "person"
    STAFF = "staff"
    DURATION = "duration"
    CREDIT = "credit"
    SUSPENDED = "suspended"
    NO_EVIDENCE = "no_evidence"
    IDLE = "idle"
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


class NodeState(StrEnum):
    """How a node stands. Sessions start on an open one alone; those that run go on in every state."""

    OPEN = "open"
    DRAINING = "draining"
    MAINTENANCE = "maintenance"
    UNHEALTHY = "unhealthy"
    RETIRED = "retired"


_IN_SERVICE = [NodeState.OPEN, NodeState.DRAINING, NodeState.MAINTENANCE, NodeState.UNHEALTHY]
NODE = Machine(
    NodeState,
    [
        ("drain", [NodeState.OPEN], NodeState.DRAINING, N_("Start nothing new")),
        ("maintain", [NodeState.OPEN, NodeState.DRAINING, NodeState.UNHEALTHY], NodeState.MAINTENANCE, N_("Take into maintenance")),
        ("distrust", [NodeState.OPEN, NodeState.DRAINING], NodeState.UNHEALTHY, N_("Mark as unhealthy")),
        ("reopen", [NodeState.DRAINING, NodeState.MAINTENANCE, NodeState.UNHEALTHY], NodeState.OPEN, N_("Open it again")),
        ("retire", _IN_SERVICE, NodeState.RETIRED, N_("Retire for good")),
    ],
)


class WindowKind(StrEnum):
    """Why nothing runs in a planned time: a node is maintained, a type is closed, or kept for one project."""

    MAINTENANCE = "maintenance"
    CLOSED = "closed"
    RESERVED = "reserved"


class QuotaScope(StrEnum):
    """Whose devices a quota counts."""

    PROJECT = "project"
    PERSON = "person"


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


class IncidentKind(StrEnum):
    """Faults of the hub: a start that failed, a machine that died, an outage."""

    FAILED_START = "failed_start"
    NODE_DEATH = "node_death"
    OUTAGE = "outage"


class IncidentState(StrEnum):
    """An incident that staff opened is looked at first; one that a rule noticed is made good at once."""

    OPEN = "open"
    WAITING = "waiting"
    GIVING = "giving"
    MADE_GOOD = "made_good"
    DISMISSED = "dismissed"


INCIDENT = Machine(
    IncidentState,
    [
        ("confirm", [IncidentState.OPEN], IncidentState.GIVING, N_("Make it good")),
        ("ask", [IncidentState.OPEN], IncidentState.WAITING, N_("Ask a second person")),
        ("approve", [IncidentState.WAITING], IncidentState.GIVING, N_("Approve and make good")),
        ("decline", [IncidentState.WAITING], IncidentState.DISMISSED, N_("Decline")),
        ("withdraw", [IncidentState.WAITING], IncidentState.OPEN, N_("Withdraw")),
        ("dismiss", [IncidentState.OPEN], IncidentState.DISMISSED, N_("Dismiss")),
        ("finish", [IncidentState.GIVING], IncidentState.MADE_GOOD),
    ],
)


def fault_of(*, state: SessionState, failure: Failure | None, was_asked_to_stop: bool, was_redeemed: bool, is_charged: bool) -> IncidentKind | None:
    """Return the hub's fault that an end shows by itself, None where it was nobody's, or may have been the person's own.

    A server that came up but never answered may have failed in its person's own home: only what it was charged is made good.
    """
    if state is SessionState.LOST:
        return None if was_asked_to_stop else IncidentKind.NODE_DEATH
    if state is not SessionState.FAILED or failure is None or failure is Failure.PERSON_INACTIVE:
        return None
    is_ours = failure in {Failure.HUB_AWAY, Failure.HUB_REFUSED} or not was_redeemed
    return IncidentKind.FAILED_START if is_ours or is_charged else None


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
