"""Signing keys, in one file that its owner alone reads. A key that was replaced stays public until its tokens are old.

The file is a JWK set with private parts; `retired_at` (seconds since 1970) marks keys that sign no more. Every process
of the portal reads it again when it changes.
"""

import json
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from joserfc.jwk import KeySet, RSAKey

ALGORITHM = "RS256"
BITS = 2048
# Longer than any token lives, so that clocks that differ and JWKS caches do no harm.
KEPT_AFTER_RETIREMENT = timedelta(hours=24)


class KeyRing:
    """The keys of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._keys: list[dict[str, Any]] = []

    def signing_key(self) -> RSAKey:
        """Return the key that signs now."""
        return RSAKey.import_key(next(_jwk(key) for key in self._read() if "retired_at" not in key))

    def public_set(self, *, now: datetime) -> dict[str, Any]:
        """Return the public keys that verify what is still believed."""
        return dict(self.verifying_set(now=now).as_dict(private=False))

    def verifying_set(self, *, now: datetime) -> KeySet:
        """Return the keys that verify what we signed."""
        return KeySet([RSAKey.import_key(_jwk(key)) for key in self._believed(now)])

    def rotate(self, *, now: datetime) -> str:
        """Make a new signing key and return its kid; the one before stays public for a day."""
        retired = [key if "retired_at" in key else key | {"retired_at": int(now.timestamp())} for key in self._believed(now)]
        new = _new_key()
        draft = self._path.with_suffix(f".{secrets.token_hex(8)}")
        _write(draft, [new, *retired])
        draft.replace(self._path)
        return str(new["kid"])

    def _believed(self, now: datetime) -> list[dict[str, Any]]:
        oldest = (now - KEPT_AFTER_RETIREMENT).timestamp()
        return [key for key in self._read() if key.get("retired_at", now.timestamp()) >= oldest]

    def _read(self) -> list[dict[str, Any]]:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._make()
            status = self._path.stat()
        seen = (status.st_mtime_ns, status.st_ino)
        if seen != self._seen:
            self._keys = json.loads(self._path.read_text())["keys"]
            self._seen = seen
        return self._keys

    def _make(self) -> None:
        """Write a first key. Of several processes or threads that begin at once one wins, and all read what it wrote."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_suffix(f".{secrets.token_hex(8)}")
        _write(draft, [_new_key()])
        try:
            self._path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()


def _new_key() -> dict[str, Any]:
    key = RSAKey.generate_key(BITS, {"use": "sig", "alg": ALGORITHM})
    key.ensure_kid()
    return dict(key.as_dict(private=True))


def _jwk(key: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name != "retired_at"}


def _write(path: Path, keys: list[dict[str, Any]]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"keys": keys}, file)
