"""The rules: states, phases, progress."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from portal.core.states import WrongState
from portal.learning import rules
from portal.learning.rules import RunPhase
from portal.learning.states import ENROLMENT, EnrolmentState

START = datetime(2026, 11, 2, tzinfo=UTC)
END = START + timedelta(days=30)
ALLOWED = {
    ("return", EnrolmentState.LEFT): EnrolmentState.ENROLLED,
    ("leave", EnrolmentState.ENROLLED): EnrolmentState.LEFT,
    ("complete", EnrolmentState.ENROLLED): EnrolmentState.COMPLETED,
}


@pytest.mark.parametrize(("name", "state"), list(product(ENROLMENT.transitions, EnrolmentState)))
def test_transition(name: str, state: EnrolmentState) -> None:
    if (name, state) in ALLOWED:
        assert ENROLMENT.target(name, state) is ALLOWED[name, state]
    else:
        with pytest.raises(WrongState):
            ENROLMENT.target(name, state)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (START - timedelta(microseconds=1), RunPhase.COMING),
        (START, RunPhase.RUNNING),
        (END - timedelta(microseconds=1), RunPhase.RUNNING),
        (END, RunPhase.OVER),
    ],
)
def test_phase_at_the_edges(now: datetime, expected: RunPhase) -> None:
    assert rules.phase(START, END, now=now) is expected


def test_progress_counts_what_the_course_has_now() -> None:
    reached = rules.progress(lessons=["a", "b"], labs=["x"], finished={"a", "gone"}, opened={"x", "old"})

    assert (reached.done, reached.total, reached.is_complete) == (2, 3, False)
    assert rules.progress(lessons=["a"], labs=["x"], finished={"a"}, opened={"x"}).is_complete
    assert not rules.progress(lessons=[], labs=[], finished=(), opened=()).is_complete


def test_notebook_lies_in_a_folder_of_the_course() -> None:
    assert rules.notebook_path("gpu-from-zero", "measure-it", "ar") == "courses/gpu-from-zero/measure-it.ar.ipynb"
