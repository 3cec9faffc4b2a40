"""A small application with the web floor alone and a few views that act."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask, redirect
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from portal.core import audit, database
from portal.core.access import Actor
from portal.core.errors import Conflict, Invalid
from portal.web import access, errors, formats, headers, i18n, pages
from portal.web.application import Portal
from portal.web.assets import blueprint as assets_blueprint
from portal.web.database import session, sql
from portal.web.once import once_view

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SOMEBODY = Actor.process("test")


@pytest.fixture(scope="session")
def small_app(worker_database_url: str) -> Iterator[Flask]:
    """Give an application on the worker's database whose views write audit rows."""
    app = Portal("portal", template_folder="web/templates", static_folder=None)
    app.config.update(
        SECRET_KEY="x" * 32,
        SQLALCHEMY_ENGINES={"default": database.psycopg_url(worker_database_url)},
        PORTAL_HOST="127.0.0.1:8000",
        PORTAL_HSTS=False,
        PORTAL_FORM_TARGETS=(),
        SERVER_NAME=None,
    )
    sql.init_app(app)
    headers.install(app)
    errors.install(app)
    formats.register(app)
    i18n.install(app)
    app.before_request(access.enforce)
    pages.install(app, pages.LayoutParts(nav=lambda a: [], account=lambda a: None, balance=lambda a: None, banner=lambda: None, footer=lambda a: []))
    app.register_blueprint(i18n.blueprint)
    app.register_blueprint(assets_blueprint)
    attempts = {"count": 0}

    def note(action: str) -> None:
        audit.record(session(), action, "test", "1", by=SOMEBODY, now=NOW)
        session().flush()

    @app.post("/act")
    @access.public
    @once_view
    def act():
        note("acted")
        return redirect("/done/1", 303)

    @app.post("/act-and-refuse")
    @access.public
    def act_and_refuse():
        note("refused")
        raise Conflict

    @app.post("/act-and-show-errors")
    @access.public
    def act_and_show_errors():
        note("shown")
        return "please correct", 422

    @app.post("/deadlock-twice")
    @access.public
    def deadlock_twice():
        attempts["count"] += 1
        note("tried")
        if attempts["count"] < 3:
            session().execute(text("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$"))
        return f"attempt {attempts['count']}"

    @app.post("/deadlock-always")
    @access.public
    def deadlock_always():
        session().execute(text("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40001'; END $$"))
        return "never"

    @app.get("/mistake")
    @access.public
    def mistake():
        raise ZeroDivisionError("secret detail")

    @app.get("/database-away")
    @access.public
    def database_away():
        raise OperationalError("SELECT 1", {}, Exception("terminating connection"))

    @app.get("/invalid")
    @access.public
    def invalid():
        raise Invalid

    @app.get("/undeclared")
    def undeclared():
        return "open"

    @app.get("/private")
    @access.signed_in
    def private():
        return "private"

    yield app
    with app.app_context():
        sql.engine.dispose()


@pytest.fixture
def small(small_app: Flask) -> Iterator[Flask]:
    """Give the small application inside one outer transaction."""
    with small_app.app_context():
        engine, maker = sql.engine, sql.sessionmaker
    with engine.connect() as connection:
        outer = connection.begin()
        maker.configure(bind=connection, join_transaction_mode="create_savepoint")
        yield small_app
        maker.configure(bind=engine, join_transaction_mode="conditional_savepoint")
        outer.rollback()
