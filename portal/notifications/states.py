"""The states of a message."""

from enum import StrEnum

from portal.core.states import Machine


class MessageState(StrEnum):
    """Queued until a mail server has taken it."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


MESSAGE = Machine(
    MessageState,
    [
        ("send", [MessageState.QUEUED], MessageState.SENT),
        ("give_up", [MessageState.QUEUED], MessageState.FAILED),
    ],
)
