"""Courses as pages show them: texts in the reader's language, lessons in theirs, files to take along."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from flask import current_app, render_template
from flask_babel import force_locale
from markupsafe import Markup, escape

from portal.core.errors import NotFound
from portal.learning.catalogue import Catalogue, Shelf
from portal.learning.content import rendering
from portal.learning.content.model import Course, Lab, Lesson
from portal.learning.content.rendering import Segment
from portal.learning.operations import labs
from portal.settings import Settings
from portal.web import i18n

_SHELF = "portal_learning_shelf"


@dataclass(frozen=True)
class ShownBlock:
    """A block of a lesson, ready for the template. `lab` is set where a lab's card stands."""

    id: str
    language: str
    direction: str
    segments: tuple[Segment, ...]
    lab: Lab | None
    is_stale: bool


def catalogue() -> Catalogue:
    """Return the courses of this application."""
    shelf: Shelf | None = current_app.extensions.get(_SHELF)
    if shelf is None:
        settings: Settings = current_app.extensions["portal_settings"]
        shelf = current_app.extensions.setdefault(_SHELF, Shelf(settings.courses_dir, is_watching=settings.is_development))
    return shelf.catalogue()


def course_of(slug: str) -> Course:
    """Return a course. Raises NotFound."""
    course = catalogue().courses.get(slug)
    if course is None:
        raise NotFound
    return course


def lesson_of(course: Course, slug: str) -> Lesson:
    """Return a lesson of a course. Raises NotFound."""
    lesson = course.lesson(slug)
    if lesson is None:
        raise NotFound
    return lesson


def lab_of(course: Course, slug: str) -> Lab:
    """Return a lab of a course. Raises NotFound."""
    lab = course.lab(slug)
    if lab is None:
        raise NotFound
    return lab


def language_of(course: Course, wanted: str | None) -> str:
    """Return the language for a course's texts: the one asked for, the page's, or the course's source."""
    return wanted if wanted in course.languages else course.language_for(str(i18n.current_locale()))


def said(texts: Mapping[str, str]) -> Markup:
    """Return a text in the page's language; in another one, and marked as such, where it does not exist."""
    page = str(i18n.current_locale())
    language = page if page in texts else next(iter(texts))
    text = texts[language]
    shown = Markup(rendering.isolated(text)) if language == "ar" else escape(text)  # noqa: S704 -- escaped inside
    return shown if language == page else Markup('<span lang="{}" dir="{}">{}</span>').format(language, i18n.direction(language), shown)


def said_plainly(texts: Mapping[str, str]) -> str:
    """Return a text in the page's language for titles and attributes."""
    return texts.get(str(i18n.current_locale())) or next(iter(texts.values()))


def blocks(course: Course, lesson: Lesson, language: str) -> list[ShownBlock]:
    """Return a lesson's blocks in one language."""
    return [
        ShownBlock(
            id=block.id,
            language=block.language,
            direction=i18n.direction(block.language),
            segments=rendering.render(block.text, block.language, lesson.figures).segments if block.lab is None else (),
            lab=course.lab(block.lab) if block.lab else None,
            is_stale=block.is_stale,
        )
        for block in lesson.blocks[language]
    ]


def offline_page(course: Course, lesson: Lesson, language: str) -> bytes:
    """Return a lesson as one file that needs no network."""
    return _offline_page(_Key(course, lesson), language, course.revision)


@dataclass(frozen=True)
class _Key:
    """A course and a lesson as a cache key: two of the same revision are the same."""

    course: Course
    lesson: Lesson

    def __hash__(self) -> int:
        return hash((self.course.id, self.course.revision, self.lesson.slug))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and hash(self) == hash(other)


@lru_cache(maxsize=512)
def _offline_page(key: _Key, language: str, revision: str) -> bytes:
    with force_locale(language):
        parts = blocks(key.course, key.lesson, language)
        page = render_template(
            "learning/offline.html",
            course=key.course,
            lesson=key.lesson,
            blocks=parts,
            language=language,
            direction=i18n.direction(language),
            revision=revision,
        )
    return page.encode()


@lru_cache(maxsize=512)
def _weight(key: _Key, language: str) -> int:
    return sum(len(labs.notebook(key.course, lab, language)) for lab in key.course.labs)


def download_bytes(course: Course, language: str) -> int:
    """Return what a course weighs in one language: its lessons as files, and its notebooks."""
    pages = sum(len(offline_page(course, lesson, language)) for lesson in course.lessons)
    return pages + _weight(_Key(course, course.lessons[0]), language)
