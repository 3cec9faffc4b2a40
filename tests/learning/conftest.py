"""A small course that a test may break."""

from pathlib import Path
from uuid import uuid4

import pytest

COURSE = """\
id: {id}
slug: small
title: {{en: Small, ar: صغير}}
summary: {{en: A small course., ar: درس صغير.}}
outcomes: {{en: [Know it.], ar: [معرفته.]}}
level: beginner
languages: [en, ar]
licence: CC-BY-4.0
authors: [Tests]
modules:
  - title: {{en: One, ar: واحد}}
    lessons:
      - slug: first
        title: {{en: First, ar: الأول}}
        reading_min: 5
labs: [try]
"""
LAB = """\
title: {en: Try, ar: جرّب}
summary: {en: Try it., ar: جرّبه.}
profile: cpu-notebook
duration_min: 30
gpu: none
notebook: notebook.py
"""
NOTEBOOK = """\
# %% [markdown] id="goal" lang="en"
# # Goal
# %% [markdown] id="goal" lang="ar"
# # الهدف
# %% id="sum"
print(1 + 1)
"""
EN = "{#one}\n## One\n\nA text.\n\n{#two}\n```python\nprint(1)\n```\n\n{#go lab=try}\n"
AR = "{#one}\n## واحد\n\nنص.\n\n{#two same}\n\n{#go lab=try}\n"


class SmallCourse:
    """The files of a course in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "small"
        self.write("course.yaml", COURSE.format(id=uuid4()))
        self.write("lessons/first/en.md", EN)
        self.write("lessons/first/ar.md", AR)
        self.write("labs/try/lab.yaml", LAB)
        self.write("labs/try/notebook.py", NOTEBOOK)

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def change(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text(encoding="utf-8")
        assert old in text
        self.write(path, text.replace(old, new, 1))


@pytest.fixture
def small(tmp_path: Path) -> SmallCourse:
    """Give a course without errors."""
    return SmallCourse(tmp_path / "courses")
