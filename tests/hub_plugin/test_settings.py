"""The hub's environment is checked at once and whole, and no secret is repeated in a message."""

from pathlib import Path

import pytest

from portal.hub_plugin import proxy
from portal.hub_plugin.settings import BadSetting, HubSettings, Isolation
from tests.hub_plugin.running_hub import ROOT

GOOD = {
    "PORTAL_URL": "http://127.0.0.1:8000",
    "HUB_URL": "http://localhost:8001",
    "HUB_API_URL": "http://127.0.0.1:8002/hub-api/v1",
    "HUB_BIND": "127.0.0.1:8003",
    "PROXY_API_URL": "http://127.0.0.1:8004",
    "CONFIGPROXY_AUTH_TOKEN": "c" * 40,
    "HUB_PLUGIN_KEY": "p" * 40,
    "HUB_SERVICE_TOKEN": "s" * 40,
    "HUB_OIDC_SECRET": "o" * 40,
    "HUB_DATABASE_URL": "postgresql+psycopg://hub:private@/hub?host=/tmp/x",
    "HUB_STATE_DIR": "var/hub",
    "SESSION_ENVIRONMENT": str(ROOT / ".venv-singleuser"),
    "JUPYTERHUB_CRYPT_KEY": "ab" * 32,
}


def problems(changes):
    with pytest.raises(BadSetting) as caught:
        HubSettings.from_environment({name: value for name, value in (GOOD | changes).items() if value is not None})
    return str(caught.value)


def test_good_environment_is_read():
    settings = HubSettings.from_environment(GOOD)
    assert (settings.hub_url, settings.state_dir, settings.isolation) == ("http://localhost:8001", Path.cwd() / "var/hub", Isolation.SANDBOX)
    for secret in ("c" * 40, "p" * 40, "s" * 40, "o" * 40, "private", "ab" * 32):
        assert secret not in repr(settings)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_missing_variable_is_named_with_a_hint(name):
    assert f"{name} is not set: it is " in problems({name: None})


def test_all_that_is_missing_is_named_at_once():
    told = problems(dict.fromkeys(GOOD))
    assert all(f"{name} is not set" in told for name in GOOD)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PORTAL_URL": "127.0.0.1:8000"}, "PORTAL_URL is '127.0.0.1:8000'"),
        ({"HUB_URL": "http://127.0.0.1:8001"}, "same host name"),
        ({"HUB_BIND": "8003"}, "an address and a port"),
        ({"HUB_PLUGIN_KEY": "short"}, "HUB_PLUGIN_KEY is not valid"),
        ({"JUPYTERHUB_CRYPT_KEY": "guess"}, "openssl rand -hex 32"),
        ({"HUB_DATABASE_URL": "sqlite:///hub.sqlite"}, "a PostgreSQL address"),
        ({"SESSION_ENVIRONMENT": "/nowhere"}, "has no bin/python"),
        ({"HUB_STATE_DIR": str(ROOT / ".venv-singleuser/state")}, "sessions would see the hub's state"),
        ({"SESSION_ISOLATION": "none"}, "none-i-accept-the-risk"),
    ],
)
def test_wrong_variable_is_explained(changes, words):
    told = problems(changes)
    assert words in told
    for secret in ("short", "guess"):
        assert secret not in told


def test_going_without_a_sandbox_takes_the_whole_sentence():
    assert HubSettings.from_environment(GOOD | {"SESSION_ISOLATION": "none-i-accept-the-risk"}).isolation is Isolation.NONE


def test_proxys_command_names_its_addresses_and_no_secret():
    command = proxy.command("/node", "/chp", GOOD)
    assert command[:6] == ["/node", "/chp", "--ip", "127.0.0.1", "--port", "8001"]
    assert command[command.index("--api-port") + 1] == "8004"
    assert command[command.index("--error-target") + 1] == "http://127.0.0.1:8003/hub/error"
    assert not any("c" * 40 in part for part in command)
