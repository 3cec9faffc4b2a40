"""States of calls, applications, review assignments and ventures, with the words that each reader sees."""

from dataclasses import dataclass
from enum import StrEnum

from portal.core.errors import N_
from portal.core.states import Machine


class CallState(StrEnum):
    """Where a call stands."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSED = "closed"
    DECIDED = "decided"


CALLS = Machine(
    CallState,
    [
        ("publish", [CallState.DRAFT], CallState.OPEN, N_("Publish the call")),
        ("close", [CallState.OPEN], CallState.CLOSED, N_("Close the call now")),
        ("decide", [CallState.CLOSED], CallState.DECIDED, N_("Mark as decided")),
    ],
)


class ApplicationState(StrEnum):
    """Where an application stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    IN_REVIEW = "in_review"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WAITLISTED = "waitlisted"
    WITHDRAWN = "withdrawn"


_A = ApplicationState
APPLICATIONS = Machine(
    ApplicationState,
    [
        ("submit", [_A.DRAFT], _A.SUBMITTED, N_("Submit the application")),
        ("start_review", [_A.SUBMITTED], _A.IN_REVIEW, N_("Assign reviewers")),
        ("accept", [_A.IN_REVIEW, _A.WAITLISTED], _A.ACCEPTED, N_("Accept")),
        ("decline", [_A.IN_REVIEW, _A.WAITLISTED], _A.DECLINED, N_("Decline")),
        ("waitlist", [_A.IN_REVIEW], _A.WAITLISTED, N_("Put on the waiting list")),
        ("withdraw", [_A.DRAFT, _A.SUBMITTED, _A.IN_REVIEW, _A.WAITLISTED], _A.WITHDRAWN, N_("Withdraw the application")),
    ],
)


class AssignmentState(StrEnum):
    """Where one reviewer's work on one application stands."""

    ASSIGNED = "assigned"
    SUBMITTED = "submitted"
    DECLINED = "declined"


ASSIGNMENTS = Machine(
    AssignmentState,
    [
        ("submit", [AssignmentState.ASSIGNED], AssignmentState.SUBMITTED, N_("Send the review")),
        ("decline", [AssignmentState.ASSIGNED, AssignmentState.SUBMITTED], AssignmentState.DECLINED, N_("Declare a conflict")),
    ],
)


class ConflictKind(StrEnum):
    """What ties a person to an applicant, as the person declares it."""

    EMPLOYER = "employer"
    FAMILY = "family"
    FINANCIAL = "financial"
    COLLABORATION = "collaboration"
    OTHER = "other"


class Outcome(StrEnum):
    """What a decision says; its value is the transition's name."""

    ACCEPT = "accept"
    DECLINE = "decline"
    WAITLIST = "waitlist"


class VentureState(StrEnum):
    """Where a venture stands."""

    ACTIVE = "active"
    ALUMNI = "alumni"
    LEFT = "left"


VENTURES = Machine(
    VentureState,
    [
        ("graduate", [VentureState.ACTIVE], VentureState.ALUMNI, N_("Graduate")),
        ("leave", [VentureState.ACTIVE], VentureState.LEFT, N_("Leave the programme")),
    ],
)


@dataclass(frozen=True)
class Words:
    """A state's badge kind, its name for staff and for the applicant, and what the applicant may expect next."""

    badge: str
    staff: str
    applicant: str
    next: str = ""


APPLICATION_WORDS: dict[ApplicationState, Words] = {
    _A.DRAFT: Words("neutral", N_("Draft"), N_("Draft"), N_("Only you can see it. Submit it before the call closes.")),
    _A.SUBMITTED: Words("info", N_("To assign"), N_("Received"), N_("We check that it is complete and choose two reviewers. You do not need to do anything.")),
    _A.IN_REVIEW: Words(
        "info", N_("In review"), N_("In review"), N_("Reviewers read it and score it by the published criteria. You will receive the decision by e-mail.")
    ),
    _A.ACCEPTED: Words("good", N_("Accepted"), N_("Accepted"), N_("Your venture has its project and its credits. Read the award letter.")),
    _A.DECLINED: Words("bad", N_("Declined"), N_("Not selected"), N_("Read the reasons and the reviewers’ comments. You may apply to the next call.")),
    _A.WAITLISTED: Words("warn", N_("Waiting list"), N_("On the waiting list"), N_("If a seat becomes free, we write to you. You do not need to do anything.")),
    _A.WITHDRAWN: Words("neutral", N_("Withdrawn"), N_("Withdrawn"), N_("Nothing more happens with this application.")),
}

CALL_WORDS: dict[CallState, Words] = {
    CallState.DRAFT: Words("neutral", N_("Not published"), N_("Not published")),
    CallState.OPEN: Words("good", N_("Open"), N_("Open")),
    CallState.CLOSED: Words("neutral", N_("Closed, in review"), N_("Closed")),
    CallState.DECIDED: Words("neutral", N_("Decided"), N_("Closed")),
}

ASSIGNMENT_WORDS: dict[AssignmentState, Words] = {
    AssignmentState.ASSIGNED: Words("neutral", N_("Waiting"), N_("To review")),
    AssignmentState.SUBMITTED: Words("good", N_("Sent"), N_("Sent")),
    AssignmentState.DECLINED: Words("warn", N_("Conflict"), N_("Conflict")),
}

OUTCOME_WORDS: dict[Outcome, Words] = {
    Outcome.ACCEPT: Words("good", N_("Accept"), N_("Accepted")),
    Outcome.DECLINE: Words("bad", N_("Decline"), N_("Not selected")),
    Outcome.WAITLIST: Words("warn", N_("Waiting list"), N_("On the waiting list")),
}

CONFLICT_WORDS: dict[ConflictKind, str] = {
    ConflictKind.EMPLOYER: N_("I work, or worked in the last three years, for the applicant’s employer"),
    ConflictKind.FAMILY: N_("I am a relative or close friend"),
    ConflictKind.FINANCIAL: N_("I have a financial interest in it, or in a competitor"),
    ConflictKind.COLLABORATION: N_("I work with the applicant, supervise or advise them"),
    ConflictKind.OTHER: N_("Something else"),
}

VENTURE_WORDS: dict[VentureState, Words] = {
    VentureState.ACTIVE: Words("good", N_("Active"), N_("Active")),
    VentureState.ALUMNI: Words("info", N_("Alumni"), N_("Alumni")),
    VentureState.LEFT: Words("neutral", N_("Has left"), N_("Has left")),
}
