"""Receipts: what was submitted, as bytes that anybody can hash again."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical(content: Mapping[str, Any]) -> bytes:
    """Return the content as UTF-8 JSON with sorted keys and no spaces: the same bytes wherever it is written."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def content_hash(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the canonical content as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(content)).hexdigest()
