"""The catalogue: searched in any language, read again when a file changes, without the courses that have errors."""

import logging
import os

import pytest

from portal.learning import catalogue
from portal.learning.catalogue import Shelf
from portal.learning.content.model import Level
from tests.factories.learning import COURSES, SLUG
from tests.learning.conftest import SmallCourse


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", True),
        ("gpu zero", True),
        ("GPU ZERO", True),
        ("a partir de zero", True),
        ("À PARTIR de ZÉRO", True),
        ("الحوسبه علي المعالج", True),
        ("الحَوْسَبَة", True),
        ("mesurer kilowattheures", True),
        ("gpu cooking", False),
        ("الطبخ", False),
    ],
)
def test_search_finds_words_in_any_language(words: str, found: bool) -> None:
    assert [course.slug for course in catalogue.read(COURSES).search(words)] == ([SLUG] if found else [])


def test_search_by_level_and_language() -> None:
    shelf = catalogue.read(COURSES)

    assert len(shelf.search(level=Level.BEGINNER, language="ar")) == 1
    assert shelf.search(level=Level.ADVANCED) == []
    assert shelf.search(language="xx") == []


def test_course_with_errors_is_left_out_and_logged(small: SmallCourse, caplog: pytest.LogCaptureFixture) -> None:
    assert list(catalogue.read(small.folder.parent).courses) == ["small"]
    small.change("course.yaml", "level: beginner", "level: easy")

    with caplog.at_level(logging.ERROR):
        assert list(catalogue.read(small.folder.parent).courses) == []

    assert "course.yaml:6" in caplog.text


def test_watching_shelf_sees_a_change_and_the_other_does_not(small: SmallCourse) -> None:
    watching, still = Shelf(small.folder.parent, is_watching=True), Shelf(small.folder.parent, is_watching=False)
    before = watching.catalogue()
    assert before.courses["small"].title["en"] == still.catalogue().courses["small"].title["en"] == "Small"
    assert watching.catalogue() is before

    small.change("course.yaml", "{en: Small,", "{en: Tiny,")
    os.utime(small.folder / "course.yaml", ns=(1, 1))

    assert watching.catalogue().courses["small"].title["en"] == "Tiny"
    assert still.catalogue().courses["small"].title["en"] == "Small"


def test_missing_folder_is_an_empty_catalogue(tmp_path) -> None:
    assert Shelf(tmp_path / "nowhere", is_watching=True).catalogue().courses == {}
