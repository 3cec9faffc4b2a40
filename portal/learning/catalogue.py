"""The catalogue: every course of the folder that has no errors, read once and kept by content.

In development a changed file is seen at the next page; a deployment reads its courses when it starts.
"""

import logging
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from portal.learning.content import loading
from portal.learning.content.loading import check as check  # what `portal course check` calls
from portal.learning.content.model import Course, Level

logger = logging.getLogger(__name__)
# Written differently, meant alike: the forms of alef, the closed and open t, the two final y.
_ARABIC_FORMS = str.maketrans("أإآٱىة", "اااايه")


@dataclass(frozen=True)
class Catalogue:
    """The courses by slug, in order of their slugs."""

    courses: Mapping[str, Course] = field(default_factory=dict)

    def by_id(self, course_id: uuid.UUID) -> Course | None:
        """Return a course by the id that never changes."""
        return next((course for course in self.courses.values() if course.id == course_id), None)

    def search(self, words: str = "", *, level: Level | None = None, language: str | None = None) -> list[Course]:
        """Return the courses in which every word occurs, in any language, whatever the accents."""
        wanted = plain(words).split()
        return [
            course
            for course in self.courses.values()
            if (level is None or course.level is level)
            and (language is None or language in course.languages)
            and all(word in _searchable(course) for word in wanted)
        ]


def plain(text: str) -> str:
    """Return text as it is compared: no case, no accents, no Arabic vowel signs, one form of alef."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_ARABIC_FORMS))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter) and letter != "ـ").translate(_ARABIC_FORMS)


@lru_cache(maxsize=256)
def _searchable_texts(texts: tuple[str, ...]) -> str:
    return plain(" ".join(texts))


def _searchable(course: Course) -> str:
    texts: list[str] = [*course.title.values(), *course.summary.values()]
    texts += [title for lesson in course.lessons for title in lesson.title.values()]
    return _searchable_texts(tuple(texts))


class Shelf:
    """Where the catalogue comes from. One per process."""

    def __init__(self, folder: Path, *, is_watching: bool) -> None:
        self._folder = folder
        self._is_watching = is_watching
        self._seen: Fingerprint | None = None
        self._catalogue = Catalogue()

    def catalogue(self) -> Catalogue:
        """Return the catalogue; when watching, read again what changed since."""
        if self._seen is None or self._is_watching:
            seen = fingerprint(self._folder)
            if seen != self._seen:
                self._catalogue = read(self._folder)
                self._seen = seen
        return self._catalogue


Fingerprint = Sequence[tuple[str, int, int]]


def fingerprint(folder: Path) -> Fingerprint:
    """Return what tells that a file of any course changed: names, sizes and times."""
    files = [path for course in loading.course_folders(folder) for path in loading.files_of(course)]
    return [(str(path), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in files]


def read(folder: Path) -> Catalogue:
    """Read every course; one with errors is left out and its first error is logged."""
    courses: dict[str, Course] = {}
    seen: set[uuid.UUID] = set()
    for child in loading.course_folders(folder):
        course, problems = loading.load(child)
        errors = [problem for problem in problems if not problem.is_warning]
        if course is None or course.id in seen:
            logger.error("course %s is not shown: %s", child.name, errors[0] if errors else "its id is that of another course")
            continue
        seen.add(course.id)
        courses[course.slug] = course
    return Catalogue(courses)
