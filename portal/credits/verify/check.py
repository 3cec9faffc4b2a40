"""The form of one check."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """bad_sql selects one text that names the first row of `table` for which `problem` is true, or nothing."""

    number: int
    problem: str
    table: str
    bad_sql: str
