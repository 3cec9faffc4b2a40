"""A course's folder into a `Course`, and every problem on the way. Files outside the folder are never read."""

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from portal.learning.content import figures, lessons, notebooks, rendering, yaml_files
from portal.learning.content.model import Block, Course, Figure, GpuNeed, Lab, Lesson, Level, Module, Problem

# Addresses below /courses/ that are not courses.
RESERVED = frozenset({"runs"})
KNOWN_SUFFIXES = frozenset({".yaml", ".md", ".svg", ".py"})


def load(folder: Path) -> tuple[Course | None, list[Problem]]:
    """Read one course. The course is None when a problem is more than a warning."""
    file, problems = yaml_files.read(folder / "course.yaml", "course.yaml", "course")
    if file is None:
        return None, problems
    problems += _course_problems(file, folder)
    data, languages = file.data, tuple(file.data["languages"])
    modules: list[Module] = []
    labs, lab_problems = _labs(folder, data.get("labs", []), languages)
    problems += lab_problems
    number = 0
    for position, module in enumerate(data["modules"]):
        problems += _language_problems(file, module["title"], languages, "modules", position, "title")
        read = []
        for place, entry in enumerate(module["lessons"]):
            number += 1
            problems += _language_problems(file, entry["title"], languages, "modules", position, "lessons", place, "title")
            lesson, found = _lesson(folder, entry, number, languages, {lab.slug for lab in labs})
            problems += found
            read.append(lesson)
        modules.append(Module(module["title"], tuple(read)))
    problems += _unused(folder, data, file)
    if any(not problem.is_warning for problem in problems):
        return None, problems
    return _course(folder, data, tuple(modules), tuple(labs)), problems


def check(folder: Path) -> list[Problem]:
    """Return every problem of a course's folder, or of each course in a folder of courses."""
    if (folder / "course.yaml").exists() or not folder.is_dir():
        return load(folder)[1]
    problems = []
    seen: dict[uuid.UUID, str] = {}
    for child in course_folders(folder):
        course, found = load(child)
        problems += [Problem(f"{child.name}/{problem.path}", problem.line, problem.what, problem.fix, problem.is_warning) for problem in found]
        if course is not None and course.id in seen:
            problems.append(Problem(f"{child.name}/course.yaml", 1, f"The id is that of “{seen[course.id]}”.", "Make a new one with uuidgen."))
        elif course is not None:
            seen[course.id] = course.slug
    return problems


def course_folders(root: Path) -> list[Path]:
    """Return the folders of courses, in order of their names."""
    return sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith((".", "_"))) if root.is_dir() else []


