"""State machines as tables: buttons, checks, the CHECK constraint and the drawing all come from one table."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from portal.core.errors import N_, Conflict

S = TypeVar("S", bound=StrEnum)


class WrongState(Conflict):
    """The transition does not leave from the present state."""

    text = N_("This is no longer possible: the state is now “%(state)s”.")


@dataclass(frozen=True)
class Transition(Generic[S]):
    """One row: `name` leads from any of `sources` to `target`; `label` is the button's English source."""

    name: str
    sources: frozenset[S]
    target: S
    label: str = ""


class Machine(Generic[S]):
    """A table of transitions over one StrEnum; the first member is the initial state."""

    def __init__(self, states: type[S], transitions: Iterable[tuple[str, Iterable[S], S] | tuple[str, Iterable[S], S, str]]) -> None:
        self.states = states
        self.transitions = {row[0]: Transition(row[0], frozenset(row[1]), row[2], row[3] if len(row) > 3 else "") for row in transitions}

    def target(self, name: str, state: S) -> S:
        """Return where `name` leads from `state`. Raises WrongState when it does not leave from there."""
        transition = self.transitions[name]
        if state not in transition.sources:
            raise WrongState(state=state.value)
        return transition.target

    def allowed(self, state: S) -> list[Transition[S]]:
        """Return the transitions that leave from a state, in the table's order: a page's buttons."""
        return [t for t in self.transitions.values() if state in t.sources]

    def sources(self, name: str) -> list[str]:
        """Return the states that `name` leaves from, for a guarded UPDATE."""
        return sorted(state.value for state in self.transitions[name].sources)

    def final(self) -> frozenset[S]:
        """Return the states that nothing leaves."""
        leaving = {source for t in self.transitions.values() for source in t.sources}
        return frozenset(state for state in self.states if state not in leaving)

    def check(self, column: str = "state") -> str:
        """Return the CHECK constraint's SQL: the column holds one of the states."""
        return state_check(self.states, column)

    def mermaid(self) -> str:
        """Return the drawing for the docs."""
        rows = [f"    {source.value} --> {t.target.value}: {t.name}" for t in self.transitions.values() for source in sorted(t.sources)]
        return "\n".join(["stateDiagram-v2", *rows])


def state_check(states: type[StrEnum], column: str) -> str:
    """Return the SQL of a CHECK that a text column holds one of an enum's values."""
    values = ", ".join(f"'{state.value}'" for state in states)
    return f"{column} IN ({values})"
