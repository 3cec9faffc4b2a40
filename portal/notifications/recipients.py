"""Who gets a message: a value that any domain can make."""

import uuid
from dataclasses import dataclass


@dataclass(frozen=True)
class Recipient:
    """id: the person's, None for an address without an account. zone: an IANA name, for the times in the text."""

    id: uuid.UUID | None
    address: str
    language: str
    zone: str
