"""Course files: what is right is read, what is wrong is named with file, line and remedy."""

from pathlib import Path

import pytest

from portal.learning.content import lessons, loading, translations
from portal.learning.content.model import Level
from tests.factories.learning import COURSES, course
from tests.learning.conftest import SmallCourse


def test_courses_of_the_house_have_no_problem() -> None:
    assert [str(problem) for problem in loading.check(COURSES)] == []


def test_course_of_the_house_is_read_whole() -> None:
    found = course()

    assert found.languages == ("en", "fr", "ar")
    assert [lesson.slug for lesson in found.lessons] == ["what-a-gpu-does", "measure-before-believing"]
    assert [lab.slug for lab in found.labs] == ["measure-it"]
    assert found.lessons[1].labs == ("measure-it",)
    assert found.is_preview(found.lessons[0])
    assert not found.is_preview(found.lessons[1])
    for lesson in found.lessons:
        ids = {language: [block.id for block in blocks] for language, blocks in lesson.blocks.items()}
        assert ids["en"] == ids["fr"] == ids["ar"]


def test_lessons_of_the_house_have_their_length_in_every_language() -> None:
    for lesson in course().lessons:
        for language, blocks in lesson.blocks.items():
            words = sum(len(block.text.split()) for block in blocks)
            assert words >= 700, (lesson.slug, language, words)


def test_small_course_is_read(small: SmallCourse) -> None:
    found, problems = loading.load(small.folder)

    assert found is not None
    assert [problem.is_warning for problem in problems] == [True]  # the translation that says from nothing
    assert found.level is Level.BEGINNER
    assert found.lessons[0].blocks["ar"][1].language == "en"
    assert found.lessons[0].blocks["ar"][1].text == found.lessons[0].blocks["en"][1].text


