"""The composition root: `create_app` puts the floors together, here and nowhere else.

The table of blueprints below is the map of addresses; `jobs_of_all_domains` the list of queued work.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Flask
from flask_alembic import Alembic
from flask_babel import gettext
from flask_wtf import CSRFProtect

from portal.core import database
from portal.core.access import Actor
from portal.settings import Settings
from portal.settings import load as load_settings
from portal.web import access, assets, errors, formats, headers, i18n, pages
from portal.web.application import Portal
from portal.web.database import sql

ROOT = Path(__file__).resolve().parent

# Domain views by prefix. A row is "module:blueprint".
BLUEPRINTS: list[tuple[str, str]] = [
    ("portal.web.i18n:blueprint", ""),
    ("portal.web.assets:blueprint", ""),
]

JOB_MODULES: list[str] = []

TEMPLATE_FOLDERS = ["identity", "notifications", "projects", "credits", "compute", "learning", "incubation", "desk"]


def create_app(settings: Settings | None = None, **overrides: Any) -> Flask:
    """Return the portal's WSGI application. Raises BadSetting."""
    settings = settings or load_settings()
    app = Portal("portal", root_path=str(ROOT), template_folder="web/templates", static_folder=None)
    app.config.from_mapping(_config(settings) | overrides)
    app.extensions["portal_settings"] = settings
    sql.init_app(app)
    Alembic(app, run_mkdir=False)
    CSRFProtect(app)
    headers.install(app, host=settings.public_host, is_https=settings.is_https)
    errors.install(app)
    i18n.install(app)
    formats.register(app)
    app.before_request(access.enforce)
    pages.install(app, pages.LayoutParts(nav=_nav, account=lambda actor: None, balance=lambda actor: None, banner=lambda: None))
    load_jobs()
    for name, prefix in BLUEPRINTS:
        module, _, attribute = name.partition(":")
        app.register_blueprint(getattr(import_module(module), attribute), url_prefix=prefix or None)
    return app


def load_jobs() -> None:
    """Import every domain's jobs, so that names resolve."""
    for module in JOB_MODULES:
        import_module(module)


def _config(settings: Settings) -> dict[str, Any]:
    return {
        "SECRET_KEY": settings.secret_key,
        "SQLALCHEMY_ENGINES": {"default": database.psycopg_url(settings.database_url)},
        "ALEMBIC": {"script_location": str(ROOT / "migrations"), "version_locations": [str(ROOT / "migrations" / "versions")]},
        "ALEMBIC_CONTEXT": {"compare_server_default": False, "transaction_per_migration": True},
        "MAX_CONTENT_LENGTH": 16 * 2**20,
        "MAX_FORM_MEMORY_SIZE": 2 * 2**20,
        "MAX_FORM_PARTS": 2000,
        "WTF_CSRF_TIME_LIMIT": 12 * 3600,
        "PREFERRED_URL_SCHEME": "https" if settings.is_https else "http",
        "TESTING": False,
    }


def _nav(actor: Actor) -> list[pages.Link]:
    return [pages.Link(gettext("Home"), "/", current=True)]
