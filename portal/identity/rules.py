"""Pure rules of identity: how long things live, and what names, addresses and passwords look like."""

import unicodedata
from datetime import timedelta

SESSION_IDLE = timedelta(days=3)
SESSION_ABSOLUTE = timedelta(days=14)
SESSION_TOUCH = timedelta(minutes=1)
PENDING_LIFE = timedelta(minutes=10)  # between password and second factor
FRESH_FOR = timedelta(minutes=15)
CONFIRM_LIFE = timedelta(hours=48)
RESET_LIFE = timedelta(hours=2)
RECOVERY_CODES = 8
INVITATION_LIFE = timedelta(days=7)
CODE_LIFE = timedelta(seconds=60)
ACCESS_TOKEN_LIFE = timedelta(minutes=5)
ID_TOKEN_LIFE = timedelta(minutes=5)
REFRESH_TOKEN_LIFE = timedelta(hours=12)
GRANT_LIFE = timedelta(hours=24)

NAME_MOST = 100
PASSWORD_LEAST = 10
PASSWORD_MOST = 128
EMAIL_MOST = 254

# The most common passwords of ten and more characters; shorter ones are refused by length.
_COMMON = frozenset(
    {
        "1234567890", "0123456789", "12345678910", "123456789a", "1q2w3e4r5t", "qwertyuiop", "qwerty12345", "password12", "password123", "password1234",
        "azertyuiop", "motdepasse", "motdepasse1", "administrator", "iloveyou123", "welcome123", "letmein123", "passw0rd123", "changeme123", "abcdefghij",
    }
)  # fmt: skip


def clean_name(name: str) -> str:
    """Return a name in one line, composed, without control characters; any script is right."""
    composed = unicodedata.normalize("NFC", name)
    shown = "".join(" " if unicodedata.category(letter) in {"Cc", "Zl", "Zp"} else letter for letter in composed)
    return " ".join(shown.split())


def slug_of_person(number: int) -> str:
    """Return the person's immutable name for the hub: "u-1042"."""
    return f"u-{number}"


def normal_password(password: str) -> str:
    """Return the password as it is hashed: the same letters typed on two keyboards are the same password."""
    return unicodedata.normalize("NFKD", password)


def is_guessable(password: str, email: str) -> bool:
    """Return whether a password is among the first that somebody would try."""
    lowered = password.casefold()
    local = email.casefold().partition("@")[0]
    has_few_letters = len(set(lowered)) < 4
    return lowered in _COMMON or has_few_letters or (len(local) >= 4 and local in lowered and len(lowered) - len(local) < 4)
