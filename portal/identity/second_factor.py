"""Codes from an app (TOTP) and recovery codes, each good for one use, also when two requests bring it at once."""

import base64
import io
from typing import Any

import qrcode
import qrcode.image.svg
from flask import current_app
from flask_security import MfRecoveryCodesUtil, Totp
from passlib.exc import TokenError  # type: ignore[import-untyped]

from portal.core import clock
from portal.identity import rules
from portal.identity.operations import accounts
from portal.web.database import session


class SingleUseTotp(Totp):
    """Flask-Security's TOTP; the time step of an accepted code is claimed in the database."""

    def verify_totp(self, token: str, totp_secret: str, user: Any, window: int = 0) -> bool:
        """Return whether the code is right and was not used before."""
        try:
            match = self._totp.verify(token, totp_secret, window=window)
        except (TokenError, ValueError, TypeError):
            return False
        return accounts.claim_totp(session(), person_id=user.id, counter=match.counter)

    def generate_qrcode(self, username: str, totp: str) -> str:
        """Return the QR code as an image address, drawn as one path: a tenth of the default's size."""
        image = qrcode.make(self.get_totp_uri(username, totp), image_factory=qrcode.image.svg.SvgPathFillImage, border=3)
        with io.BytesIO() as stream:
            image.save(stream)
            return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


class HashedRecoveryCodes(MfRecoveryCodesUtil):
    """Recovery codes that are kept as digests, so they are shown once, when they are made."""

    def create_recovery_codes(self, user: Any) -> list[str]:
        """Make new codes and return them; older ones are dead."""
        codes: list[str] = current_app.extensions["security"].totp_factory.generate_recovery_codes(rules.RECOVERY_CODES)
        accounts.keep_recovery_codes(session(), person_id=user.id, codes=codes, now=clock.now())
        return codes

    def get_recovery_codes(self, user: Any) -> list[str]:
        """Return nothing: digests cannot be shown."""
        return []

    def check_recovery_code(self, user: Any, code: str) -> bool:
        """Return whether the code was one, and use it up with the same statement."""
        return accounts.use_recovery_code(session(), person_id=user.id, code=code.strip().lower(), now=clock.now())

    def delete_recovery_code(self, user: Any, code: str) -> bool:
        """Do nothing: the check has used the code up."""
        return True
