"""How compute speaks: a badge for each state, a sentence for each cause, in the reader's language."""

from collections.abc import Mapping

from flask_babel import get_locale, gettext

from portal.compute.isolation import LimitLine
from portal.compute.queries import SessionView
from portal.compute.states import Failure, IncidentKind, IncidentState, SessionState, StopCause
from portal.core.errors import N_
from portal.credits.states import FaultRule

BADGES: dict[SessionState, tuple[str, str]] = {
    SessionState.QUEUED: ("info", N_("Waiting")),
    SessionState.REQUESTED: ("info", N_("Requested")),
    SessionState.STARTING: ("info", N_("Starting")),
    SessionState.RUNNING: ("good", N_("Running")),
    SessionState.STOPPING: ("info", N_("Stopping")),
    SessionState.STOPPED: ("neutral", N_("Stopped")),
    SessionState.FAILED: ("bad", N_("Did not start")),
    SessionState.LOST: ("warn", N_("End not seen")),
}

CAUSES: dict[StopCause, str] = {
    StopCause.PERSON: N_("You or somebody of your project stopped it."),
    StopCause.STAFF: N_("The hub’s staff stopped it."),
    StopCause.DURATION: N_("The time you chose was over."),
    StopCause.CREDIT: N_("The credits of the project ended, so it stopped with the time they paid for."),
    StopCause.SUSPENDED: N_("The account was suspended."),
    StopCause.NO_EVIDENCE: N_("The hub could no longer show that it ran, so it was stopped. Time without proof is not charged."),
    StopCause.IDLE: N_("It did nothing for a while, so it was stopped. Idle time after the first minutes is not charged."),
    StopCause.ITSELF: N_("It ended by itself, for example by “Shut down” inside JupyterLab."),
}

FAILURES: dict[Failure, str] = {
    Failure.HUB_AWAY: N_("The hub does not answer. Nothing was charged."),
    Failure.HUB_REFUSED: N_("The hub could not start the machine. Nothing was charged."),
    Failure.DID_NOT_START: N_("The machine did not come up in time. Nothing was charged."),
    Failure.PERSON_INACTIVE: N_("The account is suspended, so nothing was started. Nothing was charged."),
}

KINDS: dict[IncidentKind, str] = {
    IncidentKind.FAILED_START: N_("A start that failed"),
    IncidentKind.NODE_DEATH: N_("A machine that died"),
    IncidentKind.OUTAGE: N_("An outage"),
}

INCIDENT_BADGES: dict[IncidentState, tuple[str, str]] = {
    IncidentState.OPEN: ("info", N_("To be looked at")),
    IncidentState.WAITING: ("warn", N_("Waits for a second person")),
    IncidentState.GIVING: ("info", N_("Being made good")),
    IncidentState.MADE_GOOD: ("good", N_("Made good")),
    IncidentState.DISMISSED: ("neutral", N_("Dismissed")),
}

GIVEN: dict[FaultRule, str] = {
    FaultRule.FAILED_START: N_("Made good: a start that failed"),
    FaultRule.NODE_DEATH: N_("Made good: a machine that failed"),
    FaultRule.OUTAGE: N_("Made good: an outage"),
    FaultRule.LATE_START: N_("Made good: a start later than promised"),
    FaultRule.RELEASED_TOO_LATE: N_("Made good: credits that ended through our fault"),
}

# code: (title, what it means when it holds)
LIMITS: dict[str, tuple[str, str]] = {
    "filesystem": (N_("Files of others"), N_("A session sees its own home and the system’s programs; nothing of other people, of the hub or of the portal.")),
    "other_processes": (N_("Programs of others"), N_("A session sees its own programs only, and none of them outlives it.")),
    "devices": (N_("Devices"), N_("A session has the devices that it was granted and no other.")),
    "privileges": (N_("Privileges"), N_("A session has no privilege on the machine and cannot gain one.")),
    "memory": (N_("Memory"), N_("A session is held to the memory of its machine.")),
    "cpu": (N_("Processor time"), N_("A session is held to its share of the processors.")),
    "processes": (N_("Number of programs"), N_("A session cannot start programs without end.")),
    "files": (N_("Open files"), N_("The number of open files is limited.")),
    "storage": (N_("Storage"), N_("A home cannot grow beyond its quota.")),
    "network": (N_("Network"), N_("A session cannot reach the services of the machine it runs on.")),
    "account": (N_("Account of the system"), N_("Each session runs under an account of its own.")),
}

MEANS: dict[str, str] = {
    "sandbox": N_("by the sandbox that each session runs in, tried when the hub started"),
    "control_group": N_("by the kernel’s control groups"),
    "process_limit": N_("by the kernel’s limits for processes"),
    "watched": N_("by a look every few seconds"),
    "refused": N_("the sandbox does not work on this machine, so no session starts"),
    "failed": N_("the trial at the hub’s start got through"),
    "none": N_("nothing on this machine enforces it"),
}


def in_reader_language(texts: Mapping[str, str]) -> str:
    """Return the reader's version of a text that is kept in several languages, English where there is none."""
    language = str(get_locale() or "en")
    return texts.get(language) or texts.get("en") or next(iter(texts.values()), "")


def badge_of(state: SessionState) -> tuple[str, str]:
    """Return kind and word of a state's badge."""
    kind, word = BADGES[state]
    return kind, str(gettext(word))


def incident_badge(state: IncidentState) -> tuple[str, str]:
    """Return kind and word of an incident's badge."""
    kind, word = INCIDENT_BADGES[state]
    return kind, str(gettext(word))


def kind_of(kind: IncidentKind) -> str:
    """Return what an incident was, in words."""
    return str(gettext(KINDS[kind]))


def given_for(rule: FaultRule) -> str:
    """Return what credits were given for, in words."""
    return str(gettext(GIVEN[rule]))


def title_of(view: SessionView) -> str:
    """Return what a session is called: the person's own name for it, or its number."""
    return view.label or str(gettext("Session %(number)s", number=view.number))


def why_ended(view: SessionView) -> str:
    """Return why a session ended, in one sentence; empty while it lives."""
    if view.failure is not None:
        return str(gettext(FAILURES[view.failure]))
    if view.state is SessionState.LOST:
        return str(gettext("Nobody saw its end. It is charged up to the last moment that the hub can prove."))
    if view.ended_at is not None and view.started_at is None:
        return _why_unused(view)
    if view.ended_at is None or view.stop_cause is None:
        return ""
    if view.stop_cause is StopCause.PERSON and view.is_own:
        return str(gettext("You stopped it."))
    return str(gettext(CAUSES[view.stop_cause]))


def _why_unused(view: SessionView) -> str:
    """Return why a session ended that never ran."""
    if view.admitted_at is not None:
        return str(gettext("It was stopped before it ran. Nothing was charged."))
    if view.stop_cause is StopCause.CREDIT:
        return str(gettext("A machine was free, but the credits no longer covered the first 15 minutes. Nothing was charged."))
    return str(gettext("It left the queue before a machine was free. Nothing was charged."))


def limit_words(line: LimitLine) -> tuple[str, str, str]:
    """Return title, meaning and means of a limit; unknown codes speak with the hub's own words."""
    title, meaning = LIMITS.get(line.limit, (line.limit, line.detail))
    return str(gettext(title)), str(gettext(meaning)), str(gettext(MEANS.get(line.how, line.how)))
