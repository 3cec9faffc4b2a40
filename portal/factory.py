"""The composition root: `create_app` puts the floors together, here and nowhere else.

The table of blueprints below is the map of addresses; `jobs_of_all_domains` the list of queued work.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Flask
from flask_alembic import Alembic
from flask_wtf import CSRFProtect
from jinja2 import StrictUndefined

from portal.compute import hub_gateway
from portal.core import database, jobs
from portal.credits import papers
from portal.desk import layout
from portal.identity import sign_in
from portal.notifications import rendering
from portal.payments import stripe_gateway
from portal.settings import Settings
from portal.settings import load as load_settings
from portal.web import access, errors, formats, headers, i18n, pages
from portal.web.application import Portal
from portal.web.database import sql

ROOT = Path(__file__).resolve().parent
CHECKOUT_PAGES = "https://checkout.stripe.com"

# Domain views by prefix. A row is "module:blueprint".
BLUEPRINTS: list[tuple[str, str]] = [
    ("portal.web.i18n:blueprint", ""),
    ("portal.web.assets:blueprint", ""),
    ("portal.desk.views:blueprint", ""),
    ("portal.identity.views:blueprint", ""),
    ("portal.notifications.views:blueprint", ""),
    ("portal.projects.views:blueprint", "/projects"),
    ("portal.credits.views:blueprint", ""),
    ("portal.payments.views:blueprint", ""),
    ("portal.compute.views:blueprint", "/sessions"),
    ("portal.learning.views:blueprint", "/courses"),
    ("portal.incubation.views:blueprint", ""),
    ("portal.reporting.views:blueprint", "/reports"),
]

# What the hub and the agents call; served by a worker of its own (`create_hub_api_app`).
HUB_API_BLUEPRINTS: list[tuple[str, str]] = [("portal.hub_api.views:blueprint", "/hub-api/v1")]

JOB_MODULES: list[str] = [
    "portal.notifications.jobs",
    "portal.identity.jobs",
    "portal.projects.jobs",
    "portal.credits.jobs",
    "portal.payments.jobs",
    "portal.compute.jobs",
    "portal.learning.jobs",
    "portal.incubation.jobs",
    "portal.desk.jobs",
]


def create_app(settings: Settings | None = None, **overrides: Any) -> Flask:
    """Return the portal's WSGI application. Raises BadSetting."""
    settings = settings or load_settings()
    app = _bare_app(settings, overrides)
    csrf = CSRFProtect(app)
    i18n.install(app, zone=sign_in.current_zone, keep_language=sign_in.keep_language)
    sign_in.install(app, settings)
    rendering.install(app)
    papers.install(app)
    app.extensions["job_resources"]["hub"] = hub_gateway.from_settings(settings)
    app.before_request(access.enforce)
    pages.install(app, layout.parts(settings))
    app.extensions["job_resources"]["payments"] = stripe_gateway.from_settings(settings.stripe)
    _register(app, BLUEPRINTS)
    # Stripe's messages carry a signature of their own, and no cookie.
    csrf.exempt("portal.payments.views.webhook.webhook")
    return app


def create_hub_api_app(settings: Settings | None = None, **overrides: Any) -> Flask:
    """Return the WSGI application that the hub calls: machines alone, no sign-in, no cookies. Raises BadSetting."""
    settings = settings or load_settings()
    app = _bare_app(settings, overrides | {"PORTAL_HOST": None, "PORTAL_JSON_ONLY": True})
    i18n.install(app)
    access.use_machine_keys(app, {"hub": settings.hub.plugin_key})
    app.before_request(access.enforce)
    _register(app, HUB_API_BLUEPRINTS)
    return app


def _bare_app(settings: Settings, overrides: dict[str, Any]) -> Flask:
    app = Portal("portal", root_path=str(ROOT), template_folder="web/templates", static_folder=None)
    app.config.from_mapping(_config(settings) | overrides)
    app.jinja_env.undefined = StrictUndefined
    app.extensions["portal_settings"] = settings
    sql.init_app(app)
    app.extensions["alembic"] = Alembic(app, run_mkdir=False, metadatas=database.Base.metadata)
    headers.install(app)
    errors.install(app)
    formats.register(app)
    load_jobs()
    return app


def _register(app: Flask, blueprints: list[tuple[str, str]]) -> None:
    for name, prefix in blueprints:
        module, _, attribute = name.partition(":")
        app.register_blueprint(getattr(import_module(module), attribute), url_prefix=prefix or None)


def job_context(app: Flask) -> jobs.JobContext:
    """Return what jobs may use, for a worker process of this application."""
    with app.app_context():
        sessions = sql.sessionmaker
    return jobs.JobContext(sessions=sessions, settings=app.extensions["portal_settings"], resources=app.extensions.setdefault("job_resources", {}))


def load_jobs() -> None:
    """Import every domain's jobs, so that names resolve."""
    for module in JOB_MODULES:
        import_module(module)


def _payment_pages(settings: Settings) -> tuple[str, ...]:
    if settings.stripe is None:
        return ()
    return (settings.stripe.api_base or CHECKOUT_PAGES,)


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
        "PORTAL_HOST": settings.public_host,
        "PORTAL_HSTS": settings.is_https,
        "PORTAL_FORM_TARGETS": (settings.hub.public_url, *_payment_pages(settings)),
        "PREFERRED_URL_SCHEME": "https" if settings.is_https else "http",
        "TESTING": False,
    }
