"""The promise: nine in ten of what is stated comes true, and the same question has the same answer."""

from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from bench import traces
from portal.cli.pool import pool
from portal.compute.rules import promise
from portal.compute.rules.promise import Ahead, Calibration, Live, estimate, played
from portal.compute.simulator import replay


def test_a_quarter_of_a_busy_month_is_covered_as_stated() -> None:
    rows = [row for row in traces.month() if row.submitted_s < traces.MONTH_S // 4]
    found = replay(rows, traces.capacity())
    assert len(found.waited) > 1000
    assert found.coverage is not None
    assert 0.85 <= found.coverage <= 0.95
    assert found.ratio is not None
    assert found.ratio <= 2
    assert found.most_held == traces.capacity()


def test_sessions_that_use_all_they_ask_for_are_foreseen_to_the_second() -> None:
    live = [Live(600, 3600), Live(0, 7200)]
    found = estimate(2, live, [Ahead(3600)], ratios=[1.0])
    assert (found.half_s, found.most_s) == (6600, 6600)
    assert estimate(2, live, [], ratios=[1.0]).half_s == 3000


def test_what_a_session_has_used_already_cannot_be_drawn_again() -> None:
    for elapsed_s in (0, 1800, 3500, 3600, 4000):
        found = estimate(1, [Live(elapsed_s, 3600)], [])
        assert 0 <= found.half_s <= found.most_s <= max(0, 3600 - elapsed_s)


def test_the_same_question_has_the_same_answer() -> None:
    live = [Live(place * 60, 7200) for place in range(8)]
    ahead = [Ahead(3600)] * 20
    assert estimate(8, live, ahead, seed=5) == estimate(8, live, ahead, seed=5)


def test_several_devices_start_together() -> None:
    assert played(2, [10.0, 30.0], [(2, 100.0)], 1) == 130
    assert played(2, [10.0, 30.0], [], 2) == 30
    assert played(3, [10.0], [], 1) == 0
    with pytest.raises(ValueError, match="More devices"):
        estimate(2, [], [], gpus=3)


def test_a_habit_of_waiting_longer_than_drawn_stretches_the_statement() -> None:
    random, calibration = Random(1), Calibration()  # noqa: S311 -- a test
    assert calibration.factors == (1.0, 1.0)
    for _ in range(promise.REMEMBERED):
        calibration.note(waited_s=random.uniform(0, 3000), raw_half_s=1000, raw_most_s=1800)
    half, most = calibration.factors
    assert half == pytest.approx(1.5, rel=0.15)
    assert most == pytest.approx(1.5, rel=0.1)


def test_the_command_replays_a_trace_and_names_a_bad_row(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("submitted_s,project,profile,gpus,asked_s,used_s\n0,a,full,1,3600,1800\n10,b,full,1,3600,600\n20,b,full,9,60,60\n")
    done = CliRunner().invoke(pool, ["simulate", str(trace), "--pool", "full:1"])
    assert done.exit_code == 0
    assert "requests      3, of them 1 never fit" in done.output
    assert "waited        1" in done.output
    assert "full 1 of 1" in done.output
    trace.write_text("submitted_s,project,profile,gpus,asked_s,used_s\n0,a,full,1,3600,9999\n")
    bad = CliRunner().invoke(pool, ["simulate", str(trace), "--pool", "full:1"])
    assert (bad.exit_code, "line 2" in bad.output) == (1, True)
    assert CliRunner().invoke(pool, ["simulate", str(trace), "--pool", "full"]).exit_code == 1