# What is done to the files, then the file and line of the problem, and words of it.
MISTAKES = [
    ("course.yaml", "level: beginner", "level: easy", "course.yaml:6", "beginner, intermediate or advanced"),
    ("course.yaml", "level: beginner\n", "", "course.yaml:1", "lacks level"),
    ("course.yaml", "licence:", "license:", "course.yaml:8", "license"),
    ("course.yaml", "slug: small", "slug: Small", "course.yaml:2", "lower-case letters"),
    ("course.yaml", "slug: small", "slug: other", "course.yaml:2", "the folder “small”"),
    ("course.yaml", "level: beginner", "level: beginner\nlevel: beginner", "course.yaml:7", "stands twice"),
    ("course.yaml", "level: beginner", "level: [", "course.yaml:8", "Not YAML"),
    ("course.yaml", "{en: Small, ar: صغير}", "{en: Small}", "course.yaml:3", "“title” lacks ar"),
    ("course.yaml", "{en: Small, ar: صغير}", "{en: Small, ar: صغير, fr: Petit}", "course.yaml:3", "also in fr"),
    ("course.yaml", "reading_min: 5", "reading_min: long", "course.yaml:15", "minutes of reading"),
    ("course.yaml", "slug: first", "slug: ../../secrets", "course.yaml:13", "lower-case letters"),
    ("course.yaml", "labs: [try]", "labs: [try, gone]", "labs/gone/lab.yaml", "missing"),
    ("course.yaml", "labs: [try]", "labs: []", "lessons/first/en.md:11", "There is no lab “try”"),
    ("lessons/first/en.md", "{#one}\n", "Lost words.\n\n{#one}\n", "lessons/first/en.md:1", "belongs to no block"),
    ("lessons/first/en.md", "{#two}", "{#One two}", "lessons/first/en.md:6", "no block marker"),
    ("lessons/first/en.md", "{#two}", "{#one}", "lessons/first/en.md:6", "stands twice"),
    ("lessons/first/en.md", "{#two}", "{#two colour=red}", "lessons/first/en.md:6", "“colour” is not known"),
    ("lessons/first/en.md", "## One", "# One", "lessons/first/en.md:2", "first level"),
    ("lessons/first/en.md", "```python", "```klingon", "lessons/first/en.md:7", "“klingon” is not a known language"),
    ("lessons/first/en.md", "```\n\n{#go", "\n\n{#go", "lessons/first/en.md:11", "never closed"),
    ("lessons/first/en.md", "A text.", "A $\\frac{1$ text.", "lessons/first/en.md:2", "cannot be read"),
    ("lessons/first/en.md", "A text.", "![x](figures/none.svg)", "lessons/first/en.md:4", "no figure"),
    ("lessons/first/en.md", "A text.", "![x](../../../etc/passwd)", "lessons/first/en.md:4", "no figure"),
    ("lessons/first/en.md", "A text.", "A \u202etext.", "lessons/first/en.md:4", "invisible character"),
    ("lessons/first/ar.md", "{#two same}\n\n", "", "lessons/first/ar.md", "Blocks are missing: two"),
    ("lessons/first/ar.md", "{#two same}", "{#three}\nنص\n{#two same}", "lessons/first/ar.md:6", "“three” is not in en"),
    ("lessons/first/ar.md", "{#go lab=try}", "{#go lab=other}", "lessons/first/ar.md:8", "another lab"),
    ("labs/try/lab.yaml", "duration_min: 30", "duration_min: 5", "labs/try/lab.yaml:4", "minutes that the session"),
    ("labs/try/lab.yaml", "notebook: notebook.py", "notebook: ../../x.py", "labs/try/lab.yaml:6", "notebook.py"),
    ("labs/try/notebook.py", "print(1 + 1)", "print(1 +", "labs/try/notebook.py:6", "Not Python"),
    ("labs/try/notebook.py", '# %% [markdown] id="goal" lang="ar"\n# # الهدف\n', "", "labs/try/notebook.py:1", "lacks ar"),
    ("labs/try/notebook.py", '# %% id="sum"', "# %%", "labs/try/notebook.py:5", "no good id"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{row[3]} {row[4]}" for row in MISTAKES])
def test_mistake_is_named_with_its_place(small: SmallCourse, mistake: tuple[str, str, str, str, str]) -> None:
    path, old, new, place, words = mistake
    small.change(path, old, new)

    found, problems = loading.load(small.folder)

    errors = [str(problem) for problem in problems if not problem.is_warning]
    assert found is None
    assert [error for error in errors if error.startswith(f"{place}: ") and words in error], errors
    assert all(problem.fix for problem in problems)


def test_translation_is_stale_after_its_source_changed(small: SmallCourse) -> None:
    source, translation = small.folder / "lessons/first/en.md", small.folder / "lessons/first/ar.md"
    assert translations.stamp(source, translation) == 1
    assert loading.load(small.folder)[1] == []

    small.change("lessons/first/en.md", "A text.", "Another text.")
    found, problems = loading.load(small.folder)

    assert found is not None
    assert [block.is_stale for block in found.lessons[0].blocks["ar"]] == [True, False, False]
    now = lessons.digest(found.lessons[0].blocks["en"][0].text)
    words = "The block “one” changed in en after it was translated. Bring it up to date, then write"
    assert [str(problem) for problem in problems] == [f"lessons/first/ar.md:1: warning: {words} {{#one from={now}}}."]


def test_marker_inside_code_is_code() -> None:
    blocks, problems = lessons.split("{#one}\n```text\n{#two}\n```\n", "x.md")

    assert problems == []
    assert [(block.id, block.text) for block in blocks] == [("one", "```text\n{#two}\n```")]


@pytest.mark.parametrize("name", ["lessons/first/en.md", "labs/try/notebook.py"])
def test_link_out_of_the_folder_is_refused(small: SmallCourse, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("{#one}\nsecret-7731\n", encoding="utf-8")
    (small.folder / name).unlink()
    (small.folder / name).symlink_to(secret)

    found, problems = loading.load(small.folder)

    assert found is None
    assert any("outside the course's folder" in problem.what for problem in problems)


def test_linked_figure_folder_is_refused(small: SmallCourse, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><text>secret-7731</text></svg>', encoding="utf-8")
    (small.folder / "lessons/first/figures").symlink_to(outside)

    found, problems = loading.load(small.folder)

    assert found is None
    assert any("outside the course's folder" in problem.what for problem in problems)


def test_folder_that_is_not_named_is_a_warning(small: SmallCourse) -> None:
    small.write("lessons/forgotten/en.md", "{#one}\nText.\n")

    assert any("lessons/forgotten is not named" in problem.what and problem.is_warning for problem in loading.load(small.folder)[1])


def test_one_id_for_two_courses_is_found(small: SmallCourse) -> None:
    text = (small.folder / "course.yaml").read_text(encoding="utf-8")
    other = SmallCourse(small.folder.parent / "x")
    other.folder.rename(small.folder.parent / "twin")
    twin = small.folder.parent / "twin"
    (twin / "course.yaml").write_text(text.replace("slug: small", "slug: twin"), encoding="utf-8")

    assert any("twin/course.yaml" in str(problem) and "the id is that of “small”" in str(problem).lower() for problem in loading.check(small.folder.parent))


def test_revision_changes_with_any_file_and_with_nothing_else(small: SmallCourse) -> None:
    before = loading.revision_of(small.folder)
    assert loading.revision_of(small.folder) == before

    small.change("labs/try/notebook.py", "1 + 1", "1 + 2")

    assert loading.revision_of(small.folder) != before
