"""The built files: addresses, what is served, weight, directions and contrast."""

import gzip
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.web import assets, errors
from portal.web.assets import AssetsNotBuilt, Manifest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "portal" / "web" / "assets"


def run_node(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the machine's node, or the one of the nodejs wheel."""
    node = shutil.which("node") or str(ROOT / ".venv" / "bin" / "node")
    return subprocess.run([node, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def built() -> dict[str, str]:
    """Return the manifest of a fresh build."""
    if not (ROOT / "node_modules" / "sass").is_dir():
        pytest.fail("node_modules is missing: run `npm ci`.")
    done = run_node("portal/web/assets/build.mjs")
    assert done.returncode == 0, done.stderr
    manifest: dict[str, str] = json.loads((assets.STATIC / "manifest.json").read_text())
    return manifest


@pytest.fixture(scope="module")
def sheet(built: dict[str, str]) -> str:
    return (assets.STATIC / built["portal.css"]).read_text()


@pytest.fixture
def client(built: dict[str, str]) -> Iterator[FlaskClient]:
    app = Flask("assets")
    app.register_blueprint(assets.blueprint)
    errors_as_status = {"count": 0}

    @app.errorhandler(errors.NotFound)
    def not_found(_error: errors.NotFound) -> tuple[str, int]:
        errors_as_status["count"] += 1
        return "", 404

    with app.test_request_context():
        yield app.test_client()


def test_manifest_names_three_files(built: dict[str, str]) -> None:
    assert sorted(built) == ["favicon.svg", "portal.css", "portal.js"]
    for name, file in built.items():
        stem, _, ending = name.partition(".")
        assert re.fullmatch(rf"{stem}\.[0-9a-f]{{10}}\.{ending}", file)


def test_second_build_makes_the_same_names(built: dict[str, str]) -> None:
    assert run_node("portal/web/assets/build.mjs").returncode == 0
    assert json.loads((assets.STATIC / "manifest.json").read_text()) == built


def test_weight_is_within_budget(built: dict[str, str]) -> None:
    sizes = {name: len(gzip.compress((assets.STATIC / built[name]).read_bytes(), 9)) for name in ("portal.css", "portal.js")}
    assert sizes["portal.css"] <= 25_000
    assert sizes["portal.js"] <= 20_000


def test_asset_url_leads_to_the_file(client: FlaskClient, built: dict[str, str]) -> None:
    url = assets.asset_url("portal.css")
    answer = client.get(url, headers={"Accept-Encoding": "identity"})

    assert url == f"/static/{built['portal.css']}"
    assert (answer.status_code, answer.content_type) == (200, "text/css; charset=utf-8")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.data == (assets.STATIC / built["portal.css"]).read_bytes()


@pytest.mark.parametrize(("accepts", "coding"), [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("identity", None), ("", None)])
def test_file_is_compressed_where_the_browser_takes_it(client: FlaskClient, accepts: str, coding: str | None) -> None:
    answer = client.get(assets.asset_url("portal.js"), headers={"Accept-Encoding": accepts})

    assert answer.headers.get("Content-Encoding") == coding
    assert answer.headers["Vary"] == "Accept-Encoding"
    if coding == "gzip":
        assert gzip.decompress(answer.data).decode() == (assets.STATIC / assets.manifest.file_of("portal.js")).read_text()


@pytest.mark.parametrize("name", ["manifest.json", "portal.css", "portal.0000000000.css", "..%2fassets.py", "%2e%2e/assets.py"])
def test_nothing_else_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


def test_missing_build_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(AssetsNotBuilt, match="npm run build"):
        Manifest(tmp_path).file_of("portal.css")


def test_unknown_name_is_an_error(built: dict[str, str]) -> None:
    with pytest.raises(AssetsNotBuilt, match=re.escape("'other.css'; there are favicon.svg, portal.css, portal.js")):
        Manifest(assets.STATIC).file_of("other.css")


def test_manifest_is_read_again_after_a_build(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text('{"portal.css": "portal.1.css"}')
    manifest = Manifest(tmp_path)
    assert manifest.file_of("portal.css") == "portal.1.css"

    path.write_text('{"portal.css": "portal.2.css"}')
    os.utime(path, ns=(1, 1))

    assert manifest.file_of("portal.css") == "portal.2.css"
    assert manifest.files() == {"portal.2.css"}


def test_sheet_has_no_physical_direction(sheet: str) -> None:
    physical = re.findall(r"[{;](?:left|right):|(?:margin|padding|border)-(?:left|right)|(?:text-align|float|clear):(?:left|right)", sheet)
    assert physical == []


def test_sheet_loads_nothing_from_elsewhere(sheet: str) -> None:
    targets = re.findall(r"url\(\"?([^)\"]{0,20})", sheet)
    assert targets
    assert {target[:15] for target in targets} == {"data:image/svg+"}
    assert "@import" not in sheet


def test_script_evaluates_no_text_of_its_own(built: dict[str, str]) -> None:
    own = "".join(path.read_text() for path in sorted((SOURCES / "js").iterdir()))
    assert re.findall(r"\beval\b|new Function|setAttribute\('style'|\.outerHTML", own) == []


def test_contrast_check_passes_and_can_fail(tmp_path: Path) -> None:
    done = run_node("portal/web/assets/contrast.mjs")
    assert (done.returncode, done.stdout.split(",")[1].strip()) == (0, "0 too low")

    shutil.copytree(SOURCES, tmp_path / "assets")
    tokens = tmp_path / "assets" / "scss" / "_tokens.scss"
    tokens.write_text(tokens.read_text().replace("ink-2: #4a5b55", "ink-2: #a0b0aa"))
    failed = run_node(str(tmp_path / "assets" / "contrast.mjs"))

    assert failed.returncode == 1
    assert "light: ink-2 on paper is" in failed.stdout