def files_of(folder: Path) -> Iterator[Path]:
    """Yield a course's files in a fixed order: what its revision is the digest of."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in KNOWN_SUFFIXES and not path.is_symlink() and path.is_file():
            yield path


def revision_of(folder: Path) -> str:
    """Return the digest of everything a course is made of, as 12 digits."""
    total = hashlib.sha256()
    for path in files_of(folder):
        total.update(f"{path.relative_to(folder).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:12]


def _course(folder: Path, data: Mapping[str, Any], modules: tuple[Module, ...], labs: tuple[Lab, ...]) -> Course:
    return Course(
        id=uuid.UUID(data["id"]),
        slug=data["slug"],
        title=data["title"],
        summary=data["summary"],
        outcomes=data["outcomes"],
        level=Level(data["level"]),
        languages=tuple(data["languages"]),
        licence=data["licence"],
        authors=tuple(data["authors"]),
        modules=modules,
        labs=labs,
        revision=revision_of(folder),
    )


def _course_problems(file: yaml_files.YamlFile, folder: Path) -> list[Problem]:
    data, problems = file.data, []
    if data["slug"] != folder.name:
        problems.append(Problem("course.yaml", file.line("slug"), f"The slug is “{data['slug']}”, the folder “{folder.name}”.", "Give both the same name."))
    if data["slug"] in RESERVED:
        problems.append(Problem("course.yaml", file.line("slug"), f"“{data['slug']}” is an address of the portal's own.", "Take another slug."))
    for name in ("title", "summary", "outcomes"):
        problems += _language_problems(file, data[name], tuple(data["languages"]), name)
    slugs = [entry["slug"] for module in data["modules"] for entry in module["lessons"]]
    for position, module in enumerate(data["modules"]):
        for place, entry in enumerate(module["lessons"]):
            if slugs.count(entry["slug"]) > 1:
                line = file.line("modules", position, "lessons", place, "slug")
                problems.append(Problem("course.yaml", line, f"The lesson “{entry['slug']}” stands twice.", "Give each lesson a slug of its own."))
    return problems


def _language_problems(file: yaml_files.YamlFile, texts: Mapping[str, Any], languages: Sequence[str], *steps: str | int) -> list[Problem]:
    missing = [language for language in languages if language not in texts]
    extra = [language for language in texts if language not in languages]
    place = ".".join(map(str, steps))
    problems = []
    if missing:
        fix = f"Add “{missing[0]}:”, or take the language out of “languages:”."
        problems.append(Problem(file.path, file.line(*steps), f"“{place}” lacks {', '.join(missing)}.", fix))
    if extra:
        what = f"“{place}” is also in {', '.join(extra)}, which is not a language of the course."
        problems.append(Problem(file.path, file.line(*steps, extra[0]), what, "Add it to “languages:”, or drop it here."))
    return problems


def _text_file(folder: Path, relative: str, fix: str) -> tuple[str | None, list[Problem]]:
    path = folder / relative
    if not path.resolve().is_relative_to(folder.resolve()):
        return None, [Problem(relative, None, "The file lies outside the course's folder.", "Put the file itself here, not a link.")]
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None, [Problem(relative, None, "The file is missing.", fix)]
    if len(raw) > lessons.MAX_BYTES:
        return None, [Problem(relative, None, f"The file has {len(raw)} bytes.", f"Keep it below {lessons.MAX_BYTES}.")]
    try:
        return raw.decode("utf-8").removeprefix("\ufeff"), []
    except UnicodeDecodeError as error:
        return None, [Problem(relative, raw[: error.start].count(b"\n") + 1, "The file is not UTF-8.", "Save it as UTF-8.")]


def _lesson(folder: Path, entry: Mapping[str, Any], number: int, languages: tuple[str, ...], labs: set[str]) -> tuple[Lesson, list[Problem]]:
    place = f"lessons/{entry['slug']}"
    problems: list[Problem] = []
    raw: dict[str, list[lessons.RawBlock]] = {}
    for language in languages:
        text, found = _text_file(folder, f"{place}/{language}.md", "Write the lesson in this language, or take the language out of “languages:”.")
        problems += found
        blocks, found = lessons.split(text, f"{place}/{language}.md") if text is not None else ([], [])
        problems += found
        raw[language] = blocks
    merged, found = lessons.merge(raw, {language: f"{place}/{language}.md" for language in languages}, languages[0])
    drawn, figure_problems = _figures(folder, f"{place}/figures")
    problems += figure_problems + (found if not any(problem.line is None for problem in problems) else [])
    for language, parts in merged.items():
        problems += _block_problems(parts, f"{place}/{language}.md", language, drawn, labs)
    return Lesson(entry["slug"], number, entry["title"], entry["reading_min"], merged, drawn), problems


def _block_problems(blocks: Sequence[Block], path: str, language: str, drawn: tuple[Figure, ...], labs: set[str]) -> list[Problem]:
    problems = []
    for block in blocks:
        if block.lab is not None and block.lab not in labs:
            problems.append(Problem(path, block.line, f"There is no lab “{block.lab}”.", "Name one of “labs:” in course.yaml."))
        if block.language == language:
            found = rendering.render(block.text, block.language, drawn).problems
            problems += [Problem(path, block.line + line, what, fix) for line, what, fix in found]
    return problems


def _figures(folder: Path, place: str) -> tuple[tuple[Figure, ...], list[Problem]]:
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for path in sorted((folder / place).glob("*")):
        if path.suffix != ".svg":
            problems.append(Problem(f"{place}/{path.name}", None, "Figures are SVG files.", "Draw it as SVG, or take the file out."))
            continue
        text, found = _text_file(folder, f"{place}/{path.name}", "")
        problems += found
        if text is None:
            continue
        fix = "See portal/learning/content/figures.py for what a drawing may have."
        wrong = [Problem(f"{place}/{path.name}", None, what, fix) for what in figures.problems_of(text)]
        problems += wrong
        if not wrong:
            texts[path.name.removesuffix(".svg")] = text
    wide = {name: text for name, text in texts.items() if not name.endswith(".narrow")}
    return tuple(Figure(name, text, texts.get(f"{name}.narrow")) for name, text in wide.items()), problems


def _labs(folder: Path, slugs: Sequence[str], languages: tuple[str, ...]) -> tuple[list[Lab], list[Problem]]:
    labs: list[Lab] = []
    problems: list[Problem] = []
    for slug in slugs:
        place = f"labs/{slug}"
        file, found = yaml_files.read(folder / place / "lab.yaml", f"{place}/lab.yaml", "lab")
        problems += found
        if file is None:
            continue
        for name in ("title", "summary"):
            problems += _language_problems(file, file.data[name], languages, name)
        text, found = _text_file(folder, f"{place}/notebook.py", "Write the notebook's master; see portal/learning/content/notebooks.py.")
        problems += found
        cells, found = notebooks.parse(text, f"{place}/notebook.py", languages) if text is not None else ((), [])
        problems += found
        data = file.data
        labs.append(Lab(slug, data["title"], data["summary"], data["profile"], data["duration_min"] * 60, GpuNeed(data["gpu"]), cells))
    return labs, problems


def _unused(folder: Path, data: Mapping[str, Any], file: yaml_files.YamlFile) -> list[Problem]:
    """Return folders that course.yaml does not name: forgotten work, or a misspelt slug."""
    lesson_slugs = {entry["slug"] for module in data["modules"] for entry in module["lessons"]}
    named = {"lessons": lesson_slugs, "labs": set(data.get("labs", []))}
    return [
        Problem(
            file.path,
            file.line("modules" if kind == "lessons" else "labs"),
            f"The folder {kind}/{child.name} is not named here.",
            "Name it, or take the folder out.",
            is_warning=True,
        )
        for kind, slugs in named.items()
        for child in course_folders(folder / kind)
        if child.name not in slugs
    ]
