"""Whether a link to a new password still holds: not once its person has signed in after it was made."""

from flask import current_app
from itsdangerous import BadSignature

from portal.identity.account import Account


def is_current(token: str, account: Account) -> bool:
    """Return whether the link was made after the person's last sign-in, with the password they have now."""
    security = current_app.extensions["security"]
    try:
        (_, password_mark), made_at = security.reset_serializer.loads(token, return_timestamp=True)
    except (BadSignature, ValueError, TypeError):
        return False
    has_same_password = (password_mark is None) == (account.password is None)
    # Links are dated in whole seconds.
    return has_same_password and (account.signed_in_at is None or made_at >= account.signed_in_at.replace(microsecond=0))
