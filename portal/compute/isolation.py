"""Which limits hold for sessions, as the hub found out when it started (`limits.json` in its state folder)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

FILE = "limits.json"
MOST_BYTES = 100_000


@dataclass(frozen=True)
class LimitLine:
    """One limit: its code, whether it holds, by what means, and the hub's own sentence about it."""

    limit: str
    is_enforced: bool
    how: str
    detail: str


@dataclass(frozen=True)
class Limits:
    """What the hub wrote, and when."""

    lines: Sequence[LimitLine]
    written_at: datetime


def read(state_dir: Path) -> Limits | None:
    """Return the limits, None when the hub has not written them or they cannot be read."""
    path = state_dir / FILE
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        raw = json.loads(path.read_text(encoding="utf-8"))
        written_at = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
        lines = [LimitLine(str(item["limit"]), item["enforced"] is True, str(item["how"]), str(item.get("detail", ""))) for item in raw]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Limits(lines, written_at) if lines else None
