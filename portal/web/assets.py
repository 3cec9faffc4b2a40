"""The built style sheet, script and icon: their addresses for templates and the route that serves them.

`npm run build` writes `portal/web/static/` with hashed names and a manifest. A name with a hash never
changes its content, so browsers keep it for a year. Nothing but what the manifest names is served.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from flask import Blueprint, Response, request, url_for
from flask.blueprints import BlueprintSetupState

from portal.core.errors import NotFound
from portal.web import access

STATIC = Path(__file__).resolve().parent / "static"
YEAR_S = 365 * 86400
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))

blueprint = Blueprint("assets", __name__)


class AssetsNotBuilt(RuntimeError):
    """The style sheet and script are not there; the message says how to make them."""


@dataclass
class Manifest:
    """The names of the built files, read again when a build replaced them."""

    folder: Path
    _names: dict[str, str] = field(default_factory=dict)
    _read_at_ns: int = -1

    def file_of(self, name: str) -> str:
        """Return the hashed file name of "portal.css", "portal.js" or "favicon.svg".

        Raises AssetsNotBuilt, also for a name that no build makes.
        """
        names = self._load()
        if name not in names:
            raise AssetsNotBuilt(f"No built file is called {name!r}; there are {', '.join(sorted(names))}.")
        return names[name]

    def files(self) -> frozenset[str]:
        """Return the file names that may be served."""
        return frozenset(self._load().values())

    def _load(self) -> dict[str, str]:
        path = self.folder / "manifest.json"
        try:
            changed_at_ns = path.stat().st_mtime_ns
        except FileNotFoundError:
            raise AssetsNotBuilt(f"{path.name} is missing: run `npm ci` and `npm run build` once.") from None
        if changed_at_ns != self._read_at_ns:
            self._names = json.loads(path.read_text(encoding="utf-8"))
            self._read_at_ns = changed_at_ns
        return self._names


manifest = Manifest(STATIC)


@blueprint.get("/static/<name>", endpoint="file")
@access.public
def serve_file(name: str) -> Response:
    """Serve a built file, compressed where the browser takes it."""
    if name not in manifest.files():
        raise NotFound
    path = manifest.folder / name
    encoding, suffix = next(((coding, end) for coding, end in _ENCODINGS if request.accept_encodings[coding] > 0), ("", ""))
    response = Response((manifest.folder / f"{name}{suffix}").read_bytes(), content_type=_TYPES[path.suffix])
    if encoding:
        response.headers["Content-Encoding"] = encoding
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable"
    return response


def asset_url(name: str) -> str:
    """Return the address of a built file, for templates."""
    return url_for("assets.file", name=manifest.file_of(name))


@blueprint.record
def _add_global(state: BlueprintSetupState) -> None:
    state.app.jinja_env.globals["asset_url"] = asset_url
