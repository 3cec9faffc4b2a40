"""Courses as values: what was read from the files, already checked."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property


class Level(StrEnum):
    """How much a course takes for granted."""

    BEGINNER = "beginner"
    INTERMEDIATE = "intermediate"
    ADVANCED = "advanced"


class GpuNeed(StrEnum):
    """Whether a lab runs without a GPU."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True)
class Problem:
    """Something wrong in a course's files: where, what, and what to write instead.

    path: relative to the course's folder. line: counted from 1, None where a file as a whole is meant.
    is_warning: the course is shown all the same (a translation that is out of date).
    """

    path: str
    line: int | None
    what: str
    fix: str
    is_warning: bool = False

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {'warning: ' if self.is_warning else ''}{self.what} {self.fix}".rstrip()


@dataclass(frozen=True)
class Block:
    """One block of a lesson in one language. `lab` names the lab whose card stands here; the text is then empty.

    language: the language that the text is in, which is the source's for blocks marked `same`.
    is_stale: the source changed after this translation was made.
    """

    id: str
    text: str
    language: str
    line: int
    lab: str | None = None
    is_stale: bool = False


@dataclass(frozen=True)
class Figure:
    """A drawing of a lesson: the wide one, and the one for phones where there is one, as SVG text."""

    name: str
    wide: str
    narrow: str | None = None


@dataclass(frozen=True)
class Lesson:
    """A lesson in all its languages. `slug` never changes: progress is kept under it."""

    slug: str
    number: int
    title: Mapping[str, str]
    reading_min: int
    blocks: Mapping[str, Sequence[Block]]
    figures: tuple[Figure, ...] = ()

    @cached_property
    def labs(self) -> tuple[str, ...]:
        """Return the slugs of the labs whose cards stand in the lesson."""
        first = next(iter(self.blocks.values()), ())
        return tuple(block.lab for block in first if block.lab)


@dataclass(frozen=True)
class Module:
    """A part of a course."""

    title: Mapping[str, str]
    lessons: tuple[Lesson, ...]


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook's master. `texts` by language for markdown, `source` for code."""

    id: str
    source: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_markdown(self) -> bool:
        """Return whether the cell is text."""
        return bool(self.texts)


@dataclass(frozen=True)
class Lab:
    """A lab: a notebook, and the machine and time that it is made for. `slug` never changes."""

    slug: str
    title: Mapping[str, str]
    summary: Mapping[str, str]
    profile: str
    duration_s: int
    gpu: GpuNeed
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Course:
    """A course as its files say. `id` never changes; `revision` is the digest of everything in the folder."""

    id: uuid.UUID
    slug: str
    title: Mapping[str, str]
    summary: Mapping[str, str]
    outcomes: Mapping[str, Sequence[str]]
    level: Level
    languages: tuple[str, ...]
    licence: str
    authors: tuple[str, ...]
    modules: tuple[Module, ...]
    labs: tuple[Lab, ...]
    revision: str

    @cached_property
    def lessons(self) -> tuple[Lesson, ...]:
        """Return every lesson in reading order."""
        return tuple(lesson for module in self.modules for lesson in module.lessons)

    @property
    def reading_min(self) -> int:
        """Return the reading time of all lessons in minutes."""
        return sum(lesson.reading_min for lesson in self.lessons)

    @property
    def gpu(self) -> GpuNeed:
        """Return the strongest need of its labs."""
        order = list(GpuNeed)
        return max((lab.gpu for lab in self.labs), key=order.index, default=GpuNeed.NONE)

    def language_for(self, wanted: str) -> str:
        """Return the wanted language when the course has it, its source language otherwise."""
        return wanted if wanted in self.languages else self.languages[0]

    def lesson(self, slug: str) -> Lesson | None:
        """Return a lesson by its slug."""
        return next((lesson for lesson in self.lessons if lesson.slug == slug), None)

    def lab(self, slug: str) -> Lab | None:
        """Return a lab by its slug."""
        return next((lab for lab in self.labs if lab.slug == slug), None)

    def is_preview(self, lesson: Lesson) -> bool:
        """Return whether a lesson is open to everybody: the first one is."""
        return lesson is self.lessons[0]
