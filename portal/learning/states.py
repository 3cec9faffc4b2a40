"""States of an enrolment."""

from enum import StrEnum

from portal.core.errors import N_
from portal.core.states import Machine


class EnrolmentState(StrEnum):
    """Where a person is in a course run."""

    ENROLLED = "enrolled"
    LEFT = "left"
    COMPLETED = "completed"


ENROLMENT = Machine(
    EnrolmentState,
    [
        ("return", [EnrolmentState.LEFT], EnrolmentState.ENROLLED, N_("Join again")),
        ("leave", [EnrolmentState.ENROLLED], EnrolmentState.LEFT, N_("Leave the course")),
        ("complete", [EnrolmentState.ENROLLED], EnrolmentState.COMPLETED),
    ],
)

# Those who hold a seat.
SEATED = (EnrolmentState.ENROLLED, EnrolmentState.COMPLETED)
