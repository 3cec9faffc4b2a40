"""Run benchmarks by name and print one JSON line each."""

import importlib
import json
import sys
from statistics import median

NAMES = ("cold-start", "pages", "ledger", "roll", "balance", "handoff", "promise")


def interval(values: list[float]) -> list[float]:
    """Return the 95 % interval of a median by order statistics (binomial), as [low, high]."""
    ordered, n = sorted(values), len(values)
    half = 0.98 * n**0.5
    return [ordered[max(0, int(n / 2 - half))], ordered[min(n - 1, int(n / 2 + half))]]


def main() -> int:
    """Run the named benchmarks, all by default; the exit status says whether each met its bound."""
    names = [name for name in sys.argv[1:] if name] or list(NAMES)
    status = 0
    for name in names:
        module = importlib.import_module(f"bench.{name.replace('-', '_')}")
        for line in module.run():
            print(json.dumps(line), flush=True)
            status |= 0 if line.get("met", True) else 1
    return status


__all__ = ["interval", "median"]

if __name__ == "__main__":
    sys.exit(main())
