"""A hub for each test that needs one: its own folder, database, ports and fake portal."""

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
def make_hub(postgres, portal, request):
    """Return a function that starts a hub; everything is taken down after the test."""
    hubs, databases, folders = [], [], []

    def make(**choices):
        database = f"hub_{secrets.token_hex(4)}"
        postgres.ensure_database(database)
        databases.append(database)
        folder = Path(tempfile.mkdtemp(prefix="hub-"))
        folders.append(folder)
        hub = RunningHub(folder, portal, postgres.url(database), **choices)
        hubs.append(hub)
        return hub.start()

    yield make
    for hub in hubs:
        hub.stop()
    for database in databases:
        postgres.drop_database(database)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def hub(make_hub):
    return make_hub()
