"""Pure rules of learning: a run by the clock, how far somebody is, and where a notebook lies."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RunPhase(StrEnum):
    """A run by the clock; it follows from the dates and is never stored."""

    COMING = "coming"
    RUNNING = "running"
    OVER = "over"


@dataclass(frozen=True)
class Progress:
    """How far somebody is: lessons read and labs opened, of how many."""

    lessons_done: int
    lessons: int
    labs_opened: int
    labs: int

    @property
    def done(self) -> int:
        """Return how many steps are done."""
        return self.lessons_done + self.labs_opened

    @property
    def total(self) -> int:
        """Return how many steps there are."""
        return self.lessons + self.labs

    @property
    def is_complete(self) -> bool:
        """Return whether every lesson was read and every lab opened."""
        return self.total > 0 and self.done == self.total


def progress(*, lessons: Collection[str], labs: Collection[str], finished: Collection[str], opened: Collection[str]) -> Progress:
    """Return the progress in a course as it is now: what was taken out of it since does not count."""
    return Progress(len(set(lessons) & set(finished)), len(lessons), len(set(labs) & set(opened)), len(labs))


def phase(starts_at: datetime, ends_at: datetime, *, now: datetime) -> RunPhase:
    """Return where a run is at an instant."""
    if now < starts_at:
        return RunPhase.COMING
    return RunPhase.RUNNING if now < ends_at else RunPhase.OVER


def notebook_path(course_slug: str, lab_slug: str, language: str) -> str:
    """Return where a lab's notebook lies in a person's home."""
    return f"courses/{course_slug}/{lab_slug}.{language}.ipynb"
