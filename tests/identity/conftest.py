"""An application of its own on a database of its own, for requests that really run beside each other."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine

from portal.factory import create_app
from portal.web.database import sql
from tests.conftest import make_settings


@pytest.fixture
def own_app(own_database: Engine, tmp_path: Path) -> Iterator[Flask]:
    app = create_app(make_settings(own_database.url.render_as_string(hide_password=False), tmp_path), SERVER_NAME="127.0.0.1:8000")
    yield app
    with app.app_context():
        for engine in sql.engines.values():
            engine.dispose()
