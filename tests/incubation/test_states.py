"""Every pair of state and transition, for each machine."""

from enum import StrEnum

import pytest

from portal.core.states import Machine, WrongState
from portal.incubation import states
from portal.incubation.states import ApplicationState as A
from portal.incubation.states import AssignmentState as R
from portal.incubation.states import CallState as C
from portal.incubation.states import VentureState as V

ALLOWED: list[tuple[Machine, dict[tuple[StrEnum, str], StrEnum]]] = [
    (states.CALLS, {(C.DRAFT, "publish"): C.OPEN, (C.OPEN, "close"): C.CLOSED, (C.CLOSED, "decide"): C.DECIDED}),
    (
        states.APPLICATIONS,
        {
            (A.DRAFT, "submit"): A.SUBMITTED,
            (A.SUBMITTED, "start_review"): A.IN_REVIEW,
            (A.IN_REVIEW, "accept"): A.ACCEPTED,
            (A.WAITLISTED, "accept"): A.ACCEPTED,
            (A.IN_REVIEW, "decline"): A.DECLINED,
            (A.WAITLISTED, "decline"): A.DECLINED,
            (A.IN_REVIEW, "waitlist"): A.WAITLISTED,
            (A.DRAFT, "withdraw"): A.WITHDRAWN,
            (A.SUBMITTED, "withdraw"): A.WITHDRAWN,
            (A.IN_REVIEW, "withdraw"): A.WITHDRAWN,
            (A.WAITLISTED, "withdraw"): A.WITHDRAWN,
        },
    ),
    (states.ASSIGNMENTS, {(R.ASSIGNED, "submit"): R.SUBMITTED, (R.ASSIGNED, "decline"): R.DECLINED, (R.SUBMITTED, "decline"): R.DECLINED}),
    (states.VENTURES, {(V.ACTIVE, "graduate"): V.ALUMNI, (V.ACTIVE, "leave"): V.LEFT}),
]
PAIRS = [(machine, state, name, allowed.get((state, name))) for machine, allowed in ALLOWED for state in machine.states for name in machine.transitions]


@pytest.mark.parametrize(("machine", "state", "name", "target"), PAIRS, ids=[f"{state.__class__.__name__}-{state}-{name}" for _, state, name, _ in PAIRS])
def test_transition_leads_where_the_table_says_or_nowhere(machine: Machine, state: StrEnum, name: str, target: StrEnum | None) -> None:
    if target is None:
        with pytest.raises(WrongState):
            machine.target(name, state)
    else:
        assert machine.target(name, state) is target


def test_every_state_has_words_and_every_outcome_is_a_transition() -> None:
    assert set(states.APPLICATION_WORDS) == set(A)
    assert set(states.CALL_WORDS) == set(C)
    assert set(states.ASSIGNMENT_WORDS) == set(R)
    assert set(states.VENTURE_WORDS) == set(V)
    assert set(states.OUTCOME_WORDS) == set(states.Outcome)
    assert {outcome.value for outcome in states.Outcome} <= set(states.APPLICATIONS.transitions)
    assert all(words.next for words in states.APPLICATION_WORDS.values())
