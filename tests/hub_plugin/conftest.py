"""A hub for each test that needs one: its own folder, database, ports and fake portal."""

import contextlib
import secrets
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.hub_plugin.fake_portal import FakePortal
from tests.hub_plugin.running_hub import RunningHub, free_ports


@pytest.fixture
def portal():
    fake = FakePortal(free_ports(1)[0]).start()
    yield fake
    fake.stop()


@pytest.fixture
def make_hub(postgres, portal):
    """Return a function that starts a hub; everything is taken down after the test."""
    with _hubs(postgres) as make:
        yield lambda **choices: make(portal, **choices)


@pytest.fixture
def hub(make_hub):
    return make_hub()


@pytest.fixture(scope="module")
def shared_hub(postgres):
    """A hub for all tests of a module that neither kill it nor depend on who else uses it."""
    fake = FakePortal(free_ports(1)[0]).start()
    with _hubs(postgres) as make:
        yield make(fake)
    fake.stop()


@contextlib.contextmanager
def _hubs(postgres):
    hubs, databases, folders = [], [], []

    def make(portal, **choices):
        database = f"hub_{secrets.token_hex(4)}"
        postgres.ensure_database(database)
        databases.append(database)
        folder = Path(tempfile.mkdtemp(prefix="hub-"))
        folders.append(folder)
        hub = RunningHub(folder, portal, postgres.url(database), **choices)
        hubs.append(hub)
        return hub.start()

    try:
        yield make
    finally:
        for hub in hubs:
            hub.stop()
        for database in databases:
            postgres.drop_database(database)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
