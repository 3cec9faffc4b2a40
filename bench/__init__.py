"""Benchmarks side by side: ours against a reference, interleaved in one run, so that a slow machine slows both.

`make bench` runs all, `make bench NAME=pages` one. Each prints one JSON line:
{"name", "ours", "reference", "ratio", "unit", "n", …}. `bench/reference/` is frozen: it is what we compare with.
"""
