"""A month of requests as a university's pool sees them: seeded, so that each run replays the same one."""

from math import cos, pi
from random import Random

from portal.compute.simulator import Row

DAY_S, MONTH_S = 86_400, 30 * 86_400
# devices, requests a day, median used seconds: busy enough that a good part waits at noon.
PROFILES = {"slice": (40, 420, 4200), "half": (16, 120, 6600), "full": (8, 40, 9000)}
ASKED_S = (3600, 2 * 3600, 4 * 3600, 8 * 3600)


def month(seed: int = 20261127) -> list[Row]:
    """Return requests of a month: by day more than by night, heavy tails, and people who ask for far more than they use."""
    random = Random(seed)
    habits = {f"p-{number}": random.betavariate(1.2, 1.6) for number in range(60)}
    projects = list(habits)
    popular = [1 / (place + 1) for place in range(len(projects))]
    rows = []
    for profile, (_, daily, median_s) in PROFILES.items():
        at = 0.0
        while at < MONTH_S:
            hour = at % DAY_S / 3600
            pace = 1 + 0.85 * cos((hour - 14) / 24 * 2 * pi)
            weekend = 0.35 if int(at // DAY_S) % 7 >= 5 else 1.0
            at += random.expovariate(max(0.03, pace * weekend) * daily / DAY_S)
            project = random.choices(projects, popular)[0]
            wanted_s = min(ASKED_S[-1], random.lognormvariate(0, 0.9) * median_s)
            asked_s = next((choice for choice in ASKED_S if choice >= wanted_s / max(0.25, habits[project])), ASKED_S[-1])
            used_s = asked_s if random.random() < 0.12 else max(30, round(min(asked_s, wanted_s)))
            rows.append((round(at), project, profile, asked_s, used_s))
    rows.sort()
    return [Row(number, at, project, profile, 1, asked_s, used_s) for number, (at, project, profile, asked_s, used_s) in enumerate(rows, start=2)]


def capacity() -> dict[str, int]:
    """Return devices by profile."""
    return {profile: devices for profile, (devices, _, _) in PROFILES.items()}
