"""promise: a month of requests replayed with the portal's own decision code: how much of what is stated comes true, and how far it lies.

`TRACE=file.csv` and `POOL=slice:40,full:8` give another trace and its pool; without them a seeded month of a busy university.
The reference is an oracle that knows how long everybody ahead will really run.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bench import traces
from portal.compute.simulator import read, replay


def run() -> Iterator[dict[str, Any]]:
    """Yield one line."""
    given = os.environ.get("TRACE")
    rows = read(Path(given).read_text().splitlines()) if given else traces.month()
    pool = {name: int(count) for name, count in (part.split(":") for part in os.environ["POOL"].split(","))} if os.environ.get("POOL") else traces.capacity()
    started = time.monotonic()
    found = replay(rows, pool)
    coverage, ratio = found.coverage or 0.0, found.ratio or 0.0
    halves = [one.promised.half_s for one in found.waited if one.promised]
    yield {
        "name": "promise",
        "ours": round(median(halves)) if halves else 0,
        "reference": round(median(one.oracle_s or 0.0 for one in found.waited)) if halves else 0,
        "ratio": round(ratio, 2),
        "unit": "s of wait stated, median of those who had to wait, against an oracle's",
        "n": len(rows),
        "waited": len(found.waited),
        "coverage": round(coverage, 3),
        "stated": 0.9,
        "replayed_in_s": round(time.monotonic() - started, 1),
        "bound": 2,
        "coverage_bounds": [0.85, 0.95],
        "met": 0.85 <= coverage <= 0.95 and ratio <= 2,
    }
