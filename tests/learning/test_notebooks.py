"""The lab's notebook: one per language, the same code in all, and it really runs where people's sessions run."""

import json
import os
import subprocess
from pathlib import Path

import nbformat
import pytest

from portal.learning.operations.labs import notebook
from tests.factories.learning import course

SINGLE_USER = Path(__file__).resolve().parent.parent.parent / ".venv-singleuser" / "bin" / "python"
RUN = """
import sys, json, nbformat, nbclient
notebook = nbformat.read(sys.stdin, 4)
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
print(json.dumps({cell["id"]: "".join(o.get("text", "") for o in cell.get("outputs", [])) for cell in notebook.cells if cell.cell_type == "code"}))
"""


def read(language: str):
    found = course()
    return nbformat.reads(notebook(found, found.labs[0], language).decode(), as_version=4)


def test_notebook_is_valid_and_the_same_for_the_same_files() -> None:
    found = course()
    for language in found.languages:
        first = notebook(found, found.labs[0], language)
        assert first == notebook(found, found.labs[0], language)
        nbformat.validate(nbformat.reads(first.decode(), as_version=4))


def test_languages_share_code_and_differ_in_text() -> None:
    books = {language: read(language) for language in course().languages}

    code = {language: [(cell.id, cell.source) for cell in book.cells if cell.cell_type == "code"] for language, book in books.items()}
    text = {language: [cell.source for cell in book.cells if cell.cell_type == "markdown"] for language, book in books.items()}
    assert code["en"] == code["fr"] == code["ar"]
    assert [cell.id for cell in books["en"].cells] == [cell.id for cell in books["ar"].cells]
    assert not set(text["en"]) & set(text["fr"])
    assert all(cell.startswith('<div dir="rtl" lang="ar">\n\n') for cell in text["ar"])
    assert books["ar"].metadata["hub"] == {"course": "gpu-from-zero", "lab": "measure-it", "revision": course().revision, "language": "ar"}


@pytest.mark.slow
@pytest.mark.skipif(not SINGLE_USER.exists() and not os.environ.get("CI"), reason="the single-user environment is not installed (make up installs it)")
def test_notebook_runs_in_the_single_user_environment() -> None:
    found = course()
    done = subprocess.run(
        [str(SINGLE_USER), "-c", RUN], check=False, input=notebook(found, found.labs[0], "fr").decode(), capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stderr[-2000:]
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["library"].startswith(("CPU, NumPy", "GPU, "))
    rates = [float(line.split()[3]) for line in printed["bandwidth"].splitlines()[1:]]
    assert len(rates) >= 5
    assert all(rate > 0.1 for rate in rates)
    assert "FLOP/byte" in printed["roof"]
    assert "/ credit" in printed["price"]
